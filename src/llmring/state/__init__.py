"""Rates, budgets and breakers that requests share: in this process, in a file, or in Redis.

What an alias's `rate` and `budget` say is kept here, and counted in the store that `[state]` of the lockfile names. A
request of an alias without them never imports this package.

    asks.py     what a store is asked and told, and what it says
    rules.py    how it decides that, as steps on records; `step.lua` has the same for Redis
    windows.py  the hours, days and months of budgets
    stores.py   what a store is, and the one of this process; `sqlite.py` and `redis.py` have the others
    desk.py     asks and tells a store, for one event loop; `far.py` one that is elsewhere, and may be away
    line.py     those who wait
    standing.py shows how all of it stands
    gate.py     what one request passes, and what is told of its end; `costs.py` says what it may cost
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .costs import Subject
    from .gate import Gate, Pass
    from .shared import Conversations, Shared, place_of
    from .standing import AliasStanding, BudgetStanding, ModelStanding, RateStanding, Standing, reset, standing_of

__all__ = [
    "AliasStanding",
    "BudgetStanding",
    "Conversations",
    "Gate",
    "ModelStanding",
    "Pass",
    "RateStanding",
    "Shared",
    "Standing",
    "Subject",
    "place_of",
    "reset",
    "standing_of",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "costs": ("Subject",),
            "gate": ("Gate", "Pass"),
            "shared": ("Conversations", "Shared", "place_of"),
            "standing": (
                "AliasStanding",
                "BudgetStanding",
                "ModelStanding",
                "RateStanding",
                "Standing",
                "reset",
                "standing_of",
            ),
        },
    )
