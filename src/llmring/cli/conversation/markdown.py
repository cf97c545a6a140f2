"""Markdown that is still being written: which of it is finished, and how it looks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from markdown_it import MarkdownIt
from rich.markdown import CodeBlock, Heading, Markdown
from rich.segment import Segment
from rich.syntax import Syntax

if TYPE_CHECKING:
    from markdown_it.token import Token
    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType

__all__ = ["Lines", "blocks", "cut", "ending", "rendered"]

# HTML is text to a terminal. Rich would leave it out, and with it the List<String> of an answer.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
_FENCE = re.compile(r" {0,3}(```|~~~)")
_CODE_THEME = "ansi_dark"


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
    """The lines of something, without empty ones around it, and without blanks at their ends: they would be copied.

    Args:
        whole: what to show.
        last: only that many of its lines, from the end.
    """

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
