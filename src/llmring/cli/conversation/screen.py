"""What the conversation shows: its remarks, an answer while it arrives, and Markdown that is still being written."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Literal

from markdown_it import MarkdownIt
from rich.console import Console, Group
from rich.live import Live
from rich.markdown import CodeBlock, Heading, Markdown
from rich.padding import Padding
from rich.segment import Segment
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from ...exceptions import LLMRingError
from ...schemas import StreamChunk
from ..terminal import hear_warnings, printable, unexpected

if TYPE_CHECKING:
    from markdown_it.token import Token
    from rich.console import ConsoleOptions, JustifyMethod, RenderableType

THEME = Theme({"markdown.code": "bold cyan"})
"""Nothing that needs a dark terminal."""
PACE = 0.08
"""Seconds between two drawings."""
_SPARE = 3
"""Lines of the screen that the unfinished block leaves free."""
# HTML is text to a terminal. Rich would leave it out, and with it the List<String> of an answer.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
_FENCE = re.compile(r" {0,3}(```|~~~)")
_CODE_THEME = "ansi_dark"


class Screen:
    """The terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(theme=THEME, highlight=False, markup=False, emoji=False)

    def answer(self, waiting: str) -> Answer:
        """An answer that is about to arrive, and what to say until it does."""
        return Answer(self.console, waiting)

    def say(self, text: str = "") -> None:
        """What a command was asked for."""
        self._write(Text(printable(text)))

    def note(self, text: str) -> None:
        """A remark beside the conversation."""
        self._write(Text(printable(text), "dim"))

    def warn(self, text: str) -> None:
        """Something to look at that stops nothing."""
        self._write(Text.assemble(("Warning:", "yellow"), " ", printable(text)))

    def fail(self, error: Exception) -> None:
        """What went wrong, and what to do."""
        text = str(error) if isinstance(error, LLMRingError) else unexpected(error)
        self._write(Text.assemble(("Error:", "red"), " ", printable(text)))

    def _write(self, text: Text) -> None:
        # The terminal breaks the lines: a command that is copied from them stays in one piece.
        self.console.print(text, soft_wrap=True)

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Rows in columns; what does not fit is wrapped."""
        table = Table.grid(padding=(0, 3, 0, 0))
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in row))
        self.console.print(Padding(table, (0, 0, 0, 2)))

    def show_warnings(self) -> None:
        """Have what the library warns of shown here, such as moving on to a stand-by."""
        hear_warnings(self.warn)


class Answer:
    """The answer of one turn: finished blocks are printed for good, and only the one under way is drawn anew.

    Use it as a context manager; when it is left, all that came is printed for good.
    """

    def __init__(self, console: Console, waiting: str) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        dots = "dots" if console.encoding.startswith("utf") else "line"
        self._spinner: Spinner | None = Spinner(dots, Text(printable(waiting), "dim"), style="dim")
        self._kind: Literal["text", "thinking"] = "text"
        self._open = ""
        self._changed = False
        self._printed = False

    def __enter__(self) -> Answer:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._finish()
        self._live.stop()

    def add(self, chunk: StreamChunk) -> None:
        """Take a piece of the answer. It is drawn with the next drawing."""
        if chunk.reasoning:
            self._take("thinking", chunk.reasoning)
        if chunk.delta:
            self._take("text", chunk.delta)

    async def keep_drawing(self) -> None:
        """Draw what has changed, until cancelled."""
        while True:
            begun = monotonic()
            self.draw()
            # What takes long to draw is drawn less often: the answer must not wait for the screen.
            await asyncio.sleep(max(PACE, 4 * (monotonic() - begun)))

    def draw(self) -> None:
        """Print what is finished, and draw what is not."""
        if self._spinner is not None:
            self._live.update(self._spinner, refresh=True)
        elif self._changed:
            self._changed = False
            finished, self._open = self._cut()
            self._show(finished, self._unfinished(finished))

    def _take(self, kind: Literal["text", "thinking"], piece: str) -> None:
        if kind != self._kind:
            self._finish()
            self._kind = kind
        self._open += printable(piece)
        self._changed = True
        self._spinner = None

    def _finish(self) -> None:
        """Print what is still open, as it is."""
        self._show(self._open, "")
        self._open = ""

    def _cut(self) -> tuple[str, str]:
        if self._kind == "text":
            return cut(self._open)
        finished, paragraph, rest = self._open.rpartition("\n\n")
        return finished + paragraph, rest

    def _show(self, finished: str, unfinished: RenderableType) -> None:
        """Print the one and draw the other below it, in one go."""
        with self._console:
            self._live.update(unfinished, refresh=True)
            self._print(finished)

    def _print(self, text: str) -> None:
        found = blocks(text) if self._kind == "text" else text.split("\n\n")
        shown = [part for block in found if block.strip() for part in ("", Lines(self._look(block)))]
        if not shown:
            return
        self._console.print(Group(*(shown if self._printed else shown[1:])))
        self._printed = True

    def _unfinished(self, before: str) -> RenderableType:
        """As much of the end of what is open as the screen has room for, below what was printed."""
        if not self._open.strip():
            return ""
        apart = [""] if self._printed or before.strip() else []
        room = max(1, self._console.height - _SPARE)
        return Group(*apart, Lines(self._look(ending(self._open, room)), room))

    def _look(self, text: str) -> RenderableType:
        return rendered(text) if self._kind == "text" else Text(text.strip("\n"), "dim italic")


class _Heading(Heading):
    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class _Code(CodeBlock):
    """Code with nothing around it, so that it can be copied from the screen."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Syntax]:
        yield Syntax(str(self.text).rstrip(), self.lexer_name, theme=self.theme, word_wrap=True)


class _Markdown(Markdown):
    elements: ClassVar[Mapping[str, type]] = {  # type: ignore[assignment]
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
    }


class Lines:
    """The lines of something, or only the last of them, without empty ones around it, and without blanks at their ends,
    which would be copied."""

    def __init__(self, whole: RenderableType, last: int | None = None) -> None:
        self._whole = whole
        self._last = last

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        rendered = console.render_lines(self._whole, options.update(height=None), pad=False)
        lines = [_without_blanks(line) for line in rendered]
        while lines and not lines[-1]:
            lines.pop()
        begin = next((number for number, line in enumerate(lines) if line), 0)
        for line in lines[begin:][-self._last if self._last else 0 :]:
            yield from line
            yield Segment.line()


def _without_blanks(line: list[Segment]) -> list[Segment]:
    kept = [*line]
    while kept and not kept[-1].text.strip(" "):
        kept.pop()
    if kept:
        text, style, control = kept[-1]
        kept[-1] = Segment(text.rstrip(" "), style, control)
    return kept


def rendered(text: str) -> Markdown:
    """Markdown for Rich. A line that ends in the text ends on the screen; addresses of links are shown."""
    markdown = _Markdown("", code_theme=_CODE_THEME, hyperlinks=False)
    markdown.parsed = _PARSER.parse(text)
    _keep_lines(markdown.parsed)
    return markdown


def cut(text: str) -> tuple[str, str]:
    """The blocks that no further text can change any more, and the rest, which may still grow.

    Blocks are decided line by line, so that the last block and a line that is not ended yet stay open.
    """
    complete = text[: text.rfind("\n") + 1]
    starts = list(_starts(complete))
    if len(starts) < 2:
        return "", text
    at = len("".join(_lines(complete)[: starts[-1]]))
    return text[:at], text[at:]


def blocks(text: str) -> list[str]:
    """The text in its blocks: paragraphs, headings, lists, code, tables."""
    lines = _lines(text)
    ends = [*list(_starts(text))[1:], len(lines)]
    return ["".join(lines[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]


def ending(text: str, lines: int) -> str:
    """As much of an unfinished block as can be seen in the last lines of a screen.

    Code is cut short below its opening line: it may be long, and colouring all of it anew would take too long.
    """
    rows = text.split("\n")
    return "\n".join((rows[0], *rows[-lines:])) if len(rows) > lines + 1 and _FENCE.match(text) else text


def _lines(text: str) -> list[str]:
    """The lines as Markdown counts them, which is not as `str.splitlines` does."""
    return [line + "\n" for line in text.split("\n")]


def _starts(text: str) -> Iterator[int]:
    """The lines with which the outermost blocks begin."""
    for token in _PARSER.parse(text):
        if token.level == 0 and token.nesting >= 0 and token.map is not None:
            yield token.map[0]


def _keep_lines(tokens: list[Token]) -> None:
    for token in tokens:
        if token.type == "softbreak":
            token.type = "hardbreak"
        _keep_lines(token.children or [])
