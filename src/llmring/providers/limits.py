"""The limit of the output, for a wire that demands one."""

from __future__ import annotations

import logging

from ..catalog.records import max_output_tokens
from .base import Call

__all__ = ["output_limit"]

logger = logging.getLogger("llmring")


def output_limit(call: Call, provider: str, *, otherwise: int = 4096) -> int:
    """How many tokens may be generated, where a format cannot do without saying it: `max_tokens` of the request, else
    what the model can do, as far as that is known.

    Args:
        call: the call.
        provider: its provider's name, for the log.
        otherwise: for a model of which nothing is known; that it is sent is logged.
    """
    asked = call.request
    if asked.max_tokens is not None:
        return asked.max_tokens
    known = max_output_tokens(call.model)
    if known is None and "max_tokens" not in asked.extra_params:
        logger.info(
            "%s:%s: sending max_tokens=%d, as this model's own limit is not known; set max_tokens for more",
            *(provider, call.model, otherwise),
        )
    return known or otherwise
