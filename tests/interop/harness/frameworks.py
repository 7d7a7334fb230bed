"""The frameworks of the matrix: where each is installed from, and the program that lets the matrix drive it."""

import json
from dataclasses import dataclass
from pathlib import Path

from harness import packages

HERE = packages.HERE / "frameworks"
NODE_DIR = HERE / "node"


@dataclass(frozen=True)
class Framework:
    name: str
    program: str
    environment: str
    """Of Python: the environment, and the requirements file of that name. Of Node: `node`."""
    package: str
    """The package whose version stands in the table."""
    fast: bool = False
    """Installs in some seconds, so `tests/interop/run` has it too."""

    def command(self) -> list[str]:
        if self.environment == "node":
            return [str(packages.NODE), str(NODE_DIR / self.program)]
        return [str(packages.python(self.environment)), str(HERE / "python" / self.program)]

    def install(self) -> None:
        if self.environment == "node":
            packages.install_npm(NODE_DIR)
        elif not self.environment.startswith("sdk"):
            packages.install_pip(self.environment, HERE / "python")

    def version(self) -> str:
        """As pinned."""
        if self.environment == "node":
            return pinned_npm(self.package)
        folder = packages.HERE / "python" if self.environment.startswith("sdk") else HERE / "python"
        lines = (folder / f"requirements-{self.environment}.txt").read_text().splitlines()
        return next(line.split("==")[1] for line in lines if line.startswith(f"{self.package}=="))


def pinned_npm(package: str) -> str:
    locked = json.loads((NODE_DIR / "package-lock.json").read_text())
    return locked["packages"][f"node_modules/{package}"]["version"]


FRAMEWORKS = [
    Framework("typescript-sdk-1", "sdk1.mjs", "node", "@modelcontextprotocol/sdk"),
    Framework("typescript-sdk-2", "sdk2.mjs", "node", "@modelcontextprotocol/client"),
    Framework("python-sdk-1", "sdk1.py", "sdk1", "mcp"),
    Framework("python-sdk-2", "sdk2.py", "sdk2", "mcp"),
    Framework("fastmcp", "fastmcp_client.py", "fastmcp", "fastmcp"),
    Framework("langchain", "langchain_agent.py", "langchain", "langchain-mcp-adapters", fast=True),
    Framework("openai-agents", "openai_agents.py", "openai-agents", "openai-agents"),
    Framework("pydantic-ai", "pydantic_ai_agent.py", "pydantic-ai", "pydantic-ai-slim", fast=True),
    Framework("google-adk", "google_adk.py", "google-adk", "google-adk"),
    Framework("strands", "strands_agents.py", "strands", "strands-agents"),
    Framework("mcp-use", "mcp_use_agent.py", "mcp-use", "mcp-use"),
    Framework("ai-sdk", "ai_sdk.mjs", "node", "@ai-sdk/mcp"),
    Framework("mastra", "mastra.mjs", "node", "@mastra/mcp"),
    Framework("mcp-remote", "mcp_remote.mjs", "node", "mcp-remote"),
]
