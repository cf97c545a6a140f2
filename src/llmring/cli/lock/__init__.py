"""`llmring lock`: the lockfile as a whole. One module per command."""

from __future__ import annotations

import typer

from .init import init

__all__ = ["app"]

app = typer.Typer(help="Make and keep the lockfile.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    pass


app.command()(init)
