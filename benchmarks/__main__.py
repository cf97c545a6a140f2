"""`python -m benchmarks`: measure, print the table, write it down."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .aliases import aliases
from .chunks import chunks
from .drawing import draw
from .faces import faces
from .imports import imports
from .mapping import mapping
from .measuring import FULL, GLANCE, QUICK, Figure, Scale, table
from .memory import memory
from .policies import policies
from .recordings import recordings
from .requests import requests
from .serving import server_process
from .state import state
from .streams import streams
from .watching import watching

GROUPS: dict[str, Callable[..., Awaitable[list[Figure]]]] = {
    "chunks": chunks,
    "faces": faces,
    "watching": watching,
    "requests": requests,
    "streams": streams,
    "memory": memory,
    "imports": imports,
    "aliases": aliases,
    "state": state,
    "policies": policies,
    "recordings": recordings,
    "mapping": mapping,
}
_PACKAGES = ("openai", "anthropic", "google-genai", "ollama", "httpx2", "httpx", "pydantic", "typer")
_RESULTS = Path(__file__).parent / "results"


async def measure(names: list[str], scale: Scale, *, peers: bool) -> dict[str, list[Figure]]:
    measured = {}
    with server_process() as server:
        for name in names:
            begun = time.monotonic()
            measured[name] = await GROUPS[name](server, scale, peers=peers)
            print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return measured


def described(measured: dict[str, list[Figure]], scale: str) -> dict[str, Any]:
    """The results as the JSON file has them."""
    return {
        "scale": scale,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: version(name) for name in _PACKAGES},
        "figures": [{"group": name, **figure.described()} for name, figures in measured.items() for figure in figures],
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, within a minute")
    parser.add_argument("--glance", action="store_true", help="next to nothing of everything: does it run?")
    parser.add_argument("--only", action="append", choices=GROUPS, metavar="NAME", help=f"one of {', '.join(GROUPS)}")
    parser.add_argument("--peers", action="store_true", help="measure other unified libraries, too, that are installed")
    parser.add_argument(
        "--json", type=Path, metavar="PATH", help="where results go; of all, in full: benchmarks/results/"
    )
    parser.add_argument("--svg", type=Path, metavar="PATH", help="draw them, too")
    asked = parser.parse_args()
    name = "glance" if asked.glance else "quick" if asked.quick else "full"
    scale = {"glance": GLANCE, "quick": QUICK, "full": FULL}[name]
    for variable in [v for v in os.environ if v.lower().endswith("_proxy") or v.startswith("LLMRING_")]:
        del os.environ[variable]
    measured = asyncio.run(measure(asked.only or list(GROUPS), scale, peers=asked.peers))
    print(table([figure for figures in measured.values() for figure in figures]))
    results = described(measured, name)
    # What is published is a full run of all.
    if to := asked.json or (_RESULTS / "latest.json" if name == "full" and not asked.only else None):
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(json.dumps(results, indent=1) + "\n")
    if asked.svg:
        asked.svg.write_text(draw(results))
    print(f"\nMedian of {scale.rounds} rounds or fewer (least-most), each ratio within its round. {verdict(results)}")


def verdict(results: dict[str, Any]) -> str:
    """Which bounds hold, in a sentence."""
    bounds = [(figure["name"], bound) for figure in results["figures"] for bound in figure["bounds"]]
    missed = [f"{name} (over {bound['over']}: {bound['value']})" for name, bound in bounds if not bound["holds"]]
    return f"{len(bounds) - len(missed)} of {len(bounds)} bounds hold" + (
        f"; missed: {'; '.join(missed)}" if missed else ""
    )


if __name__ == "__main__":
    main()
