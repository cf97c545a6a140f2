"""llmring: name an alias, and the lockfile says which provider's model answers, in one uniform stream.

    async with LLMRing() as service:
        request = LLMRequest(model="chatbot", messages=[Message(role="user", content="Count to 10")])
        async for chunk in service.chat_stream(request):
            print(chunk.delta, end="", flush=True)

Importing this imports nothing else: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import exceptions, schemas
    from .catalog import Cost, ModelInfo
    from .exceptions import LLMRingError
    from .parts import audio, document, image, text
    from .schemas import FinishReason, LLMRequest, LLMResponse, Message, StreamChunk, ToolCall, Usage
    from .service import LLMRing
    from .stream import ChatStream
    from .tools import tool

__all__ = [
    "ChatStream",
    "Cost",
    "FinishReason",
    "LLMRequest",
    "LLMResponse",
    "LLMRing",
    "LLMRingError",
    "Message",
    "ModelInfo",
    "StreamChunk",
    "ToolCall",
    "Usage",
    "__version__",
    "audio",
    "document",
    "exceptions",
    "image",
    "schemas",
    "text",
    "tool",
]

_HOME = {
    "ChatStream": "stream",
    "Cost": "catalog",
    "ModelInfo": "catalog",
    "audio": "parts",
    "document": "parts",
    "image": "parts",
    "text": "parts",
    "tool": "tools",
    "FinishReason": "schemas",
    "LLMRequest": "schemas",
    "LLMResponse": "schemas",
    "LLMRing": "service",
    "LLMRingError": "exceptions",
    "Message": "schemas",
    "StreamChunk": "schemas",
    "ToolCall": "schemas",
    "Usage": "schemas",
}

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    elif name in ("exceptions", "schemas"):
        value = import_module(f".{name}", __name__)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("llmring")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
