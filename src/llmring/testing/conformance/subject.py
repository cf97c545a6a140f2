"""Who is tested: `Subject`, and what it may lack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...dialects import Dialect
from ...providers.base import Provider, ProviderConfig
from ..exchange import Problem, RecordedRequest, Trouble
from ..wires import FORMATS
from .ready import READY
from .wire import Asked, WireScript, key_of

__all__ = ["ABILITIES", "Subject"]

ABILITIES: Mapping[str, str] = {
    "tools": "functions that the model may call",
    "parallel_tools": "several calls in one turn",
    "call_events": "calls that come apart from the text, not written into it",
    "call_ids": "ids that the server gives to calls",
    "thinking": "thinking that is told apart from the text",
    "structured_output": "an answer of a given form (`response_format`)",
    "usage": "counts of tokens",
    "cached_usage": "how much of the prompt came from a cache",
    "reasoning_usage": "how much of the output was thinking",
    "response_model": "the exact model that answered",
    "finish_reason": "a word for how an answer ended",
    "length": "a word for an answer that ended at its limit",
    "content_filter": "a word for an answer that was withheld",
    "error_events": "errors in the middle of a stream",
    "end_marker": "an end marker, without which an answer is not whole",
    "bare_end": "answers that end well at an end marker which names no finish reason: said of a wire whose marker is "
    "the reason, and so cannot leave it out",
    "key": "a key that goes along with each request",
}
"""What a provider may lack, by name."""
_PARTS = {
    "tools": ("parallel_tools", "call_events", "call_ids"),
    "usage": ("cached_usage", "reasoning_usage"),
    "finish_reason": ("length", "content_filter"),
}
"""What cannot be there without another."""


@dataclass(frozen=True)
class Subject:
    """A provider to be tested.

    Attributes:
        provider: what `LLMRing.register_provider` takes: its class, a function that makes one of a `ProviderConfig`, or
            a `Dialect`.
        wire: what it speaks: `"openai-chat"`, `"openai-responses"`, `"anthropic"`, `"gemini"` or `"ollama"`, or a
            `WireScript` of your own.
        lacks: what it cannot do, by ability (`ABILITIES`), each with the reason. The tests that need it are skipped for
            that reason; one test sees to it that it is true.
        name: as in `provider:model`.
        model: a name that the server takes for a model's.
        path: what follows the server's address in the `base_url`; `None` for what the wire says.
        patience: seconds that one test may take.
        timeout: seconds of silence, where it is to be waited for.

    Raises:
        ValueError: there is no such wire, or no such ability.
    """

    provider: type[Provider] | Callable[[ProviderConfig], Provider] | Dialect
    wire: str | WireScript
    lacks: Mapping[str, str] = field(default_factory=dict)
    name: str = "conformance"
    model: str = "model-1"
    path: str | None = None
    patience: float = 20.0
    timeout: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.wire, WireScript) and self.wire not in READY:
            raise ValueError(
                f"There is no wire {self.wire!r} ready; there are: {', '.join(READY)}. For one of your own, give an "
                "instance of your WireScript."
            )
        if unknown := sorted(self.lacks.keys() - ABILITIES):
            raise ValueError(f"There is no ability {unknown[0]!r} to lack; there are: {', '.join(ABILITIES)}.")

    @property
    def lacking(self) -> Mapping[str, str]:
        """All that is not there: what the wire has not, and what the provider has not."""
        of_wire = READY[self.wire].lacks if isinstance(self.wire, str) else self.wire.lacks
        lacking = {**of_wire, **self.lacks}
        for whole, parts in _PARTS.items():
            if whole in lacking:
                lacking |= {part: lacking[whole] for part in parts if part not in lacking}
        return lacking

    @property
    def to_prove(self) -> Mapping[str, str]:
        """Of that, what a test can prove: who has no tools has no parts of them, whatever a look at one says."""
        lacking = self.lacking
        implied = {part for whole, parts in _PARTS.items() if whole in lacking for part in parts}
        return {ability: reason for ability, reason in lacking.items() if ability not in implied}

    @property
    def base_path(self) -> str:
        """What follows the server's address in the `base_url`."""
        if self.path is not None:
            return self.path
        return READY[self.wire].path if isinstance(self.wire, str) else self.wire.path

    @property
    def needs_end_marker(self) -> bool:
        """Whether an answer without its end marker is none."""
        return "end_marker" not in self.lacking

    @property
    def id_header(self) -> str | None:
        """The header in which the server names a request's id."""
        return FORMATS[self.wire].ID_HEADER if isinstance(self.wire, str) else self.wire.id_header

    @property
    def troubles(self) -> Mapping[Trouble, Problem]:
        """How the server words what it has a word for."""
        if isinstance(self.wire, str):
            return FORMATS[self.wire].TROUBLES
        return {**WireScript.troubles, **self.wire.troubles}

    def read(self, request: RecordedRequest) -> Asked:
        """What a request asks for."""
        asked = READY[self.wire].read(request) if isinstance(self.wire, str) else self.wire.read(request)
        return asked if asked is not None else Asked(None, False, key=key_of(request))
