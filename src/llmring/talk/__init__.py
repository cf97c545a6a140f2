"""What a program says again and again, written once: the loop of a model's calls, and a conversation.

`loop` asks, has the functions called (`functions`), tells what came of them, and asks again; `runs` is what it gives.
`conversation` keeps what was said, `turns` its parts, and `saved` its file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .conversation import Conversation
    from .functions import Functions
    from .loop import ToolStream
    from .runs import Round, ToolCalled, ToolResult, ToolRun
    from .turns import Totals, Turn

__all__ = ["Conversation", "Functions", "Round", "ToolCalled", "ToolResult", "ToolRun", "ToolStream", "Totals", "Turn"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "conversation": ("Conversation",),
            "functions": ("Functions",),
            "loop": ("ToolStream",),
            "runs": ("Round", "ToolCalled", "ToolResult", "ToolRun"),
            "turns": ("Totals", "Turn"),
        },
    )
