"""`llmring lock`: the lockfile as a whole. One module per command."""

from __future__ import annotations

import typer

from . import profile
from .check import check
from .convert import convert
from .diff import diff
from .init import init
from .schema import schema
from .show import show
from .upgrade import upgrade
from .validate import validate

__all__ = ["app"]

_HELP = """Make and keep the lockfile.

\b
Example:
  llmring lock init
  llmring lock show
  llmring lock check --strict
"""

app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    pass


app.command()(init)
app.command()(show)
app.command()(diff)
app.command()(validate)
app.command()(check)
app.command()(upgrade)
app.command()(convert)
app.command()(schema)
app.add_typer(profile.app, name="profile")
