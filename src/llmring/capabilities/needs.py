"""What a request asks of a model, and which of that a model is known not to have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..exceptions import ModelCapabilityError
from ..references import split_reference
from ..wire.errors import CannotCarry
from ..wire.media import of_part

if TYPE_CHECKING:
    from ..schemas import LLMRequest
    from ..structured import AnswerFormat
    from .facts import Ability, Capabilities, Source

__all__ = ["Unable", "needs_of", "unable"]

_HELD: Mapping[str, Ability] = {"image": "images", "document": "documents", "audio": "audio"}
_WORDS: Mapping[Ability, str] = {
    "images": "takes no pictures",
    "documents": "takes no documents",
    "audio": "takes no audio",
    "tools": "calls no tools",
    "structured_output": "holds no answer to a schema",
}
_SAYS: Mapping[Source, str] = {
    "lockfile": "as the lockfile says",
    "provider": "as its provider says",
    "catalogue": "as the catalogue says",
    "assumed": "as is usual",
}


def needs_of(request: LLMRequest, form: AnswerFormat | None) -> Sequence[Ability]:
    """What a request, as every wire reads it, asks of a model beside text.

    Args:
        request: its tools are definitions.
        form: the form of the answer.
    """
    found: dict[Ability, None] = {}
    for message in request.messages:
        if isinstance(message.content, list):
            found |= dict.fromkeys(_held(message.content))
    if any(tool.get("type") == "function" for tool in request.tools or ()):
        found["tools"] = None
    if form is not None and form.schema is not None:
        found["structured_output"] = None
    return tuple(found)


def _held(parts: Sequence[Mapping[str, Any]]) -> Iterator[Ability]:
    for part in parts:
        try:
            media = of_part(dict(part))
        except CannotCarry:  # the wire says so
            continue
        # Plain text goes as text.
        if media is not None and media.kind in _HELD and not media.is_text:
            yield _HELD[media.kind]


@dataclass(frozen=True, slots=True)
class Unable:
    """What a model lacks of what a request asks for.

    Attributes:
        model: the `provider:model`.
        lacks: the abilities.
        why: in words, each with who says it.
    """

    model: str
    lacks: tuple[Ability, ...]
    why: str

    def error(self) -> ModelCapabilityError:
        """The error of a request that is not sent to the model."""
        provider, name = split_reference(self.model)
        first = self.lacks[0]
        return ModelCapabilityError(
            f"{self.model} cannot take this request: it {self.why}. If it can, say so in the lockfile: "
            f'[models."{self.model}"] {first} = true.',
            provider=provider,
            model=name,
        )


def unable(known: Capabilities, needs: Sequence[Ability], made_up_for: Sequence[str] = ()) -> Unable | None:
    """What a model is known to lack; `None` where that is nothing.

    Args:
        known: what is known of it.
        needs: what is asked for.
        made_up_for: what llmring does for it, where it cannot.
    """
    lacks = tuple(it for it in needs if known.can(it) is False and it not in made_up_for)
    if not lacks:
        return None
    why = ", ".join(f"{_WORDS[it]} ({_SAYS[getattr(known, it).source]})" for it in lacks)
    return Unable(known.model, lacks, why)
