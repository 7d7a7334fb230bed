"""Sites whose authorization server is what others wrote: npm oidc-provider, and django-oauth-toolkit.

What the gateway believes is configured as an operator would for these: see docs/identity.md.
"""

import json
import os
from pathlib import Path

from harness import packages
from harness.processes import Processes, free_port
from harness.scene import SERVERS, dismiss
from harness.verdict import Tally

SECRET = "the-secret-of-the-gateway"

RULES = [
    {"name": "everyone", "effect": "allow", "tools": ["echo"]},
    {"name": "with a further scope", "effect": "allow", "scopes": ["env:read"], "tools": ["get-env"]},
]


class IssuerSite:
    """An authorization server, server-everything, and a gateway between."""

    names: tuple[str, ...]
    """The names under which the gateway has the server."""

    def __init__(self, name: str, processes: Processes, binary: Path) -> None:
        self.name = f"issuer-{name}"
        self.processes = processes
        ports = {what: free_port() for what in ("issuer", "everything", "gateway")}
        self.place = {what: f"http://127.0.0.1:{port}" for what, port in ports.items()}
        self.directory = processes.logs / self.name
        self.directory.mkdir()
        self.start("issuer", self.issuer(), ports["issuer"])
        self.start("everything", SERVERS["everything"][0], ports["everything"])
        path = self.directory / "ringgate.yaml"
        # YAML is a superset of JSON.
        path.write_text(json.dumps(self.config(), indent=2) + os.linesep)
        self.gateway = processes.start(
            self.name, [str(binary), "serve", "--config", str(path)], {"GATEWAY_SECRET": SECRET}
        )
        processes.wait_ready(self.name, self.gateway, ports["gateway"])

    def start(self, what: str, command: list[str], port: int) -> None:
        environment = {"PORT": str(port), "GATEWAY_SECRET": SECRET, "DIRECTORY": str(self.directory)}
        process = self.processes.start(f"{self.name}-{what}", command, environment)
        self.processes.wait_ready(f"{self.name}-{what}", process, port)

    def issuer(self) -> list[str]:
        raise NotImplementedError

    def authentication(self) -> dict:
        raise NotImplementedError

    def config(self) -> dict:
        server = {"url": f"{self.place['everything']}/mcp", "scopes": ["mcp:use"]}
        return {
            "listeners": [{"address": self.place["gateway"].removeprefix("http://")}],
            "public_url": self.place["gateway"],
            "admin": {"address": "off"},
            "outbound": {"allow_http": True, "allow_private": True},
            "authentication": self.authentication(),
            "access": {"rules": RULES},
            "servers": [{"name": name, **server} for name in self.names],
        }

    def introspection(self, path: str) -> dict:
        return {
            "url": self.place["issuer"] + path,
            "issuer": self.place["issuer"],
            "client_id": "gateway",
            "client_secret": "env:GATEWAY_SECRET",
            "cache": "1s",
            "clock_skew": "0s",
        }

    def dismiss(self, tally: Tally) -> None:
        dismiss(self.name, self.gateway, self.processes.logs / f"{self.name}.log", tally)


class OidcProviderSite(IssuerSite):
    """JWTs for two servers, one of which gets short ones, and opaque tokens for the third. The fourth tells clients of all
    scopes at once, since this issuer keeps clients to the scopes that they registered with."""

    names = ("everything", "brief", "opaque", "all-scopes")

    def issuer(self) -> list[str]:
        return [str(packages.NODE), str(packages.NODE_DIR / "servers" / "oidc.mjs")]

    def authentication(self) -> dict:
        self.place["revoked"] = str(self.directory / "revoked")
        Path(self.place["revoked"]).write_text("")
        return {
            "issuers": [{"issuer": self.place["issuer"], "clock_skew": "0s"}],
            "introspection": self.introspection("/token/introspection"),
            "revoked": self.place["revoked"],
        }

    def config(self) -> dict:
        """Also a server with a secret in a file, which a case empties."""
        self.place["secret"] = str(self.directory / "secret")
        Path(self.place["secret"]).write_text("a-secret")
        config = super().config()
        other = {"name": "other", "url": f"{self.place['everything']}/mcp"}
        other["credentials"] = {"bearer": f"file:{self.place['secret']}"}
        config["servers"][self.names.index("all-scopes")]["challenge_scopes"] = {"initial": "all"}
        config["servers"].append(other)
        return config


class DjangoSite(IssuerSite):
    """Opaque tokens only; introspection names neither issuer nor `sub`, and the person in `username`."""

    names = ("opaque",)

    def issuer(self) -> list[str]:
        script = packages.HERE / "python" / "servers" / "django_issuer.py"
        return [str(packages.python("django")), str(script)]

    def authentication(self) -> dict:
        return {"introspection": self.introspection("/introspect/")}
