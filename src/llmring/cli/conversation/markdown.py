"""Markdown that is still being written: its blocks, how much of it is certain, and what it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar
from unicodedata import east_asian_width

from markdown_it import MarkdownIt
from rich.markdown import CodeBlock, Heading, Markdown
from rich.segment import Segment
from rich.style import Style
from rich.syntax import Syntax

if TYPE_CHECKING:
    from markdown_it.token import Token
    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderResult

Line = list[Segment]

# HTML is text to a terminal. Rich would leave it out, and with it the List<String> of an answer; and the addresses of
# links that stand below it.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"]).disable("reference")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_CODE_THEME = "ansi_dark"
_AS_IT_IS = Style.from_meta({"as_it_is": True})
_LISTS = ("bullet_list_open", "ordered_list_open", "blockquote_open")
_WHOLE = ("table_open", "hr")
"""What is as wide as the screen or its widest row: it is shown when it is whole."""
_LEAVES = ("inline", "fence", "code_block")
_MARKS = "=-*_+#>`~|:0123456789.) \t"
"""What a line may begin with that is none of its text."""
_LONGEST = 60
"""Characters of a word that are waited for."""
_HELD = 300
"""Characters of a text that wait for the end of an emphasis, a link or a piece of code in it."""
_ADDRESS = 2000
"""Characters of a link's address, at most."""
_MOST = 200
"""Marks that are looked at together."""
_TIMES = 3
"""How often marks are taken for text at a time; what is left waits for the next."""
_ESCAPE = "\\"


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


def split_code(text: str, most: int) -> tuple[str, str] | None:
    """Long code that is still being written as two blocks, so that not all of it is coloured again and again."""
    lines = text.split("\n")
    fence = _FENCE.match(text)
    if fence is None or len(lines) < 2 * most:
        return None
    return "\n".join((*lines[: most + 1], fence[1], "")), "\n".join((lines[0], *lines[most + 1 :]))


def settled(text: str) -> tuple[str, int]:
    """The text of a block that grows, and how much of it looks the same whatever follows.

    Half a word, emphasis without an end, and what may become a table, a heading or a list, are not yet. What waits too
    long for its end is taken for text: its marks come back with a backslash.
    """
    tokens = _PARSER.parse(text)
    lines = text.split("\n")
    last = len(text) - len(lines[-1])
    end = whole_words(text) if lines[-1].strip(_MARKS) else last
    if (said := text[:end].rstrip()).endswith(_ESCAPE):  # at the end of a line it is a break, once something follows
        end = len(said) - 1
    whole = [token.map[0] for token in tokens if token.type in _WHOLE and token.map is not None]
    if whole:
        begin = max(it for it in _starts(text) if it <= whole[0])
        return text, min(end, _offset(lines, begin))
    leaf = next((token for token in reversed(tokens) if token.type in _LEAVES), None)
    if leaf is None or leaf.type != "inline" or leaf.map is None or text.endswith("\n\n"):
        return text, end
    if (row := _may_be_table(lines)) is not None:
        end = min(end, _offset(lines, row))
    begin = _offset(lines, leaf.map[0])
    for _ in range(_TIMES):
        opened = _unclosed(text, begin, end)
        if not opened:
            return text, end
        if len(text) - opened[0][0] <= _HELD:
            return text, opened[0][0]
        for at, length in reversed([it for it in opened if len(text) - it[0] > _HELD]):
            text = f"{text[:at]}{''.join(f'{_ESCAPE}{mark}' for mark in text[at : at + length])}{text[at + length :]}"
            end += length
    return text, opened[0][0]


def whole_words(text: str) -> int:
    """How much of a text that grows consists of whole words."""
    at = len(text)
    while at and not text[at - 1].isspace() and not is_wide(text[at - 1]):
        at -= 1
    return at if len(text) - at <= _LONGEST else len(text)


def laid_out(console: Console, text: str) -> list[Line]:
    """A block's lines, each as long as it is: a paragraph's lines are its own, and those of a table fit the screen."""
    markdown = _Markdown("", code_theme=_CODE_THEME, hyperlinks=False)
    markdown.parsed = _PARSER.parse(text)
    _keep_lines(markdown.parsed)
    width = console.width
    if not any(token.type in _WHOLE for token in markdown.parsed):
        width = 2 * max(map(len, text.expandtabs().split("\n"))) + 80
    found = console.render_lines(markdown, console.options.update(width=width, height=None), pad=False)
    lines = [_without_blanks(line) for line in found]
    while lines and not lines[-1]:
        lines.pop()
    begin = next((number for number, line in enumerate(lines) if line), 0)
    return lines[begin:]


def is_list(text: str) -> bool:
    """Whether a block's lines begin with marks that those which are broken are to stand behind."""
    return any(token.type in _LISTS for token in _PARSER.parse(text)[:1])


def is_whole(text: str) -> bool:
    """Whether a block has been made to fit the screen."""
    return any(token.type in _WHOLE for token in _PARSER.parse(text))


def stands_as_it_is(line: Line) -> bool:
    """Whether a line is code, which can be copied only if nothing breaks it."""
    return any(segment.style is not None and segment.style.meta.get("as_it_is") for segment in line)


def is_wide(character: str) -> bool:
    """Whether a character takes two cells, as those of Chinese and Japanese do, between which a line may end."""
    return not character.isascii() and east_asian_width(character) in ("W", "F")


class _Heading(Heading):
    LEVEL_ALIGN: ClassVar[dict[str, JustifyMethod]] = {}


class _Code(CodeBlock):
    """Code with nothing around it, in its own lines, so that it can be copied from the screen."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = Syntax(str(self.text).rstrip(), self.lexer_name, theme=self.theme)
        for text, style, control in console.render(code, options):
            yield Segment(text, (style or Style()) + _AS_IT_IS, control) if text != "\n" else Segment.line()


class _Markdown(Markdown):
    elements: ClassVar[Mapping[str, type]] = {  # type: ignore[assignment]
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
    }


def _without_blanks(line: Line) -> Line:
    """The line without blanks at its end, which would be copied."""
    kept = [*line]
    while kept and not kept[-1].text.strip(" "):
        kept.pop()
    if kept:
        text, style, control = kept[-1]
        kept[-1] = Segment(text.rstrip(" "), style, control)
    return kept


def _lines(text: str) -> list[str]:
    """The lines as Markdown counts them, which is not as `str.splitlines` does."""
    return [line + "\n" for line in text.split("\n")]


def _offset(lines: list[str], number: int) -> int:
    return sum(len(line) + 1 for line in lines[:number])


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


def _may_be_table(lines: list[str]) -> int | None:
    """The line that a table would begin with, if what follows has it so."""
    if "|" in lines[-1] and lines[-1].strip(_MARKS):
        return len(lines) - 1
    if len(lines) > 1 and "|" in lines[-2] and not lines[-1].strip(_MARKS):
        return len(lines) - 2
    return None


def _unclosed(text: str, begin: int, end: int) -> list[list[int]]:
    """The marks in a piece of text that may change what follows them: where each is, how long.

    This guesses what the parser would say, to which `Answer` holds it.
    """
    opened: list[list[int]] = []
    at = begin
    while at < end and len(opened) < _MOST:
        mark = text[at]
        if mark == "\\":
            at += 2
            continue
        if mark == "`":
            length = _run(text, at)
            if (closing := _same_run(text, at + length, end, length)) is None:
                opened.append([at, length])
                break
            at = closing + length
            continue
        if mark in "*_~":
            length = _run(text, at)
            before, after = text[at - 1 : at], text[at + length : at + length + 1]
            left = length
            if before.strip() and not (mark == "_" and after.isalnum()):
                left = _close(text, opened, mark, left)
            if left and after.strip() and not (mark == "_" and before.isalnum()) and (mark != "~" or length == 2):
                opened.append([at + length - left, left])
            at += length
            continue
        if mark == "[":
            is_picture = text[at - 1 : at] == "!"
            opened.append([at - is_picture, 1 + is_picture])
        elif mark == "]" and (opening := next((it for it in reversed(opened) if text[it[0]] in "[!"), None)):
            if text[at + 1 : at + 2] != "(":
                opened.remove(opening)
            elif (closing := _parenthesis(text, at + 1, end)) is not None:
                opened.remove(opening)
                at = closing
        at += 1
    return opened


def _run(text: str, at: int) -> int:
    end = at
    while end < len(text) and text[end] == text[at]:
        end += 1
    return end - at


def _same_run(text: str, at: int, end: int, length: int) -> int | None:
    """Where the next run of as many backticks begins."""
    while (at := text.find("`", at, end)) >= 0:
        if (found := _run(text, at)) == length:
            return at
        at += found
    return None


def _close(text: str, opened: list[list[int]], mark: str, left: int) -> int:
    """Take what a mark closes from those that are open; how much of the mark is left."""
    while left and (opening := next((it for it in reversed(opened) if text[it[0]] == mark), None)):
        used = min(left, opening[1])
        left -= used
        opening[1] -= used
        if not opening[1]:
            del opened[opened.index(opening) :]
    return left


def _parenthesis(text: str, at: int, end: int) -> int | None:
    """Where the parenthesis that opens there is closed."""
    depth = 0
    for number in range(at, min(end, at + _ADDRESS)):
        depth += {"(": 1, ")": -1}.get(text[number], 0)
        if not depth:
            return number
    return None
