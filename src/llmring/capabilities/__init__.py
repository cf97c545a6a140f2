"""What a model can do: facts, each with who says it: the lockfile, the provider, or the data that comes with llmring.

    caps = await service.capabilities("chatbot")
    caps.can("images"), caps.context_window.value, caps.context_window.source

`Known` keeps what the providers of a service have said; `needs_of` says what a request asks of its model. Each name is
imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .facts import ABILITIES, Ability, Capabilities, Fact, Source
    from .knowing import Known, Place, known_of
    from .needs import Passed, Unable, made_up_for, needs_of, unable

__all__ = [
    "ABILITIES",
    "Ability",
    "Capabilities",
    "Fact",
    "Known",
    "Passed",
    "Place",
    "Source",
    "Unable",
    "known_of",
    "made_up_for",
    "needs_of",
    "unable",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "facts": ("ABILITIES", "Ability", "Capabilities", "Fact", "Source"),
            "knowing": ("Known", "Place", "known_of"),
            "needs": ("Passed", "Unable", "made_up_for", "needs_of", "unable"),
        },
    )
