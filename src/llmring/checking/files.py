"""Which files are a project's, its source code and the texts beside it, and what is to be read in them."""

from __future__ import annotations

import ast
import json
import os
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..exceptions import ConfigurationError, LockfileError
from ..lockfile.files import plain
from ..lockfile.git import git

__all__ = ["Code", "Fault", "Files", "code_in", "names_in_file", "project_files", "strings_in"]

_SUFFIXES = (".py", ".ipynb")
_NEVER = frozenset({"node_modules", "__pycache__", "site-packages"})
_BUILT = frozenset({"build", "dist"})
_TEXT = re.compile(
    r".*\.(?:bash|cfg|conf|env|fish|hcl|html|ini|jsonc?|[jt]sx?|mjs|mdx?|properties|ps1|rst|sh|tf|toml|txt|ya?ml|zsh)"
)
_TEXT_NAMES = re.compile(r"(?:Dockerfile|Makefile|Procfile|justfile|\.env)(?:\..+)?")
_LARGEST = 256 * 1024
"""Bytes. What is larger was not written by hand."""
_PROFILE = re.compile(r"\bprofile\s*=\s*\\?$")
_BINDS = re.compile(r"\balias[\"']?\s*[:=]\s*[\"']?$")
# `%pip install x`, `!ls`, `?name`, `name?`, `files = !ls`, `x = %sql ...`
_IPYTHON = re.compile(r"([ \t]*)(?:[%!?]|[\w.*]+\?{1,2}\s*$|\w[\w \t,.\[\]'\"]*=[ \t]*[%!](?!=))")
# These run the Python that follows them: `%time answer = f()`, `%%capture`
_TIMED_LINE = re.compile(r"(\s*)%time(?:it)?\s(?!\s*-)")
_PYTHON_CELL = re.compile(r"%%(?:time|timeit|capture|prun)\b")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a project, each once and in order.

    Attributes:
        source: Python files and notebooks.
        texts: settings, scripts and documents, which may name an alias too.
    """

    source: list[Path]
    texts: list[Path]


def project_files(roots: Iterable[Path]) -> Files:
    """The files at or below some paths.

    What git ignores is left out where git is there; everywhere hidden folders, virtual environments and installed
    packages are, and without git also what was built. A file that is named itself is always taken.

    Raises:
        ConfigurationError: a path is not there.
    """
    found: set[Path] = set()
    named: set[Path] = set()
    for root in roots:
        if os.path.isdir(root):
            tracked = _tracked(root)
            found.update(_walked(root) if tracked is None else tracked)
        elif os.path.exists(root):
            named.add(root)
        else:
            raise ConfigurationError(
                f"There is no {root} to look for aliases in. Name a file or a folder that is there"
            )
    texts = {path for path in found | named if _is_text(path.name)}
    return Files(sorted((found | named) - texts), sorted(texts))


def _tracked(root: Path) -> list[Path] | None:
    """What git knows or would add below a folder; `None` where git cannot say, or ignores the folder itself."""
    if _git(root, "check-ignore", "--quiet", ".") is not None:
        return None
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if listed is None:
        return None
    skipped: dict[Path, bool] = {root: False}
    paths = [root / name for name in map(os.fsdecode, listed.split(b"\0")) if _is_wanted(os.path.basename(name))]
    return [path for path in paths if not _is_skipped(path.parent, skipped) and os.path.isfile(path)]


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git says of a folder; `None` where it is not there, knows no repository, or says no."""
    try:
        done = git(Path(os.path.abspath(root)), *arguments)
    except LockfileError:
        return None
    return done.stdout if done.returncode == 0 else None


def _is_skipped(folder: Path, known: dict[Path, bool]) -> bool:
    if folder not in known:
        known[folder] = _is_skipped(folder.parent, known) or _is_foreign(folder.parent, folder.name)
    return known[folder]


def _walked(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        place = Path(folder)
        folders[:] = [name for name in folders if name not in _BUILT and not _is_foreign(place, name)]
        paths = [place / name for name in names if _is_wanted(name)]
        yield from (path for path in paths if os.path.isfile(path))


def _is_wanted(name: str) -> bool:
    return name.endswith(_SUFFIXES) or _is_text(name)


def _is_foreign(parent: Path, name: str) -> bool:
    return name.startswith(".") or name in _NEVER or os.path.exists(parent / name / "pyvenv.cfg")


def _is_text(name: str) -> bool:
    """Whether a file of that name is looked into."""
    return _TEXT.fullmatch(name) is not None or _TEXT_NAMES.fullmatch(name) is not None


def names_in_file(path: Path, names: Collection[str]) -> set[str]:
    """The names that a file has as a value: in quotes, after `=` or `:`, in a list, or after `--model`.

    That a name is bound there (`alias = "chatbot"`) is no use of it. None where it is too large, or cannot be read.
    """
    try:
        if not names or path.stat().st_size > _LARGEST:
            return set()
        text = plain(path).decode(errors="replace").replace("\r\n", "\n")
    except OSError:
        return set()
    found = _values(frozenset(names)).finditer(text)
    return {it[1] for it in found if not _BINDS.search(text, max(0, it.start() - 20), it.start(1))}


def strings_in(code: str, names: Collection[str]) -> set[str]:
    """The names that are a string of a program's, unless it is a profile's name."""
    if not names:
        return set()
    found = _strings(frozenset(names)).finditer(code)
    return {it[1] for it in found if not _PROFILE.search(code, max(0, it.start() - 20), it.start())}


@lru_cache(maxsize=4)
def _strings(names: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"[\"']({'|'.join(map(re.escape, names))})(?=\\?[\"'])")


@lru_cache(maxsize=4)
def _values(names: frozenset[str]) -> re.Pattern[str]:
    listed = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    before = r"(?:[\"'`=,\[({][ \t]*|:[ \t]+|^[ \t]*-[ \t]+|(?<!\S)(?:-m|--model)[ \t]+)"
    return re.compile(rf"{before}({listed})(?=[\"'`,;)\]}}|&\\]|[ \t]*$|[ \t]+[#\-&|>)\]}}\"'])", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a source file, or a cell of a notebook, was passed over.

    Attributes:
        why: the reason, as a clause.
        line: in the file or the cell, counted from 1; 0 if it is not known.
        cell: counted from 1; 0 where it is no notebook's, or the notebook as a whole.
    """

    why: str
    line: int = 0
    cell: int = 0


@dataclass(frozen=True, slots=True)
class Code:
    """The Python of a source file; that of a notebook's cells as one text, but for what only IPython understands.

    Attributes:
        text: the code.
        tree: it, parsed.
        cells: of a notebook, the cell, counted from 1, and the line in it of each line.
    """

    text: bytes
    tree: ast.Module
    cells: tuple[tuple[int, int], ...] = ()


def code_in(content: bytes, *, notebook: bool) -> tuple[Code | None, list[Fault]]:
    """The Python of a source file, and what of it had to be passed over: all of the file, or a notebook's cells."""
    if not notebook:
        code = content.removeprefix(b"\xef\xbb\xbf")
        tree = _parsed(code)
        return (None, [tree]) if isinstance(tree, Fault) else (Code(code, tree), [])
    try:
        cells = json.loads(content)["cells"]
        sources = [(n, "".join(it["source"])) for n, it in enumerate(cells, 1) if it["cell_type"] == "code"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        return None, [Fault(f"it is no valid notebook: {type(error).__name__}")]
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    faults = []
    for number, source in sources:
        own = [_as_python(line) for line in re.split(r"\r\n|\r|\n", _without_cell_magic(source))]
        if isinstance(fault := _parsed("\n".join(own).encode(errors="replace")), Fault):
            faults.append(Fault(fault.why, fault.line, number))
            continue
        lines += own
        places += [(number, line) for line in range(1, len(own) + 1)]
    whole, others = code_in("\n".join(lines).encode(errors="replace"), notebook=False)
    return (Code(whole.text, whole.tree, tuple(places)) if whole is not None else None), faults + others


def _parsed(code: bytes) -> ast.Module | Fault:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(code)
    except SyntaxError as error:
        return Fault(f"it is no valid Python: {error.msg}", error.lineno or 0)
    except (ValueError, RecursionError, MemoryError) as error:
        return Fault(f"it is no valid Python: {error}")


def _without_cell_magic(source: str) -> str:
    """A cell without its `%%magic`, and without all the rest where that is no Python."""
    if not source.lstrip().startswith("%%"):
        return source
    return _PYTHON_CELL.sub("#", source, count=1) if _PYTHON_CELL.match(source.lstrip()) else ""


def _as_python(line: str) -> str:
    """A line with something harmless in the place of IPython's own syntax; what follows stays in its column."""
    if timed := _TIMED_LINE.match(line):
        return f"{timed[1]}{'0;'.ljust(timed.end() - len(timed[1]))}{line[timed.end() :]}"
    magic = _IPYTHON.match(line)
    return f"{magic[1]}pass" if magic else line
