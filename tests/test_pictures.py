"""The picture of the documentation can be drawn, shows what the program shows now, and fetches nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "chat.svg"

if sys.platform == "win32":
    pytest.skip("there is no pseudo-terminal", allow_module_level=True)


def shown(picture: Path) -> list[str]:
    """The texts of a picture; prices and counts change with the price data."""
    texts = [text.text or "" for text in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]
    return [re.sub(r"\d[\d.]*", "0", text.replace("\xa0", " ")) for text in texts]


def test_the_picture_is_of_this_program(bare: Path) -> None:
    """If this fails: python -m docs.pictures"""
    drawn = bare / "chat.svg"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "docs.pictures", drawn], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert shown(drawn) == shown(PICTURE)
    together = " ".join(shown(PICTURE))
    for text in ("How do I reverse", "Show both.", "numbers.reverse()", "in all: 0 requests"):
        assert text in together


def test_the_picture_fetches_nothing() -> None:
    written = PICTURE.read_text()
    assert "@font-face" not in written
    assert "@import" not in written
    assert all(address.startswith("#") for address in re.findall(r"url\([\"']?([^)\"']*)", written))
    root = ElementTree.fromstring(written)
    names = {name.rpartition("}")[2] for element in root.iter() for name in element.attrib}
    assert not names & {"href", "src"}
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg",
        "style",
        "defs",
        "clipPath",
        "rect",
        "text",
        "g",
        "circle",
    }


TRACE = ROOT / "docs" / "images" / "trace.svg"


def test_the_trace_is_of_this_program(bare: Path) -> None:
    """If this fails: python -m docs.tracing"""
    drawn = bare / "trace.svg"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "docs.tracing", drawn], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert shown(drawn) == shown(TRACE)
    assert "chat claude-haiku-0-0" in shown(TRACE)
    assert "○ moved_on, first_chunk, resumed" in shown(TRACE)
