"""The configuration of a gateway with authentication: who is believed, who may what, what goes to the servers."""

import subprocess
from pathlib import Path

SCOPE = "mcp:use"
"""What every request needs; clients learn it from the challenge."""

STEP_UP_SCOPE = "env:read"
"""What one tool of each server needs besides."""


def config(origins: dict[str, str], api_key: dict) -> dict:
    return {
        "listeners": [{"address": origins["gateway"].removeprefix("http://")}],
        "public_url": origins["gateway"],
        "admin": {"address": origins["admin"].removeprefix("http://")},
        "outbound": {"allow_http": True, "allow_private": True},
        "authentication": {
            # The clocks are the same; with leeway, clients would have to wait for their tokens to expire.
            "issuers": [{"issuer": origins["issuer"], "clock_skew": "0s"}],
            "api_keys": [{**api_key, "roles": ["support"], "scopes": [SCOPE]}],
            "introspection": {
                "url": f"{origins['issuer']}/introspect",
                "client_id": "gateway",
                "client_secret": "env:GATEWAY_SECRET",
                "clock_skew": "0s",
            },
        },
        "identity": {"key": "env:IDENTITY_KEY"},
        "access": {"rules": rules()},
        "servers": servers(origins),
    }


def servers(origins: dict[str, str]) -> list[dict]:
    recorder = {"url": f"{origins['recorder']}/mcp", "scopes": [SCOPE]}
    grant = {
        "token_url": f"{origins['issuer']}/token",
        "client_id": "gateway",
        "client_secret": "env:GATEWAY_SECRET",
    }
    exchange = {**grant, "audience": "urn:ringgate:recorder"}
    own = {**grant, "audience": "urn:ringgate:owned"}
    return [
        {"name": "everything", "url": f"{origins['everything']}/mcp", "scopes": [SCOPE]},
        {"name": "modern", "url": f"{origins['modern']}/mcp", "scopes": [SCOPE]},
        {"name": "plain", **recorder},
        {"name": "exchanged", **recorder, "credentials": {"token_exchange": exchange}},
        {"name": "owned", **recorder, "credentials": {"client_credentials": own}},
        {"name": "asserted", **recorder, "assertion": {}},
    ]


def rules() -> list[dict]:
    """Two roles that overlap in one tool. Who may use anything may also initialize, list and listen."""
    documents = "demo://resource/static/document/"
    return [
        {"name": "everyone echoes", "effect": "allow", "tools": ["echo"]},
        {
            "name": "support",
            "effect": "allow",
            "roles": ["support"],
            "tools": ["get-sum", "test_simple_text"],
            "prompts": ["simple-prompt", "test_simple_prompt"],
            "resources": [f"{documents}features.md", "test://static-text"],
        },
        {
            "name": "developer",
            "effect": "allow",
            "roles": ["developer"],
            "tools": ["get-tiny-image", "test_error_handling"],
            "prompts": ["args-prompt", "test_prompt_with_arguments"],
            "resources": [f"{documents}s*", "demo://resource/dynamic/*", "test://static-binary"],
        },
        {
            "name": "developer, with a further scope",
            "effect": "allow",
            "roles": ["developer"],
            "scopes": [STEP_UP_SCOPE],
            "tools": ["get-env", "test_image_content"],
        },
    ]


def new_api_key(binary: Path, name: str, agent: str) -> tuple[str, dict]:
    """An API key as an operator gets it, and its entry for the configuration."""
    command = [str(binary), "key", "new", "--id", name, "--agent", agent]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    words = made.stdout.replace("'", " ").split()
    key = next(word for word in words if word.startswith("rgk_"))
    hashed = next(word for word in words if word.startswith("sha256:"))
    return key, {"id": name, "agent": agent, "hash": hashed}
