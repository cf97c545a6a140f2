"""How an alias is served, beside who serves it: what the keys of a binding do to the way of a request.

`lockfile/policy.py` says what may be written; a request of an alias that says none of it never imports this package.
A service has one `Conductor`, which remembers between requests, and each request of such an alias a `Conduct`, which
`routing.Route` asks where the way forks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .conduct import Conduct, Conductor, own_params, runs_tools
    from .conversations import Places, value_of
    from .hedging import Side
    from .shares import side_of

__all__ = ["Conduct", "Conductor", "Places", "Side", "own_params", "runs_tools", "side_of", "value_of"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "conduct": ("Conduct", "Conductor", "own_params", "runs_tools"),
            "conversations": ("Places", "value_of"),
            "hedging": ("Side",),
            "shares": ("side_of",),
        },
    )
