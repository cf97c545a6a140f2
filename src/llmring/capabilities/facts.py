"""What a model can do, each fact with who says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Final, Generic, Literal, NamedTuple, NoReturn, TypeVar

__all__ = ["ABILITIES", "UNKNOWN", "Ability", "Capabilities", "Fact", "Said", "Source", "joined"]

T = TypeVar("T")

Ability = Literal[
    "streaming", "tools", "parallel_tools", "images", "documents", "audio", "structured_output", "reasoning"
]
"""What a model can do, or cannot."""
Source = Literal["lockfile", "provider", "catalogue", "assumed"]
"""Who says a fact: the lockfile's `[models."..."]`; the provider's own endpoint; the data that comes with llmring, its
wires' own limits among them; or nobody, and it is what is usual."""

ABILITIES: Final[tuple[Ability, ...]] = (
    *("streaming", "tools", "parallel_tools", "images", "documents", "audio", "structured_output", "reasoning"),
)


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """One thing that is known of a model, or is not.

    A fact by itself is neither true nor false, and says so where it is asked (`if caps.images:` raises `TypeError`):
    ask for its `value`, which is `None` where nobody knows.

    Attributes:
        value: what is so; `None` where nobody knows.
        source: who says it: `"lockfile"`, `"provider"`, `"catalogue"` or `"assumed"`.
        date: the day on which the provider was asked, or the catalogue's data was recorded; `None` for the others, and
            where the data has none.
    """

    value: T | None
    source: Source = "assumed"
    date: date | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("A fact is neither true nor false: nobody may know. Ask for its .value, or caps.can(ABILITY)")


UNKNOWN: Final[Fact[Any]] = Fact(None)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do, as far as anybody says: each a `Fact`, with its value, its source and its day.

        caps = await service.capabilities("chatbot")
        if caps.can("images") is not False:
            ...
        caps.context_window.value, caps.context_window.source

    Attributes:
        model: the `provider:model`.
        streaming: whether its answers come in pieces.
        tools: whether it calls functions by itself. Where it does not, llmring may tell it of them in the prompt: on
            Ollama it does, elsewhere where the lockfile says `tools = "prompt:..."`.
        parallel_tools: whether one turn may call several.
        images, documents, audio: whether a message may hold pictures, documents that are not plain text (PDF), sounds.
        structured_output: whether it holds an answer to a JSON schema.
        reasoning: whether it thinks before it answers, or can be made to.
        reasoning_efforts: the values of `reasoning_effort` that it takes, least first.
        context_window: tokens that fit, of prompt and answer together where the provider counts them so.
        max_output_tokens: the most tokens that it generates in one answer.
        refused_parameters: fields of a request that it does not take (`"temperature"`).
    """

    model: str
    streaming: Fact[bool] = UNKNOWN
    tools: Fact[bool] = UNKNOWN
    parallel_tools: Fact[bool] = UNKNOWN
    images: Fact[bool] = UNKNOWN
    documents: Fact[bool] = UNKNOWN
    audio: Fact[bool] = UNKNOWN
    structured_output: Fact[bool] = UNKNOWN
    reasoning: Fact[bool] = UNKNOWN
    reasoning_efforts: Fact[tuple[str, ...]] = UNKNOWN
    context_window: Fact[int] = UNKNOWN
    max_output_tokens: Fact[int] = UNKNOWN
    refused_parameters: Fact[tuple[str, ...]] = UNKNOWN

    def can(self, ability: Ability) -> bool | None:
        """Whether it can: `True`, `False`, or `None` where nobody knows.

        Args:
            ability: `"streaming"`, `"tools"`, `"parallel_tools"`, `"images"`, `"documents"`, `"audio"`,
                `"structured_output"` or `"reasoning"`.

        Raises:
            ValueError: there is no such ability.
        """
        if ability not in ABILITIES:
            raise ValueError(f"There is no ability {ability!r}; there are: {', '.join(ABILITIES)}.")
        value: bool | None = getattr(self, ability).value
        return value

    def facts(self) -> Iterator[tuple[str, Fact[Any]]]:
        """Every fact with its name, in the order of the attributes."""
        return ((it.name, getattr(self, it.name)) for it in fields(self) if it.name != "model")


class Said(NamedTuple):
    """What one source says of a model.

    Attributes:
        source: who.
        facts: values by name; what it does not say is not there, or `None`.
        date: when.
    """

    source: Source
    facts: Mapping[str, Any]
    date: date | None = None


def joined(model: str, said: Iterable[Said]) -> Capabilities:
    """What is known of a model: of each fact, what the first source says that says anything.

    Args:
        model: the `provider:model`.
        said: by the sources, the one that counts most first.
    """
    found: dict[str, Fact[Any]] = {}
    for source, facts, day in said:
        for name, value in facts.items():
            if value is not None and name not in found:
                found[name] = Fact(tuple(value) if isinstance(value, list) else value, source, day)
    return Capabilities(model, **found)
