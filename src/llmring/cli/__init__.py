"""The command line: one module per command group. `llmring --help` lists the commands."""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """What the `llmring` command runs."""
    from .app import run

    run()
