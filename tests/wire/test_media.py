"""Types by names, on a system that has no list of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from llmring.wire.media import extension_of, type_of

BARE = """
import json, mimetypes, sys
mimetypes.knownfiles.clear()
mimetypes.init()
from llmring.cli.attachments import file_part
from llmring.wire.media import extension_of, type_of
names = sys.argv[1].split()
print(json.dumps([[type_of(name), extension_of(type_of(name)), file_part(name)["type"]] for name in names]))
"""
WANTED = {
    "notes.md": ("text/markdown", ".md", "file"),
    "a.b.WEBP": ("image/webp", ".webp", "image_url"),
    "a.png": ("image/png", ".png", "image_url"),
    "a.wav": ("audio/wav", ".wav", "input_audio"),
    "a.mp3": ("audio/mpeg", ".mp3", "input_audio"),
    "a.flac": ("audio/flac", ".flac", "input_audio"),
    "a.ogg": ("audio/ogg", ".ogg", "input_audio"),
    "a.m4a": ("audio/mp4", ".m4a", "input_audio"),
    "a.pdf": ("application/pdf", ".pdf", "file"),
}


def test_the_types_that_vendors_take_are_known_everywhere() -> None:
    command = [sys.executable, "-c", BARE, " ".join(WANTED)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert {name: tuple(it) for name, it in zip(WANTED, found, strict=True)} == WANTED


@pytest.mark.parametrize(("name", "kind"), [("https://host/cat.webp", "image/webp"), ("cat", None), (".webp", None)])
def test_a_name_without_an_end_tells_nothing(name: str, kind: str | None) -> None:
    assert type_of(name) == kind


def test_a_type_that_nobody_knows_has_no_extension() -> None:
    assert extension_of("application/x-of-nobody") == ""
    assert extension_of("") == ""
