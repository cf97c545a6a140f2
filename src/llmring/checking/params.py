"""Whether a request can be made with the params of a binding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..exceptions import LLMRingError
from ..lockfile.checks import escaped, shown
from .bindings import Source
from .findings import Finding

if TYPE_CHECKING:
    from ..lockfile import Binding

__all__ = ["unusable_params"]


def unusable_params(source: Source) -> Iterator[Finding]:
    """The bindings whose params every request would fail with."""
    for profile in source.lockfile.profiles.values():
        for binding in profile.bindings.values():
            if binding.params and (problem := _problem(binding)):
                spot = source.params_spot(profile.name, binding.alias)
                message = f"No request can be made under the alias {shown(binding.alias)}: {problem}"
                advice = f"Correct its params, or take them out, in {source.path}."
                yield Finding("params-invalid", "error", spot, message, advice)


def _problem(binding: Binding) -> str | None:
    """What a request with these params would be refused for, by the same code. A choice of tools is the request's."""
    from ..preparing import seconds, with_params
    from ..schemas import LLMRequest
    from ..structured import answer_format
    from ..tools import definitions

    try:
        request = with_params(LLMRequest(model=binding.models[0], messages=[]), binding)
        seconds(request.timeout, "timeout")
        answer_format(definitions(request) if request.tools is not None else request)
    except LLMRingError as error:
        return escaped(str(error))
    return None
