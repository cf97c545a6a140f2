"""`llmring mcp`: the lockfile for assistants, as a server of the Model Context Protocol on standard in- and output."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..exceptions import ConfigurationError
from ..providers.creation import how_to_install, installed_version
from .terminal import note


def mcp(
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="Write the lockfile without asking: whoever is connected may.")
    ] = False,
) -> None:
    """Serve the lockfile to an assistant (Model Context Protocol).

    A client starts this command, and asks it over standard input and output: which alias is served by what, what a
    model costs, what changed since a git revision, what is wrong. It may bind and unbind aliases, too: each change is
    shown as a diff by the client (an elicitation of the protocol), and written on a yes. Where a client cannot ask,
    nothing is written, unless the server was started with --allow-writes. It asks no provider over the network and
    hands out no key. It needs the package mcp, which the extra `mcp` brings.

    \b
    Example:
      llmring mcp
      llmring mcp --allow-writes
    """
    if installed_version("mcp") is None:
        raise ConfigurationError(f"llmring mcp needs the package mcp. To install it: {how_to_install('mcp')}")
    from .serving import serve

    if sys.stdin is not None and sys.stdin.isatty():
        note("Waiting for a client on standard input, which usually starts this command by itself. To end it: Ctrl-C")
    serve(allow_writes=allow_writes)
