"""The gateway of one scene: server-everything behind it, and a configuration that the scene may change."""

import json
import os
import secrets
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from harness import policy
from harness.processes import Processes, end_group, free_port
from harness.scene import SERVERS

LONG = "trigger-long-running-operation"
"""A tool of server-everything that takes as long as one wishes, and reports progress."""

LOGGED = {"opened": "Session initialized with ID", "ended": "Received session termination request"}
"""What server-everything writes of sessions."""

READY_SECONDS_MAX = 20


class Gateway:
    """Started when a scene begins, restarted and reloaded as it wants."""

    def __init__(self, processes: Processes, binary: Path, scene: str, upstream: "Upstream", keys: "Keys") -> None:
        self.processes = processes
        self.binary = binary
        self.scene = scene
        self.upstream = upstream
        self.keys = keys
        self.port = free_port()
        self.starts = 0
        self.path = processes.logs / f"{scene}.yaml"
        self.environment = {"SESSIONS_KEY": secrets.token_hex(32)}
        self.config: dict[str, Any] = {
            "listeners": [{"address": f"127.0.0.1:{self.port}"}],
            "admin": {"address": "off"},
            # Rates with a burst below eight times the number of workers are exact.
            "workers": 2,
            "sessions": {"key": "env:SESSIONS_KEY"},
            "authentication": {"api_keys": [keys.entries["first"]]},
            "servers": [{"name": "it", "url": f"{upstream.origin}/mcp"}],
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/it/mcp"

    def headers(self) -> dict[str, str]:
        return {"X-Api-Key": self.keys.keys["first"]}

    def start(self) -> None:
        self.write()
        self.starts += 1
        name = f"{self.scene}-gateway-{self.starts}"
        self.process = self.processes.start(
            name, [str(self.binary), "serve", "--config", str(self.path)], self.environment
        )
        self.processes.wait_ready(name, self.process, self.port)

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                # A second signal ends what a drain waits for.
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            self.processes.running.remove(self.process)
            self.process = None

    def restart(self, sessions_forgotten: bool = False) -> None:
        self.stop()
        if sessions_forgotten:
            self.environment["SESSIONS_KEY"] = secrets.token_hex(32)
        self.start()

    def write(self) -> None:
        # YAML is a superset of JSON.
        self.path.write_text(json.dumps(self.config, indent=2) + os.linesep)

    def forget_key(self) -> None:
        """The key that the client has is good no longer; returns when the gateway knows."""
        self.config["authentication"]["api_keys"] = [self.keys.entries["second"]]
        self.write()
        assert self.process
        self.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + READY_SECONDS_MAX
        while self.status() != 401:
            if time.monotonic() > until:
                raise SystemExit(f"{self.scene}: the gateway does not take the new configuration")
            time.sleep(0.05)

    def status(self) -> int:
        ping = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
        kinds = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        headers = {**self.headers(), **kinds}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, ping, headers), timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


class Keys:
    """Two API keys of the same agent."""

    def __init__(self, binary: Path) -> None:
        made = {name: policy.new_api_key(binary, name, "agent") for name in ("first", "second")}
        self.keys = {name: key for name, (key, _) in made.items()}
        self.entries = {name: entry for name, (_, entry) in made.items()}


class Upstream:
    """A server-everything, for all scenes of a framework."""

    def __init__(self, processes: Processes, name: str) -> None:
        self.processes = processes
        self.name = f"{name}-everything"
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = self.processes.start(self.name, SERVERS["everything"][0], {"PORT": str(self.port)})
        self.processes.wait_ready(self.name, self.process, self.port)

    def end(self) -> None:
        end_group(self.process, signal.SIGKILL)
        self.process.wait()
        self.processes.running.remove(self.process)

    def sessions(self) -> dict[str, int]:
        """What the server has logged so far."""
        log = (self.processes.logs / f"{self.name}.log").read_text(errors="replace")
        return {what: log.count(words) for what, words in LOGGED.items()}
