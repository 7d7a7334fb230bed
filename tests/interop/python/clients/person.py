"""What an application brings to the Python SDKs' OAuth client: memory for tokens, and a browser."""

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import anyio
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.shared.auth import OAuthClientMetadata

REDIRECT_URI = "http://127.0.0.1:1/callback"


class Memory(TokenStorage):
    """Keeps tokens as long as the program runs."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info


class Person:
    """One user. `wishes` go to the authorization server with each login: see `authorization_grants.mjs`."""

    def __init__(self, name: str, **wishes: str) -> None:
        self.name = name
        self.wishes = wishes
        self.memory = Memory()
        self.requests: list[dict[str, str]] = []
        """The parameters of each authorization request."""
        self.came_back: dict[str, str] = {}

    def provider(self, url: str) -> OAuthClientProvider:
        metadata = OAuthClientMetadata(
            client_name="ringgate-interop",
            redirect_uris=[REDIRECT_URI],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        )
        return OAuthClientProvider(url, metadata, self.memory, self.browse, self.come_back)

    async def browse(self, url: str) -> None:
        """Opens the page that asks for the login; the person agrees, and is sent back."""
        parts = urllib.parse.urlsplit(url)
        self.requests.append(dict(urllib.parse.parse_qsl(parts.query)))
        extra = urllib.parse.urlencode({"login_hint": self.name, **self.wishes})
        location = await anyio.to_thread.run_sync(redirect_of, f"{url}&{extra}")
        self.came_back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))

    async def come_back(self) -> Any:
        """What the application's page gets: in each SDK's own shape."""
        if "error" in self.came_back:
            raise RuntimeError(f"the login failed: {self.came_back}")
        try:
            from mcp.shared.auth import AuthorizationCodeResult
        except ImportError:
            return self.came_back["code"], self.came_back["state"]
        return AuthorizationCodeResult(**{name: self.came_back.get(name) for name in ("code", "state", "iss")})

    @property
    def client_id(self) -> str:
        return self.memory.client.client_id


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


PAGES_MAX = 10


def redirect_of(url: str) -> str:
    """Follows redirects, with cookies, until one leads back to the application; returns where to."""
    cookies = urllib.request.HTTPCookieProcessor()
    opener = urllib.request.build_opener(NoRedirect, cookies)
    for _ in range(PAGES_MAX):
        try:
            with opener.open(url, timeout=10):
                raise RuntimeError("the login did not redirect")
        except urllib.error.HTTPError as answer:
            location = answer.headers["location"]
            if not location:
                raise RuntimeError(f"the login failed: {answer.code} {answer.read().decode()}") from None
            if location.startswith(REDIRECT_URI):
                return location
            url = urllib.parse.urljoin(url, location)
    raise RuntimeError(f"the login did not end after {PAGES_MAX} pages")
