"""The site of the documentation: it builds without a warning, is complete, and fetches nothing."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from docs.making.api import API, INSIDE
from docs.making.configuration import constructor_table, lockfile_keys, request_table
from docs.making.errors import errors, step_of

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "llmring"
REFERENCE = API()
PAGES = REFERENCE.pages
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
OF_1X = {"llmring.service"}
"""Where programs written for llmring 1.x import from."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "docs.making", place], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return place


@cache
def texts(site: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The pages of the reference, as HTML and as Markdown."""
    files = {page.module: site / page.file for page in PAGES}
    return (
        {name: file.with_suffix(".html").read_text(encoding="utf-8") for name, file in files.items()},
        {name: file.read_text(encoding="utf-8") for name, file in files.items()},
    )


def test_every_package_has_its_page() -> None:
    packages = {
        path.parent.name
        for path in SOURCES.glob("*/__init__.py")
        if getattr(importlib.import_module(f"llmring.{path.parent.name}"), "__all__", ())
    }
    assert {f"llmring.{name}" for name in packages - INSIDE} <= {page.module for page in PAGES}


@pytest.mark.parametrize("module", [page.module for page in PAGES])
def test_every_public_name_is_in_the_reference(site: Path, module: str) -> None:
    page = REFERENCE.page_of(module)
    named = {entry.name: (page, entry.path) for entry in page.entries}
    named |= {name: (REFERENCE.page_of(path), path) for name, path in page.elsewhere}
    exported = set(importlib.import_module(module).__all__) - {"__version__"}
    assert set(named) == exported
    html, markdown = texts(site)
    for there, path in named.values():
        assert there.module == path or f'id="{path}"' in html[there.module]
        assert there.module == path or f"## `{path}`" in markdown[there.module]


def test_what_the_documentation_imports_is_public() -> None:
    public = {page.module: set(importlib.import_module(page.module).__all__) for page in PAGES}
    written = [ROOT / "README.md", *(it for folder in ("docs", "skills") for it in (ROOT / folder).rglob("*.md"))]
    found = [
        (path.name, module, name.strip().partition(" ")[0])
        for path in written
        for module, many, one in re.findall(
            r"^from (llmring[\w.]*) import (?:\(([^)]*)\)|(.*))$", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        for name in re.sub(r"#.*", "", many or one).split(",")
        if name.strip() and module not in OF_1X
    ]
    assert len(found) > 100
    assert [it for it in found if it[2] not in public.get(it[1], ())] == []


def test_every_page_is_there_as_markdown_too(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]
    listed = (site / "llms.txt").read_text(encoding="utf-8")
    assert len(pages) > 40
    for page in pages:
        beside = page.with_suffix(".md")
        text = beside.read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert "<!-- made:" not in text
        assert "→ [" not in text
        assert not re.search(r"^::: ", text, re.MULTILINE)
        assert f"]({beside.relative_to(site).as_posix()})" in listed
        assert f'href="{beside.name}"' in page.read_text(encoding="utf-8")


def test_links_of_the_markdown_hold(site: Path) -> None:
    for page in site.rglob("*.md"):
        if "skills" in page.relative_to(site).parts:
            continue
        for target, _ in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
            assert not target or (page.parent / target).exists(), f"{page.name}: {target}"


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?([^\" >]+)", html)
        fetched += re.findall(
            r"<link[^>]*rel=\"?(?:stylesheet|preload|icon|preconnect)\"?[^>]*href=\"?([^\" >]+)", html
        )
        assert fetched
        assert [it for it in fetched if it.startswith(("http", "//"))] == []
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text(encoding="utf-8"))


@pytest.mark.parametrize("error", errors(), ids=lambda error: error.__name__)
def test_an_error_says_its_cause_and_its_step(site: Path, error: type[Exception]) -> None:
    assert re.fullmatch(r"[A-Z`].*\.", step_of(error))
    page = (site / "errors.md").read_text(encoding="utf-8")
    assert f"### {error.__name__}\n\n**What happened.** " in page
    assert f"**What to do.** {step_of(error)}" in page


def test_every_variable_is_in_the_table() -> None:
    in_code = {
        node.value
        for path in SOURCES.rglob("*.py")
        if "LLMRING_" in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and re.fullmatch(r"LLMRING_[A-Z_]+", str(node.value))
    }
    table = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    ours = set(re.findall(r"^\| `(LLMRING_\w+)`", table, re.MULTILINE))
    # One is set by the conformance suite for itself, and one by the shell's completion.
    assert in_code - {"LLMRING_CONFORMANCE_HEADER", "LLMRING_COMPLETE"} == ours


def test_everything_that_can_be_set_is_explained() -> None:
    for table in (constructor_table(), request_table()):
        rows = table.splitlines()[2:]
        assert len(rows) > 10
        assert [row for row in rows if row.endswith("|  |") or "Undefined" in row] == []
    keys = {key: says for key, _, _, says in lockfile_keys()}
    assert {"version", "providers.NAME.base_url", "profiles.NAME.bindings[].models"} <= set(keys)
    assert [key for key, says in keys.items() if not says and not key.endswith((".NAME", ".bindings"))] == []


def test_the_documentation_is_found_where_make_puts_it() -> None:
    assert "$(BIN)/python -m docs.making" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert os.path.isfile(ROOT / "docs" / "index.md")
