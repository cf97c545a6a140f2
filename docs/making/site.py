"""From the sources to a folder that any web server can serve: pages, each as Markdown beside it, and `llms.txt`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w

from .pages import DOCS, ROOT, Pages

__all__ = ["CONFIGURATION", "PLACE", "configuration", "llms_txt", "make"]

CONFIGURATION = DOCS / "zensical.toml"
PLACE = ROOT / "build" / "site"
BESIDE = (".svg", ".png", ".css")
"""What belongs to the pages, and is taken as it is."""


def make(place: Path | None = None) -> int:
    """Build it, and give the exit status: a warning is a failure."""
    place = (place or PLACE).resolve()
    sources = place.with_name(f"{place.name}-sources")
    for folder in (place, sources):
        shutil.rmtree(folder, ignore_errors=True)
    pages = Pages()
    written = pages.for_the_site()
    _write(sources / "docs", written)
    for path in sorted(DOCS.rglob("*")):
        if path.suffix in BESIDE:
            target = sources / "docs" / path.relative_to(DOCS)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    settings = configuration(pages, written)
    settings["project"] |= {"docs_dir": "docs", "site_dir": "out"}
    (sources / "zensical.toml").write_text(tomli_w.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        sys.stderr.write(re.sub(r"\x1b\[[\d;]*m", "", f"{done.stdout}{done.stderr}"))
        return 1
    shutil.move(sources / "out", place)
    markdown = pages.as_markdown()
    _write(place, markdown)
    _write(place, {"llms.txt": llms_txt(settings["project"], markdown)})
    shutil.copytree(ROOT / "skills", place / "skills")
    for page in place.rglob("*.html"):
        beside = page.with_suffix(".md")
        if beside.is_file():
            link = f'<link rel="alternate" type="text/markdown" href="{beside.name}"></head>'
            page.write_text(page.read_text(encoding="utf-8").replace("</head>", link, 1), encoding="utf-8")
    sys.stdout.write(f"{len(written)} pages. To look at them: python -m http.server --directory {_shown(place)}\n")
    return 0


def configuration(pages: Pages, written: dict[str, str]) -> dict[str, Any]:
    """The settings, with every page in the contents: the reference by modules; what has no place follows the guides."""
    settings = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))
    contents = settings["project"]["nav"]
    reading = settings["project"]["plugins"]["mkdocstrings"]["handlers"]["python"]
    reading["paths"] = [str(ROOT / "src")]
    reading["options"]["extensions"] = [str(DOCS / "making" / "expanding.py")]
    reference = next(part["Reference"] for part in contents if "Reference" in part)
    reference[0] = {"API": ["reference/index.md", *({page.module: page.file} for page in pages.api.pages)]}
    placed = set(_placed(contents))
    if missing := placed - set(written):
        raise FileNotFoundError(f"{CONFIGURATION.name} lists pages that are not there: {sorted(missing)}")
    guides = next(part["Guides"] for part in contents if "Guides" in part)
    guides += sorted(set(written) - placed)
    return settings


def _placed(contents: Any) -> Iterator[str]:
    if isinstance(contents, str):
        yield contents
    elif isinstance(contents, dict):
        for value in contents.values():
            yield from _placed(value)
    else:
        for value in contents:
            yield from _placed(value)


def llms_txt(project: dict[str, Any], markdown: dict[str, str]) -> str:
    """What there is to read, by https://llmstxt.org."""
    lines = [f"# {project['site_name']}", "", f"> {project['site_description']}", ""]
    alone = [part for part in project["nav"] if isinstance(part, str)]
    parts = {title: contents for part in project["nav"] if isinstance(part, dict) for title, contents in part.items()}
    for title, contents in {"Begin": alone, **parts}.items():
        lines += ["", f"## {title}", "", *(_listed(path, markdown[path]) for path in _placed(contents))]
    return "\n".join(lines) + "\n"


def _listed(path: str, written: str) -> str:
    title, _, rest = written.partition("\n")
    texts = re.sub(r"^```.*?^```", "", rest, flags=re.MULTILINE | re.DOTALL).split("\n\n")
    first = next((it for it in texts if re.match(r"\s*[\w`*(]", it)), "")
    # The first sentence, without its links.
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", " ".join(first.split()))
    sentence = re.split(r"(?<=[.!?])\s", plain, maxsplit=1)[0].rstrip(":")
    return f"- [{title.lstrip('# ')}]({path}): {sentence}"


def _write(folder: Path, pages: dict[str, str]) -> None:
    for path, text in pages.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _shown(place: Path) -> Path:
    return place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place
