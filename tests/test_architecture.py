"""What `docs/architecture.md` says of the house, where a test can see it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "llmring"


def test_the_road_of_one_request_is_as_short_as_the_page_says() -> None:
    """Its files are named there, one by one, and together have no more lines than it says."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"In (\w+) files, of at most ([\d,]+) lines together[^:]*:\n\n((?:\|.*\n)+)", page)
    number, most, table = said
    files = re.findall(r"^\| `([\w/]+\.py)` \|", table, re.MULTILINE)
    assert (number, len(files)) == ("ten", len(set(files)))
    assert len(files) == 10
    lines = sum(len((SOURCE / name).read_text(encoding="utf-8").splitlines()) for name in files)
    assert (most, lines <= 2425) == ("2,425", True), lines


def test_the_page_names_no_file_that_is_not_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:llmring/)?([\w/]+\.(?:py|json)|[\w/]+/)`", page))
    assert len(named) > 60
    missing = {name for name in named if not any((at / name).exists() for at in (SOURCE, ROOT))}
    assert missing == set()


def test_what_is_imported_later_is_the_nouns_alone() -> None:
    """The contracts on imports do not see a module that is named by its words: it must be one that all may know."""
    named = {it for file in SOURCE.rglob("*.py") for it in re.findall(r'Later\("([^"]+)"\)', file.read_text("utf-8"))}
    assert named == {"llmring.schemas"}


def imported(file: Path) -> Iterator[Path]:
    """The modules of ours that a module imports, also where that is for types alone."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for found in ([base / it.name for it in node.names], [base]):
                yield from (it.with_suffix(".py") for it in found if it.with_suffix(".py").is_file())


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not for types either, which the contracts on imports leave out: who reads one would have to read them all."""
    files = [*SOURCE.rglob("*.py")]
    assert len(files) > 150
    TopologicalSorter({it: {*imported(it)} - {it} for it in files}).prepare()
