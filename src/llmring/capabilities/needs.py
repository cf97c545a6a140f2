"""What a request asks of a model, and which of that a model is known not to have."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..exceptions import ModelCapabilityError
from ..references import split_reference
from ..wire.errors import CannotCarry
from ..wire.media import is_text_type, kind_of, of_part, registered

if TYPE_CHECKING:
    from ..schemas import LLMRequest
    from ..structured import AnswerFormat
    from .facts import Ability, Capabilities, Source

__all__ = ["Passed", "Unable", "made_up_for", "needs_of", "unable"]

logger = logging.getLogger("llmring")

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
        if (file := registered(part)) is not None:
            if not is_text_type(file.get("media_type")):
                yield _HELD[kind_of(file.get("media_type"))]
            continue
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
        error = ModelCapabilityError(
            f"{self.model} cannot take this request: it {self.why}. {self.advice}", provider=provider, model=name
        )
        error.asked = False
        return error

    @property
    def advice(self) -> str:
        """What to do about it."""
        return f'If it can, say so in the lockfile: [models."{self.model}"] {self.lacks[0]} = true.'


class Passed:
    """Those of the candidates of a request who are passed over, as they are known not to be able to take it.

    Args:
        alias: what the request named.
        candidates: who may serve, in order.
        unable: of each, what it is known to lack; `None` of whom that is nothing.

    Attributes:
        able: the candidates who are left.

    Raises:
        ModelCapabilityError: none is.
    """

    def __init__(self, alias: str, candidates: Sequence[str], unable: Sequence[Unable | None]) -> None:
        self._alias = alias
        self.able: list[str] = []
        # Those before the first who is able, before each of the others, and at the end.
        self._passed: list[list[Unable]] = [[]]
        for candidate, lacking in zip(candidates, unable, strict=True):
            if lacking is None:
                self.able.append(candidate)
                self._passed.append([])
            else:
                self._passed[-1].append(lacking)
        if not self.able:
            raise self._none_can(self._passed[0])

    def told(self) -> Sequence[ModelCapabilityError]:
        """The errors of those whose turn it would be now; the log tells of them."""
        passed = self._passed.pop(0) if self._passed else []
        for it in passed:
            logger.warning("%s: passing over %s: it %s", self._alias, it.model, it.why)
        return [it.error() for it in passed]

    def _none_can(self, unable: Sequence[Unable]) -> ModelCapabilityError:
        *others, last = (it.error() for it in unable)
        if others:
            each = "; ".join(f"{it.model} {it.why}" for it in unable)
            last.args = (f"No model of {self._alias} can take this request: {each}. {unable[-1].advice}",)
        last.attempts = [*others]
        return last


def made_up_for(row: Mapping[str, Any], tools: str | None) -> Sequence[str]:
    """What llmring does for the models of a provider that cannot do it.

    Args:
        row: how it says what they can do, as `vendors.json` has it.
        tools: how they are told of tools, where the lockfile says it.
    """
    made: Sequence[str] = row.get("made_up_for", ())
    if tools is None:
        return made
    others = [it for it in made if it != "tools"]
    return [*others, "tools"] if tools.startswith("prompt:") else others


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
