"""llmring: name an alias, and the lockfile says which provider's model answers, in one uniform stream.

    async with LLMRing() as service:
        request = LLMRequest(model="chatbot", messages=[Message(role="user", content="Count to 10")])
        async for chunk in service.chat_stream(request):
            print(chunk.delta, end="", flush=True)

Importing this imports next to nothing: each name is loaded when it is first used.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if sys.version_info < (3, 11):  # noqa: UP036  # whoever gets around pip is told, and not by a syntax error
    raise ImportError("llmring needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

from .lazy import lazily

if TYPE_CHECKING:
    from . import events, exceptions, schemas, sync
    from .breaker import BreakerState
    from .capabilities import Capabilities, Fact
    from .catalog import Cost, ModelInfo
    from .counting import ContextCheck, TokenCount
    from .exceptions import LLMRingError
    from .files import FileHandle, Forgotten, RegisteredFile, Upload
    from .parts import audio, document, image, text
    from .providers.kinds import register
    from .providers.listing import ListedModel
    from .schemas import FinishReason, LLMRequest, LLMResponse, Message, StreamChunk, ToolCall, Usage
    from .service import LLMRing
    from .stream import ChatStream
    from .talk import Conversation, ToolCalled, ToolResult, ToolRun, ToolStream
    from .tools import tool

    __version__: str

__all__ = [
    "BreakerState",
    "Capabilities",
    "ChatStream",
    "ContextCheck",
    "Conversation",
    "Cost",
    "Fact",
    "FileHandle",
    "FinishReason",
    "Forgotten",
    "LLMRequest",
    "LLMResponse",
    "LLMRing",
    "LLMRingError",
    "ListedModel",
    "Message",
    "ModelInfo",
    "RegisteredFile",
    "StreamChunk",
    "TokenCount",
    "ToolCall",
    "ToolCalled",
    "ToolResult",
    "ToolRun",
    "ToolStream",
    "Upload",
    "Usage",
    "__version__",
    "audio",
    "document",
    "events",
    "exceptions",
    "image",
    "register",
    "schemas",
    "sync",
    "text",
    "tool",
]

_load, __dir__ = lazily(
    __name__,
    {
        "breaker": ("BreakerState",),
        "capabilities": ("Capabilities", "Fact"),
        "catalog": ("Cost", "ModelInfo"),
        "counting": ("ContextCheck", "TokenCount"),
        "exceptions": ("LLMRingError",),
        "files": ("FileHandle", "Forgotten", "RegisteredFile", "Upload"),
        "parts": ("audio", "document", "image", "text"),
        "providers.kinds": ("register",),
        "providers.listing": ("ListedModel",),
        "schemas": ("FinishReason", "LLMRequest", "LLMResponse", "Message", "StreamChunk", "ToolCall", "Usage"),
        "service": ("LLMRing",),
        "stream": ("ChatStream",),
        "events": (),
        "sync": (),
        "talk": ("Conversation", "ToolCalled", "ToolResult", "ToolRun", "ToolStream"),
        "tools": ("tool",),
    },
    later=(
        "breaker",
        "bulk",
        "capabilities",
        "catalog",
        "clusters",
        "concealment",
        "counting",
        "dialects",
        "events",
        "files",
        "parts",
        "policy",
        "references",
        "request",
        "routing",
        "stream",
        "structured",
        "talk",
        "tool_dialects",
        "tools",
        "vendors",
    ),
)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name != "__version__":
            return _load(name)
        from importlib.metadata import version

        return version("llmring")
