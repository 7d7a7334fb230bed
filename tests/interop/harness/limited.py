"""Gateways with limits: one with a limit for each subject, one that finds out how much a server can take.

The servers behind have no limits, so there is nothing to compare with: these scenarios judge for themselves.
"""

import json
import os
from pathlib import Path

from harness import packages, policy
from harness.processes import Processes, free_port
from harness.scene import SERVERS, dismiss
from harness.verdict import Tally

BUSY = [str(packages.NODE), str(packages.NODE_DIR / "servers" / "busy.mjs")]

AGENTS = ("typescript-1", "typescript-2", "python-sdk1", "python-sdk2")
"""Each client is an agent with a key of its own, and has buckets of its own: one does not take from another."""

RATE_LIMITS = {
    "loop_breaker": {"calls": 5, "within": "1h"},
    "limits": [
        {
            "name": "echo", "servers": ["rates"],
            "deny_as": "error",
            "tools": ["echo"], "key": ["agent"], "rate": "3/min",
        },
        {
            "name": "get-sum", "servers": ["rates"],
            "deny_as": "error",
            "tools": ["get-sum"], "key": ["agent"], "rate": "20/min",
        },
        {
            "name": "tokens",
            "servers": ["tokens"],
            "methods": ["tools/call"],
            "unit": "tokens",
            "key": ["agent"],
            "rate": "500 tokens/day",
            "deny_as": "error",
        },
        {"name": "calls", "servers": ["lives"], "unit": "calls", "key": ["agent"], "rate": "3/h", "deny_as": "error"},
        {
            "name": "in-flight",
            "servers": ["in-flight"],
            "tools": ["trigger-long-running-operation"],
            "unit": "in_flight",
            "key": ["agent"],
            "max": 3,
            "deny_as": "error",
        },
        {
            "name": "as-result",
            "servers": ["as-result"],
            "tools": ["echo"],
            "key": ["agent"],
            "rate": "1/h",
        },
    ],
}

REDIRECT_SERVERS = {
    "weather": [str(packages.NODE), str(packages.NODE_DIR / "servers" / "redirecting.mjs")],
    "bank": [str(packages.NODE), str(packages.NODE_DIR / "servers" / "recorder.mjs")],
}


class LimitedSite:
    """A server, and a gateway that has a name of it for each limit."""

    def __init__(self, name: str, processes: Processes, binary: Path) -> None:
        self.name = name
        self.processes = processes
        self.binary = binary
        self.place: dict = {}
        port = free_port()
        self.gateway = self.start_gateway(port, self.config(f"127.0.0.1:{port}"))
        self.place["gateway"] = f"http://127.0.0.1:{port}"

    def config(self, address: str) -> dict:
        server = self.start_server("everything", SERVERS["everything"][0])
        entries = []
        keys = self.place["keys"] = {}
        for agent in AGENTS:
            keys[agent], entry = policy.new_api_key(self.binary, agent, agent)
            entries.append(entry)
        modern = self.start_server("modern", SERVERS["modern"][0])
        names = ("looping", "rates", "tokens", "lives", "in-flight", "as-result")
        servers = [{"name": name, "url": f"{server}/mcp"} for name in names]
        return {
            "listeners": [{"address": address}],
            "admin": {"address": "off"},
            # Rates with a burst below eight times the number of workers are exact.
            "workers": 4,
            "authentication": {"api_keys": entries},
            "access": {"rules": [{"name": "agents", "effect": "allow", "agents": list(AGENTS)}]},
            "servers": [*servers, {"name": "modern", "url": f"{modern}/mcp"}],
            "rate_limits": RATE_LIMITS,
        }

    def start_server(self, what: str, command: list[str]) -> str:
        port = free_port()
        process = self.processes.start(f"{self.name}-{what}", command, {"PORT": str(port)})
        self.processes.wait_ready(f"{self.name}-{what}", process, port)
        return f"http://127.0.0.1:{port}"

    def start_gateway(self, port: int, config: dict):
        path = self.processes.logs / f"{self.name}.yaml"
        # YAML is a superset of JSON.
        path.write_text(json.dumps(config, indent=2) + os.linesep)
        process = self.processes.start(self.name, [str(self.binary), "serve", "--config", str(path)])
        self.processes.wait_ready(self.name, process, port)
        return process

    def dismiss(self, tally: Tally) -> None:
        dismiss(self.name, self.gateway, self.processes.logs / f"{self.name}.log", tally)


class AdaptiveSite(LimitedSite):
    """Servers that can be made slow, and a gateway that must notice."""

    def config(self, address: str) -> dict:
        servers = {
            "busy": self.start_server("busy", BUSY),
            "everything": self.start_server("everything", SERVERS["everything"][0]),
        }
        self.place["server"] = servers["busy"]
        self.place["everything_pid"] = self.processes.running[-1].pid
        # The times of a server vary where others work on the same machine; slow is twenty times as long and more.
        adaptive = {"latency_percent": 400, "deny_as": "error"}
        return {
            "listeners": [{"address": address}],
            "admin": {"address": "off"},
            "servers": [{"name": name, "url": f"{url}/mcp", "adaptive": adaptive} for name, url in servers.items()],
        }


class RedirectSite(LimitedSite):
    """A server that leads its callers to another, and that one."""

    def config(self, address: str) -> dict:
        servers = {name: self.start_server(name, command) for name, command in REDIRECT_SERVERS.items()}
        self.place["bank"] = servers["bank"]
        return {
            "listeners": [{"address": address}],
            "admin": {"address": "off"},
            "servers": [{"name": name, "url": f"{url}/mcp"} for name, url in servers.items()],
        }
