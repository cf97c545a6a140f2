"""The picture of a conversation, drawn from a real one with the practice server: `python -m docs.pictures [PATH]`."""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text
from tests.cli.terminal import Terminal
from tests.program import forks

from llmring.testing import PracticeServer, Tokens

__all__ = ["draw"]

PICTURE = Path(__file__).parent / "images" / "chat.svg"
WIDTH = 84
LOCKFILE = """\
version = "1.0"
default_profile = "default"

[profiles.default]
name = "default"

[[profiles.default.bindings]]
alias = "chatbot"
models = ["anthropic:claude-haiku-5-5", "openai:gpt-6-luna"]

[[profiles.default.bindings]]
alias = "deep"
models = ["anthropic:claude-opus-5-5"]
"""
FIRST = """\
Two ways:

- **in place**: `numbers.reverse()`
- **as a copy**: `numbers[::-1]`

```python
numbers = [1, 2, 3]
print(numbers[::-1])  # [3, 2, 1]
```
"""
SECOND = 'The same slice: `"stream"[::-1]` gives `"maerts"`. A string has no `reverse()`, because it never changes.'


def draw() -> str:
    """The picture, as SVG."""
    with tempfile.TemporaryDirectory() as folder, PracticeServer() as server, forks():
        lockfile = Path(folder) / "llmring.lock"
        lockfile.write_text(LOCKFILE)
        server.reply(FIRST, reasoning="Short. In place or as a copy? Show both.", usage=Tokens(614, 131, reasoning=24))
        server.reply(SECOND, usage=Tokens(742, 58))
        # By the name of a gateway: at a host of one's own nobody bills, and the picture shows what an answer costs.
        there = server.environ("http://gateway.invalid") | {"HTTP_PROXY": server.url, "http_proxy": server.url}
        screen = _talk({**there, "LLMRING_LOCKFILE_PATH": str(lockfile), "LLMRING_HISTORY": "off"})
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(re.sub(r"\d+\.\d s", "1.4 s", screen)))
    return _with_local_fonts(console.export_svg(title="llmring chat", theme=MONOKAI, unique_id="chat"))


def _talk(environment: dict[str, str]) -> str:
    """What the terminal shows in the end."""
    with Terminal("chat", width=WIDTH, height=40, LLMRING_PROFILE="", NO_COLOR="", **environment) as terminal:
        terminal.expect("chatbot> ")
        terminal.say("How do I reverse a list in Python?")
        terminal.expect("tokens: 614 in", "chatbot> ")
        terminal.say("/model deep")
        terminal.expect("deep> ")
        terminal.say("And a string?")
        terminal.expect("in all: 2 requests", "deep> ")
        return terminal.screen.styled()


def _with_local_fonts(svg: str) -> str:
    """The picture with fonts that the reader's machine has: Rich's own would be fetched from elsewhere."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace")


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else PICTURE).write_text(draw(), encoding="utf-8")
