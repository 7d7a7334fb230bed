"""Gateways that want credentials: each with an authorization server, MCP servers, and a configuration of its own.

The servers behind know nothing of tokens, so there is nothing to compare with: these scenarios judge for themselves.
"""

import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness import packages, policy
from harness.processes import Processes, free_port
from harness.scene import SERVERS, dismiss
from harness.suite import CASE_SECONDS_MAX, read_lines
from harness.verdict import Tally

NODE = str(packages.NODE)
NODE_SERVERS = packages.NODE_DIR / "servers"
SECRETS = {"gateway": "the-secret-of-the-gateway", "batch": "the-secret-of-an-agent"}
"""Clients that the authorization server knows from the start."""

MAKE_KEY = """
const pem = (type) => ({ type, format: "pem" });
const options = { namedCurve: "P-256", privateKeyEncoding: pem("pkcs8"), publicKeyEncoding: pem("spki") };
console.log(require("node:crypto").generateKeyPairSync("ec", options).privateKey);
"""


@dataclass
class GuardedCase:
    """A client program that talks through a gateway with a configuration of its own."""

    name: str
    site: str
    command: Callable[[str], list[str]]
    """The command line, from a JSON text that tells where everything is."""
    open: "Callable[[str, Processes, Path], Site]" = field(default_factory=lambda: Site)
    """What makes the site; cases that name the same site share it."""


def perform(cases: list[GuardedCase], processes: Processes, binary: Path, tally: Tally) -> None:
    """Runs all cases at the same time: they share nothing that one could change under another."""
    opened = {case.site: case.open for case in cases}
    sites = {name: make(name, processes, binary) for name, make in opened.items()}
    with ThreadPoolExecutor(max(1, len(cases))) as pool:
        outcomes = pool.map(lambda case: play(case, sites[case.site], processes), cases)
        for case, (results, trouble) in zip(cases, outcomes, strict=True):
            for scenario, result in results.items():
                tally.add(f"{case.name}: {scenario}", None if result.ok else result.why)
            if trouble:
                tally.add(f"{case.name}: runs to its end", trouble)
    for site in sites.values():
        site.dismiss(tally)


def play(case: GuardedCase, site: "Site", processes: Processes):
    name = "".join(letter if letter.isalnum() or letter in ".-" else "-" for letter in f"guarded {case.name}")
    out, err, why = processes.converse(name, case.command(json.dumps(site.place)), CASE_SECONDS_MAX)
    results = read_lines(out, processes.logs)
    if not results:
        why = why or "it reported no scenario"
    return results, f"{why}\n{err}" if why else None


class Site:
    """One gateway and what it needs."""

    def __init__(self, name: str, processes: Processes, binary: Path) -> None:
        self.name = f"guarded-{name}"
        self.processes = processes
        self.binary = binary
        ports = {what: free_port() for what in ("issuer", "everything", "modern", "recorder", "gateway", "admin")}
        origins = {what: f"http://127.0.0.1:{port}" for what, port in ports.items()}
        key, entry = policy.new_api_key(binary, "interop", "helpdesk")
        self.place = {**origins, "api_key": key, "batch_secret": SECRETS["batch"]}
        clients = [{"client_id": client, "client_secret": secret} for client, secret in SECRETS.items()]
        clients[-1]["roles"] = ["developer"]
        fault = {"FAULT": "down"} if name == "issuer-down" else {}
        started = [
            self.start("issuer", self.node("authorization.mjs"), ports, {"CLIENTS": json.dumps(clients), **fault}),
            self.start("everything", SERVERS["everything"][0], ports),
            self.start("modern", SERVERS["modern"][0], ports),
            self.start("recorder", self.node("recorder.mjs"), ports),
        ]
        for what, process in started:
            processes.wait_ready(f"{self.name}-{what}", process, ports[what])
        self.gateway = self.start_gateway(ports["gateway"], policy.config(origins, entry))

    @staticmethod
    def node(script: str) -> list[str]:
        return [NODE, str(NODE_SERVERS / script)]

    def start(self, what: str, command: list[str], ports: dict[str, int], more: dict[str, str] | None = None):
        environment = {"PORT": str(ports[what]), **(more or {})}
        return what, self.processes.start(f"{self.name}-{what}", command, environment)

    def start_gateway(self, port: int, config: dict) -> subprocess.Popen[bytes]:
        key = self.processes.logs / f"{self.name}-identity.pem"
        key.write_bytes(subprocess.run([NODE, "-e", MAKE_KEY], capture_output=True, check=True).stdout)
        path = self.processes.logs / f"{self.name}.yaml"
        # YAML is a superset of JSON.
        path.write_text(json.dumps(config, indent=2) + os.linesep)
        command = [str(self.binary), "serve", "--config", str(path)]
        environment = {"GATEWAY_SECRET": SECRETS["gateway"], "IDENTITY_KEY": key.read_text()}
        process = self.processes.start(self.name, command, environment)
        self.processes.wait_ready(self.name, process, port)
        return process

    def dismiss(self, tally: Tally) -> None:
        log = self.processes.logs / f"{self.name}.log"
        dismiss(self.name, self.gateway, log, tally)
        secrets = ["eyJ", "opaque-", self.place["api_key"], *SECRETS.values()]
        told = [word for word in secrets if word in log.read_text(errors="replace")]
        tally.add(f"{self.name}: no token, key or secret in its log", f"found {told}" if told else None)
