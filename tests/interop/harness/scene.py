"""Who listens where: the servers, and in front of a second set of them the gateways."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from harness import packages
from harness.processes import Processes, free_port
from harness.verdict import Tally
from harness.wire_tap import tap

if TYPE_CHECKING:
    from harness.suite import Case

DRAIN_SECONDS_MAX = 40

NODE = str(packages.NODE)
SERVERS = {
    "everything": ([NODE, str(packages.EVERYTHING), "streamableHttp"], "/mcp"),
    "everything-sse": ([NODE, str(packages.EVERYTHING), "sse"], "/sse"),
    "legacy": ([NODE, str(packages.NODE_DIR / "servers" / "legacy.mjs")], "/mcp"),
    "modern": ([NODE, str(packages.NODE_DIR / "servers" / "modern.mjs")], "/mcp"),
    "python": ([str(packages.python("sdk2")), str(packages.HERE / "python" / "servers" / "fixture.py")], "/mcp"),
}
"""Each server: its command, which reads PORT from the environment, and the path it serves."""

SSE_SERVERS = {"everything-sse"}


class Direct:
    """Servers, and clients that reach them without a gateway."""

    label = "direct"

    def __init__(self, processes: Processes, cases: list["Case"], record: bool) -> None:
        self.processes = processes
        self.record = record
        names = sorted({case.server for case in cases})
        ports = {name: free_port() for name in names}
        started = {name: self.start(name, port) for name, port in ports.items()}
        for name, process in started.items():
            processes.wait_ready(f"{self.label}-{name}", process, ports[name])
        self.urls = {name: self.url(ports[name], SERVERS[name][1], f"{name}-server") for name in names}

    def start(self, name: str, port: int) -> subprocess.Popen[bytes]:
        return self.processes.start(f"{self.label}-{name}", SERVERS[name][0], {"PORT": str(port)})

    def url(self, port: int, path: str, tapped_as: str) -> str:
        if self.record:
            port = tap(port, self.processes.logs / f"{self.label}-{tapped_as}.wire")
        return f"http://127.0.0.1:{port}{path}"


class Gateway(Direct):
    """A second set of servers, so that nothing done to the first is seen here, and gateways in front of it."""

    label = "through"

    def __init__(self, processes: Processes, cases: list["Case"], record: bool, binary: Path) -> None:
        super().__init__(processes, cases, record)
        self.binary = binary
        self.gateways: dict[str, subprocess.Popen[bytes]] = {}
        servers = self.urls
        by_flags = {name: url for name, url in servers.items() if name not in SSE_SERVERS}
        by_config = {name: url for name, url in servers.items() if name in SSE_SERVERS}
        self.urls = {}
        if by_flags:
            self.front(by_flags, "gateway-by-flags", lambda port: flags(by_flags, port))
        if by_config:
            config = processes.logs / "ringgate.yaml"
            self.front(by_config, "gateway-by-config", lambda port: write_config(config, by_config, port))

    def front(self, servers: dict[str, str], name: str, arguments) -> None:
        port = free_port()
        process = self.processes.start(name, [str(self.binary), "serve", *arguments(port)])
        self.gateways[name] = process
        self.processes.wait_ready(name, process, port)
        for server in servers:
            self.urls[server] = self.url(port, f"/{server}/mcp", f"{server}-client")

    def dismiss(self, tally: Tally) -> None:
        """The gateways have served everyone; now they end when asked, cleanly."""
        for name, process in self.gateways.items():
            dismiss(name, process, self.processes.logs / f"{name}.log", tally)


def dismiss(name: str, process: subprocess.Popen[bytes], log: Path, tally: Tally) -> None:
    """Ends a gateway as an operator does, and judges how it went."""
    tally.add(f"{name}: still runs after all cases", None if process.poll() is None else "it has ended")
    process.send_signal(signal.SIGTERM)
    until = time.monotonic() + DRAIN_SECONDS_MAX
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    code = process.poll()
    tally.add(f"{name}: drains and ends with 0 on SIGTERM", None if code == 0 else f"exit code {code}")
    panics = [line for line in log.read_text(errors="replace").splitlines() if "panicked" in line]
    tally.add(f"{name}: nothing panicked", panics[0] if panics else None)


def flags(servers: dict[str, str], port: int) -> list[str]:
    given = [word for name, url in servers.items() for word in ("--server", f"{name}={url}")]
    return [*given, "--listen", f"127.0.0.1:{port}"]


def write_config(path: Path, servers: dict[str, str], port: int) -> list[str]:
    """YAML is a superset of JSON, so this writes JSON."""
    config = {
        "listeners": [{"address": f"127.0.0.1:{port}"}],
        "admin": {"address": "off"},
        "servers": [{"name": name, "url": url, "transport": "sse"} for name, url in servers.items()],
    }
    path.write_text(json.dumps(config, indent=2) + os.linesep)
    return ["--config", str(path)]
