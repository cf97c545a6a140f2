"""`llmring chat` without a prompt: a conversation in the terminal.

`talk` is the loop, `dialogue` what has been said, `commands` what a slash does; `keyboard` and `history` read what is
typed, `screen`, `answer` and `markdown` show what comes, `transcript` saves it.
"""

from .talk import converse

__all__ = ["converse"]
