"""llmring for code that awaits nothing: scripts, threads, a REPL, notebooks.

from llmring.sync import LLMRing

with LLMRing() as service:
    print(service.chat(request).content)
"""

from .bulk import RowMap
from .service import LLMRing
from .streams import ChatStream, ToolStream
from .talk import Conversation

__all__ = ["ChatStream", "Conversation", "LLMRing", "RowMap", "ToolStream"]
