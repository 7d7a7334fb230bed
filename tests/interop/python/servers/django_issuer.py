"""django-oauth-toolkit as an authorization server on loopback: opaque tokens, registration, RFC 8707, introspection.

Whoever comes with `login_hint` is logged in, and applications need no consent; all else is as the package has it.
For tests also: POST /expire with `client_id`, whose access tokens have ended then.
environment: PORT, GATEWAY_SECRET, DIRECTORY (where its database is)
"""

import os
import sys
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from socketserver import ThreadingMixIn

import django
from django.conf import settings

PORT = int(os.environ["PORT"])
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

settings.configure(
    SECRET_KEY="of-a-test",
    DEBUG=True,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(os.environ["DIRECTORY"]) / "issuer.sqlite3",
            "OPTIONS": {"timeout": 20},
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        f"{__name__}.log_in",
    ],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    OAUTH2_PROVIDER={
        "SCOPES": {"mcp:use": "use tools", "env:read": "read the environment", "introspection": "ask about tokens"},
        "DCR_ENABLED": True,
        "DCR_REGISTRATION_PERMISSION_CLASSES": ("oauth2_provider.dcr.AllowAllDCRPermission",),
    },
)
django.setup()

from django.contrib.auth import get_user_model, login  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db.models.signals import pre_save  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from oauth2_provider.models import get_access_token_model, get_application_model  # noqa: E402

Application = get_application_model()


def log_in(get_response):
    """A middleware: the person has typed a name and a password."""

    def serve(request):
        name = request.GET.get("login_hint")
        if name:
            user, _ = get_user_model().objects.get_or_create(username=name)
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return get_response(request)

    return serve


def needs_no_consent(instance, **_):
    instance.skip_authorization = True


@csrf_exempt
def expire(request):
    tokens = get_access_token_model().objects.filter(application__client_id=request.POST["client_id"])
    return HttpResponse(f"{tokens.update(expires=timezone.now())}\n")


pre_save.connect(needs_no_consent, sender=Application)
urlpatterns = [path("expire", expire), path("", include("oauth2_provider.urls", namespace="oauth2_provider"))]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, text, *arguments):
        print(text % arguments, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.modules["django_issuer"] = sys.modules[__name__]
    call_command("migrate", verbosity=0)
    Application.objects.create(
        client_id="gateway",
        client_secret=os.environ["GATEWAY_SECRET"],
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )
    make_server("127.0.0.1", PORT, get_wsgi_application(), Server, Quiet).serve_forever()
