"""What happens to requests, for OpenTelemetry: spans and metrics by the conventions for generative AI.

    async with LLMRing(on_event=OpenTelemetry()) as service: ...

It needs the extra `otel`, which is `opentelemetry-api` alone. Where spans and metrics go is the program's to say, by
the SDK that it configures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .listener import OpenTelemetry

__all__ = ["OpenTelemetry"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, {"listener": ("OpenTelemetry",)})
