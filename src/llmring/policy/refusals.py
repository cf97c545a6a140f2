"""Parameters that a model refuses: recognised, left out, remembered.

Which parameter a refusal names is found by `providers/errors.py`, from the vendors' words for each, which are data
(`parameters` in `vendors.json`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..exceptions import ProviderError, ProviderResponseError

if TYPE_CHECKING:
    from ..schemas import LLMRequest

__all__ = ["DROPPED", "Refusals", "refused_by", "without"]

DROPPED: Final = frozenset({"temperature", "top_p", "seed", "stop", "reasoning_effort", "reasoning_tokens"})
"""The fields of a request that may be left out. Without the others it would be another request: its tools, the form of
its answer, the most that it may cost."""
_STATUSES = (400, 422)
_MOST = 256
"""Models that are remembered: who serves strangers lets them choose the names."""


def refused_by(error: ProviderError, request: LLMRequest) -> str | None:
    """The parameter of a request that an error says was refused, if it may be left out; `None` for any other error."""
    if not isinstance(error, ProviderResponseError) or error.status_code not in _STATUSES:
        return None
    name = error.parameter
    if name is None:
        return None
    is_set = name in DROPPED and getattr(request, name) is not None
    return name if is_set or name in request.extra_params else None


def without(request: LLMRequest, names: Mapping[str, Any]) -> LLMRequest:
    """The request without some of its parameters."""
    fields = {name: None for name in names if name in DROPPED and getattr(request, name) is not None}
    extra = {name: value for name, value in request.extra_params.items() if name not in names}
    if len(extra) < len(request.extra_params):
        fields["extra_params"] = extra  # type: ignore[assignment]
    return request.model_copy(update=fields) if fields else request


class Refusals:
    """What was refused by which model, for as long as a service lives.

    One value may be refused, as one out of a range is, or every value: a parameter of which two have been is left out
    from then on, whatever its value.
    """

    def __init__(self) -> None:
        self._of: dict[str, dict[str, list[Any]]] = {}

    def add(self, model: str, name: str, value: Any) -> None:
        """A model refused a parameter of that value."""
        known = self._of.pop(model, {})
        values = known.get(name, [])
        self._of[model] = {**known, name: values if value in values else [*values, value][:2]}
        while len(self._of) > _MOST:
            try:
                self._of.pop(next(iter(self._of)), None)
            except (StopIteration, RuntimeError):  # another thread is at it, too
                return

    def fitted(self, model: str, request: LLMRequest) -> LLMRequest:
        """The request without what the model is known to refuse."""
        known = self._of.get(model)
        if not known:
            return request
        names = {name: None for name, values in known.items() if _is_refused(_value_of(request, name), values)}
        return without(request, names) if names else request


def _value_of(request: LLMRequest, name: str) -> Any:
    return getattr(request, name) if name in DROPPED else request.extra_params.get(name)


def _is_refused(value: Any, values: list[Any]) -> bool:
    return value is not None and (len(values) > 1 or value in values)
