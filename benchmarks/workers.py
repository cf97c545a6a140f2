"""Processes of their own, for what would be measured wrong beside everything else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["ask", "report"]


async def ask(module: str, *arguments: object) -> Any:
    """What `python -m benchmarks.MODULE ARGUMENTS` reports."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def report(work: Callable[..., Awaitable[Any]]) -> None:
    """Be such a process. One that has said what it saw need not tidy up."""

    async def run() -> None:
        print(json.dumps(await work(*sys.argv[1:])), flush=True)
        os._exit(0)

    asyncio.run(run())
