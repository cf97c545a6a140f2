"""Tools in text: for models that have none of their own, or say them their own way where the server does not read it.

A dialect describes tools in the system prompt, writes former calls and results as turns of text, and makes a reader,
which tells calls from text while an answer arrives. Nothing here knows a wire, a server or a model's name.

A decoder of one's own uses them so:

    hermes = dialect("hermes")
    request = told(request, hermes)                    # before rendering: tools, calls and results as text
    reader = hermes.reader(original.tools or ())       # one for each answer
    for event in reader.feed(piece):                   # for each piece of text, and reader.close() at the end
        ...                                            # Text, Call or BrokenCall; the last is an error, not text
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
