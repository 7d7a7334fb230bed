"""All cases: which client talks to which server."""

from pathlib import Path

from harness import conformance, packages
from harness.guarded import GuardedCase
from harness.issuers import DjangoSite, OidcProviderSite
from harness.limited import AdaptiveSite, LimitedSite, RedirectSite
from harness.suite import Case, read_lines


def talk(name: str, server: str, program: str) -> Case:
    script = str(packages.NODE_DIR / "clients" / program)
    return Case(name, server, lambda url, _: [str(packages.NODE), script, url], read_lines)


def python(sdk: str, mode: str, server: str) -> Case:
    script = str(packages.HERE / "python" / "clients" / "converse.py")
    name = f"python {sdk}, {mode}, to {server}"
    return Case(name, server, lambda url, _: [str(packages.python(sdk)), script, sdk, mode, server, url], read_lines)


def conform(name: str, server: str, package: Path, *options: str) -> Case:
    def command(url: str, directory: Path) -> list[str]:
        return [str(packages.NODE), str(package), "server", "--url", url, "-o", str(directory), *options]

    return Case(name, server, command, conformance.read, conformance.no_worse)


def logs_in(name: str, program: str, site: str = "issuer-up") -> GuardedCase:
    script = str(packages.NODE_DIR / "clients" / program)
    return GuardedCase(f"oauth, {name}", site, lambda place: [str(packages.NODE), script, place])


def python_logs_in(sdk: str, mode: str, server: str) -> GuardedCase:
    script = str(packages.HERE / "python" / "clients" / "oauth.py")
    name = f"oauth, python {sdk}, {mode}, to {server}"
    return GuardedCase(name, "issuer-up", lambda place: [str(packages.python(sdk)), script, sdk, mode, server, place])


def limited(name: str, program: str) -> GuardedCase:
    script = str(packages.NODE_DIR / "clients" / program)
    return GuardedCase(f"limits, {name}", "limits", lambda place: [str(packages.NODE), script, place], LimitedSite)


def python_limited(sdk: str) -> GuardedCase:
    script = str(packages.HERE / "python" / "clients" / "limits.py")
    name = f"limits, python {sdk}"
    return GuardedCase(name, "limits", lambda place: [str(packages.python(sdk)), script, sdk, place], LimitedSite)


def slowed(name: str, program: str) -> GuardedCase:
    script = str(packages.NODE_DIR / "clients" / program)
    return GuardedCase(f"adaptive, {name}", "adaptive", lambda place: [str(packages.NODE), script, place], AdaptiveSite)


def redirected() -> GuardedCase:
    script = str(packages.NODE_DIR / "clients" / "redirected.mjs")
    return GuardedCase(
        "a server that redirects", "redirect", lambda place: [str(packages.NODE), script, place], RedirectSite
    )


ISSUERS = {"oidc-provider": OidcProviderSite, "django": DjangoSite}


def at_issuer(issuer: str, sdk: str) -> GuardedCase:
    script = str(packages.NODE_DIR / "clients" / "real_issuer.mjs")

    def command(place: str) -> list[str]:
        return [str(packages.NODE), script, place, issuer, sdk]

    return GuardedCase(f"{issuer}, typescript {sdk}", issuer, command, ISSUERS[issuer])


def python_at_issuer(issuer: str, sdk: str, server: str) -> GuardedCase:
    script = str(packages.HERE / "python" / "clients" / "real_issuer.py")

    def command(place: str) -> list[str]:
        return [str(packages.python(sdk)), script, sdk, issuer, server, place]

    return GuardedCase(f"{issuer}, python {sdk}, to {server}", issuer, command, ISSUERS[issuer])


LEGACY = packages.CONFORMANCE_LEGACY
MODERN = packages.CONFORMANCE_MODERN

CASES = [
    talk("typescript sdk 1 to everything", "everything", "everything.mjs"),
    talk("typescript sdk 1 to a session-keeping server", "legacy", "legacy.mjs"),
    talk("typescript sdk 1 over HTTP+SSE", "everything-sse", "sse.mjs"),
    talk("typescript sdk 2 at 2026-07-28", "modern", "modern.mjs"),
    talk("typescript sdk 2 to a legacy server", "everything", "fallback.mjs"),
    python("sdk1", "legacy", "everything"),
    python("sdk1", "legacy", "python"),
    python("sdk2", "legacy", "everything"),
    python("sdk2", "auto", "everything"),
    python("sdk2", "legacy", "python"),
    python("sdk2", "auto", "python"),
    python("sdk2", "auto", "modern"),
    conform("conformance 0.1, 2025-06-18", "legacy", LEGACY, "--suite", "all", "--spec-version", "2025-06-18"),
    conform("conformance 0.1, 2025-11-25", "legacy", LEGACY, "--suite", "all", "--spec-version", "2025-11-25"),
    conform("conformance 0.2, 2025-11-25", "legacy", MODERN, "--requirements", "2025-11-25"),
    conform("conformance 0.2, 2026-07-28", "modern", MODERN, "--requirements", "2026-07-28"),
]

LOGINS = [
    logs_in("typescript sdk 1", "oauth.mjs"),
    logs_in("who may what", "access.mjs"),
    logs_in("what servers see", "upstream.mjs"),
    logs_in("typescript sdk 2 at 2026-07-28", "oauth_modern.mjs"),
    python_logs_in("sdk1", "legacy", "everything"),
    python_logs_in("sdk2", "auto", "everything"),
    python_logs_in("sdk2", "auto", "modern"),
    logs_in("an issuer in trouble", "issuer.mjs", "issuer-down"),
]
"""Cases with authentication."""

LIMITS = [
    limited("typescript sdk 1", "limits.mjs"),
    limited("typescript sdk 2", "limits_modern.mjs"),
    python_limited("sdk1"),
    python_limited("sdk2"),
    redirected(),
]
"""Cases with limits, each as another agent; and a server that speaks for others."""

OVERLOAD = [slowed("forty typescript sdk 1 clients", "overload.mjs")]
"""Judged by the time that calls take, so nothing else runs meanwhile."""

REAL_ISSUERS = [
    at_issuer("oidc-provider", "sdk1"),
    at_issuer("oidc-provider", "sdk2"),
    python_at_issuer("oidc-provider", "sdk1", "everything"),
    python_at_issuer("oidc-provider", "sdk2", "opaque"),
    at_issuer("django", "sdk1"),
    at_issuer("django", "sdk2"),
    python_at_issuer("django", "sdk1", "opaque"),
    python_at_issuer("django", "sdk2", "opaque"),
]
"""Logins at authorization servers that others wrote."""

GUARDED_CASES = [LOGINS, REAL_ISSUERS, LIMITS, OVERLOAD]
"""Through the gateway only, group by group; the cases of a group run at the same time."""
