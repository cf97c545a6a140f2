"""The pages as the site has them: what a skill or the code says is put in, and links lead to pages of the site."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath

from .api import API
from .benchmarks import benchmarks_tables
from .configuration import constructor_table, lockfile_table, request_table, vendors_table
from .errors import errors_table

__all__ = ["GUIDES", "ROOT", "Pages", "section", "slug"]

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

GUIDES: Mapping[str, str] = {
    "llmring-bulk": "docs/bulk.md",
    "llmring-chat": "docs/terminal.md",
    "llmring-lockfile": "docs/lockfile.md",
    "llmring-observability": "docs/observability.md",
    "llmring-parts": "docs/pictures-and-documents.md",
    "llmring-providers": "docs/integrate-a-provider.md",
    "llmring-routing": "docs/routing.md",
    "llmring-streaming": "docs/streaming.md",
    "llmring-structured-output": "docs/structured-answers.md",
    "llmring-testing": "docs/recordings.md",
    "llmring-tools": "docs/tools.md",
}
"""For people, what a skill is for assistants."""

BESIDE: Mapping[str, str] = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
}
"""Pages that stand at the top of the repository, and where the site has them."""

MADE: Mapping[str, Callable[[], str]] = {
    "benchmarks": benchmarks_tables,
    "constructor": constructor_table,
    "errors": errors_table,
    "lockfile": lockfile_table,
    "request": request_table,
    "vendors": vendors_table,
}
"""What a page has put in where it says `<!-- made: NAME -->`."""

_MARK = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)
_SHARED = re.compile(r"^→ \[(Code(?: \d)?: |Table: |)([^\]]+)\]\(((?:\.\./)*skills/[^)#]+)#([^)]+)\)$", re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"^```\w+\n.*?^```$", re.MULTILINE | re.DOTALL)
_TABLE = re.compile(r"(?:^\|.*\n?)+", re.MULTILINE)
_SKILL = re.compile(r"[Tt]he skill `([\w-]+)`")


def slug(heading: str) -> str:
    """The anchor of a heading."""
    kept = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[\s]+", "-", kept)


def section(written: str, anchor: str) -> str:
    """What stands below a heading, up to the next one of its rank."""
    lines = written.splitlines()
    fenced, begin, rank = False, None, 0
    for number, line in enumerate(lines):
        fenced ^= line.startswith("```")
        found = None if fenced else re.match(r"(#+) (.*)", line)
        if found is None:
            continue
        if begin is not None and len(found[1]) <= rank:
            return "\n".join(lines[begin:number]).strip()
        if begin is None and slug(found[2]) == anchor:
            begin, rank = number + 1, len(found[1])
    if begin is None:
        raise KeyError(f"There is no heading #{anchor}")
    return "\n".join(lines[begin:]).strip()


class Pages:
    """Every page of the site by its path there, as Markdown."""

    def __init__(self) -> None:
        self.api = API()

    @cached_property
    def sources(self) -> dict[str, str]:
        """From the path in the repository to the one on the site."""
        found = {str(it.relative_to(ROOT).as_posix()): it for it in sorted(DOCS.rglob("*.md"))}
        return {path: path.removeprefix("docs/") for path in found} | dict(BESIDE)

    def for_the_site(self) -> dict[str, str]:
        """With marks where the generator puts the reference."""
        return self._written() | {page.file: self.api.for_the_site(page) for page in self.api.pages}

    def as_markdown(self) -> dict[str, str]:
        """For who reads no HTML."""
        return self._written() | {page.file: self.api.as_markdown(page) for page in self.api.pages}

    def _written(self) -> dict[str, str]:
        made = {place: self.page(path) for path, place in self.sources.items() if (ROOT / path).is_file()}
        return made | {"reference/index.md": self._contents()}

    def page(self, path: str) -> str:
        """One page, by its path in the repository."""
        written = (ROOT / path).read_text(encoding="utf-8")
        shared = _SHARED.sub(lambda found: self._shared(path, found), written)
        made = _MARK.sub(lambda found: MADE[found[1]](), shared)
        return self._relinked(made, path)

    def _shared(self, path: str, found: re.Match[str]) -> str:
        """A section of a skill, its code, or its table."""
        skill = os.path.normpath(f"{PurePosixPath(path).parent}/{found[3]}")
        text = section((ROOT / skill).read_text(encoding="utf-8"), found[4])
        if found[1]:
            kind = _TABLE if found[1] == "Table: " else _CODE
            which = int("".join(filter(str.isdigit, found[1])) or 1)
            text = kind.findall(text)[which - 1].strip()
        text = _SKILL.sub(lambda it: f"[{it[1]}]({_relative('skills/' + it[1] + '/SKILL.md', skill)})", text)
        # Its links are relative to the skill, and are made relative to the page.
        return _outside(text, lambda it: _rewritten(it, _relative(_target(it, skill), path)))

    def _relinked(self, written: str, path: str) -> str:
        return _outside(written, lambda found: self._link(found, path))

    def _link(self, found: re.Match[str], path: str) -> str:
        target = _target(found, path)
        parts = PurePosixPath(target).parts
        guide = GUIDES.get(parts[1], "") if parts[0] == "skills" and len(parts) > 1 else ""
        if guide and guide != path:
            return f"[{_title(ROOT / guide) if parts[-1] == 'SKILL.md' else found[2]}]({_relative(guide, path)})"
        here = self.sources.get(path, path)
        if target in self.sources:
            return _rewritten(found, _relative(self.sources[target], here))
        if target.startswith("docs/"):
            return _rewritten(found, _relative(target.removeprefix("docs/"), here))
        # A file of the repository that is no page: its name has to do.
        return found[2] if guide != path else f"`{target}`"

    def _contents(self) -> str:
        rows = [f"| [{page.title}]({page.file.rpartition('/')[2]}) | {_first(page.says)} |" for page in self.api.pages]
        return "\n".join(
            [
                "# API reference",
                "",
                "Every public name, from the docstrings. Import nothing that is not listed here: it may change.",
                "",
                "| module | |",
                "|---|---|",
                *rows,
                "",
            ]
        )


def _first(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split()).replace("|", "\\|")


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") if path.is_file() else path.stem


def _target(found: re.Match[str], path: str) -> str:
    """Where a link leads, as a path in the repository."""
    return os.path.normpath(f"{PurePosixPath(path).parent}/{found[3]}")


def _relative(target: str, path: str) -> str:
    return os.path.relpath(target, str(PurePosixPath(path).parent))


def _rewritten(found: re.Match[str], target: str) -> str:
    return f"{found[1]}[{found[2]}]({target}{found[4] or ''})"


def _outside(written: str, change: Callable[[re.Match[str]], str]) -> str:
    """The links outside code."""
    pieces = _FENCED.split(written)
    # Links may hold code: those pieces are put back before the links are looked at.
    text, kept = "", []
    for number, piece in enumerate(pieces):
        if number % 2:
            kept.append(piece)
            text += f"\x00{len(kept) - 1}\x00"
        else:
            text += piece
    return re.sub(r"\x00(\d+)\x00", lambda it: kept[int(it[1])], _LINK.sub(change, text))
