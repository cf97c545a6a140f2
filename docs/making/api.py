"""The reference of every public name, from the docstrings: as the generator wants it, and as plain Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import griffe

__all__ = ["API", "INSIDE", "Entry", "Page"]

SOURCES = Path(__file__).parents[2] / "src"
PACKAGE = "llmring"
INSIDE = frozenset({"cli", "tool_dialects", "wire"})
"""Packages that no program imports: the command line has a page of its own, the others are met through providers."""
MODULES = ("exceptions", "schemas")
"""Modules beside packages that a program imports from by name."""
DEEPER = (
    "providers.anthropic",
    "providers.google",
    "providers.ollama",
    "providers.openai",
    "testing.conformance",
)
FIRST = ("", "sync", "schemas", "exceptions")
"""The order of the pages; the rest follows by name."""
SELF_EVIDENT = re.compile(r"^ *(Attributes|Args):", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """A public name on the page where it is described."""

    path: str
    thing: griffe.Object

    @property
    def name(self) -> str:
        """As it is imported."""
        return self.path.rpartition(".")[2]

    @property
    def says_its_fields(self) -> bool:
        """Whether the docstring lists the fields, so that they need no entries of their own."""
        text = self.thing.docstring.value if self.thing.docstring else ""
        return bool(SELF_EVIDENT.search(text))


@dataclass(frozen=True)
class Page:
    """One module's page."""

    module: str
    says: str
    entries: tuple[Entry, ...]
    elsewhere: tuple[tuple[str, str], ...]
    """Names that another page describes, each with the path it has there."""

    @property
    def file(self) -> str:
        """Where it is on the site."""
        return f"reference/{self.module}.md"

    @property
    def title(self) -> str:
        """Its heading."""
        return f"`{self.module}`"


class API:
    """All pages of the reference."""

    @cached_property
    def _root(self) -> griffe.Module:
        loaded = griffe.load(PACKAGE, search_paths=[SOURCES], resolve_aliases=True)
        assert isinstance(loaded, griffe.Module)
        return loaded

    @cached_property
    def modules(self) -> tuple[str, ...]:
        """The public modules, without the name of the package."""
        found = {
            name
            for name, member in self._root.members.items()
            if not name.startswith("_")
            and not member.is_alias
            and isinstance(member, griffe.Module)
            and (member.is_init_module or name in MODULES)
            and name not in INSIDE
            and self.exported(member)
        }
        return (*FIRST, *sorted({*found, *DEEPER} - set(FIRST)))

    @staticmethod
    def exported(module: griffe.Module) -> list[str]:
        """What `__all__` names, in its order."""
        return [str(name) for name in module.exports or ()]

    @cached_property
    def pages(self) -> tuple[Page, ...]:
        """A page for each module; each name is described on the first that has it."""
        described: dict[str, str] = {}
        return tuple(self._page(name, described) for name in self.modules)

    def _page(self, name: str, described: dict[str, str]) -> Page:
        path = f"{PACKAGE}.{name}".rstrip(".")
        module = self._root[name] if name else self._root
        entries: list[Entry] = []
        elsewhere: list[tuple[str, str]] = []
        for exported in self.exported(module):
            place = f"{path}.{exported}"
            if exported == "__version__":
                continue
            thing: Any = module.members[exported]
            if thing.is_module and module.imports.get(exported, thing.path) != thing.path:
                # A function of the name of the module that has it.
                place = module.imports[exported]
                thing = self._root[place.removeprefix(f"{PACKAGE}.")]
            if thing.is_alias:
                thing = thing.final_target
            if thing.is_module:
                elsewhere.append((exported, place))
            elif thing.path in described:
                elsewhere.append((exported, described[thing.path]))
            else:
                described[thing.path] = place
                entries.append(Entry(place, thing))
        says = module.docstring.value if module.docstring else ""
        return Page(path, says, tuple(entries), tuple(elsewhere))

    def page_of(self, path: str) -> Page:
        """The page that describes a name, or is of a module."""
        for page in self.pages:
            if page.module == path or any(entry.path == path for entry in page.entries):
                return page
        raise KeyError(path)

    def for_the_site(self, page: Page) -> str:
        """With a mark for each name, where the generator puts what the docstring says."""
        blocks = [self._mark(entry) for entry in page.entries]
        return "\n\n".join([*self._head(page), *blocks]) + "\n"

    @staticmethod
    def _mark(entry: Entry) -> str:
        shown = entry.thing.is_class and not entry.says_its_fields
        options = f"\n    options:\n      show_if_no_docstring: {str(shown).lower()}"
        if entry.path.startswith(f"{PACKAGE}.testing.conformance"):
            options += "\n      inherited_members: false"
        return f"::: {entry.path}{options}"

    def _head(self, page: Page) -> Iterator[str]:
        yield f"# {page.title}"
        yield prose(page.says)
        if page.module == PACKAGE:
            yield "`__version__` is the version of the package that is installed."
        if page.elsewhere:
            links = (f"[`{name}`]({self._link(path)})" for name, path in page.elsewhere)
            yield f"Described elsewhere: {', '.join(links)}."

    def _link(self, path: str) -> str:
        page = self.page_of(path)
        anchor = "" if page.module == path else f"#{path}"
        return f"{page.file.rpartition('/')[2]}{anchor}"

    def as_markdown(self, page: Page) -> str:
        """For who reads no HTML: signatures and docstrings."""
        blocks = [block for entry in page.entries for block in self._written(entry.thing, entry.path, "##")]
        return "\n\n".join([*self._head(page), *filter(None, blocks)]) + "\n"

    def _written(self, thing: Any, path: str, mark: str) -> Iterator[str]:
        yield f"{mark} `{path}`"
        if thing.is_attribute or thing.is_function or "__init__" in thing.all_members:
            yield f"```python\n{signature(thing)}\n```"
        yield prose(thing.docstring.value) if thing.docstring else ""
        if not thing.is_class or path.startswith(f"{PACKAGE}.testing.conformance"):
            return
        says_its_fields = Entry(path, thing).says_its_fields
        for name, member in thing.all_members.items():
            if name.startswith("_") or (member.is_alias and not member.inherited):
                continue
            if not member.docstring and (says_its_fields or not member.is_attribute):
                continue
            yield from self._written(member, f"{path.rpartition('.')[2]}.{name}", f"{mark}#")


def signature(thing: Any) -> str:
    """As one would write it."""
    if thing.is_attribute:
        annotation = f": {thing.annotation}" if thing.annotation is not None else ""
        value = f" = {thing.value}" if thing.value is not None and len(str(thing.value)) < 200 else ""
        return f"{thing.name}{annotation}{value}"
    function = thing.all_members["__init__"] if thing.is_class else thing
    if function.is_alias:
        function = function.final_target
    text: str = function.signature(name=thing.name) if function.is_function else thing.name
    if thing.is_function and "async" in thing.labels:
        text = f"async {text}"
    if thing.is_class:
        text = text.replace("(self, ", "(").replace("(self)", "()").removesuffix(" -> None")
    return text if len(text) < 100 else re.sub(r"\((.*)\)", _broken, text, count=1, flags=re.DOTALL)


def _broken(found: re.Match[str]) -> str:
    """Parameters one a line; commas inside brackets stay."""
    parts, depth, piece = [], 0, ""
    for letter in found[1]:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parts.append(piece.strip())
            piece = ""
        else:
            piece += letter
    parts.append(piece.strip())
    parts = [part for part in parts if not part.startswith("_")]
    return "(\n" + "".join(f"    {part},\n" for part in parts if part) + ")"


def prose(docstring: str) -> str:
    """A docstring as Markdown: what is indented below a text is code or a drawing, but for `Args:` and its like."""
    lines: list[str] = []
    block: list[str] = []
    section = False
    for line in [*docstring.strip().splitlines(), ""]:
        if re.fullmatch(r"(Args|Attributes|Raises|Returns|Yields):", line):
            section = True
            lines += ["", f"**{line}**", ""]
        elif section and (found := re.fullmatch(r" {4}(?! )([\w, *]+?): (.*)", line)):
            lines.append(f"- `{found[1]}`: {found[2]}")
        elif section and line.startswith("    "):
            lines.append(f"  {line.strip()}")
        elif line.startswith("    ") or (block and not line.strip()):
            block.append(line)
        else:
            section = section and not line.strip()
            if block:
                lines += ["", "```", *"\n".join(block).rstrip().replace("\n    ", "\n")[4:].splitlines(), "```", ""]
                block = []
            lines.append(line)
    if block and any(map(str.strip, block)):
        lines += ["", "```", *"\n".join(block).rstrip().replace("\n    ", "\n")[4:].splitlines(), "```"]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
