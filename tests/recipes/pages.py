"""The files and cells that the pages of recipes show."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

__all__ = ["RECIPES", "files_of", "write"]

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
_BLOCK = re.compile(r"^```(?:python|toml)\n# ([\w. ]+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@cache
def files_of(page: str) -> dict[str, str]:
    """By the name in its first line, each as it stands, as many lines down as on the page."""
    written = (RECIPES / f"{page}.md").read_text(encoding="utf-8")
    return {found[1]: f"# {found[1]}\n{found[2]}" for found in _BLOCK.finditer(written)}


def write(page: str, folder: Path) -> None:
    """The files of a page into a folder."""
    for name, text in files_of(page).items():
        if "." in name:
            (folder / name).write_text(text, encoding="utf-8")
