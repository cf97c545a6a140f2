"""Tools in text: for models that have none of their own, or say them their own way where the server does not read it.

A dialect describes tools in the system prompt, writes former calls and results as turns of text, and makes a reader,
which tells calls from text while an answer arrives. Nothing here knows a wire, a server or a model's name.
"""

from .calls import BrokenCall, Call, Event, Text
from .dialects import ToolDialect, ToolMode, dialect, dialect_names, dialect_of_template, told, tool_mode
from .reading import MAX_CALL, ToolReader

__all__ = [
    "MAX_CALL",
    "BrokenCall",
    "Call",
    "Event",
    "Text",
    "ToolDialect",
    "ToolMode",
    "ToolReader",
    "dialect",
    "dialect_names",
    "dialect_of_template",
    "told",
    "tool_mode",
]
