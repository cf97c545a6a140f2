"""llmring for code that awaits nothing: scripts, threads, a REPL, notebooks.

from llmring.sync import LLMRing

with LLMRing() as service:
    print(service.chat(request).content)
"""

from .service import ChatStream, LLMRing
from .talk import Conversation, ToolStream

__all__ = ["ChatStream", "Conversation", "LLMRing", "ToolStream"]
