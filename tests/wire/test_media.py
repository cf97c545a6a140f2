"""Types by names, on a system that has no list of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from llmring.wire.media import citation, extension_of, media_part, moved, type_of

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


def test_a_citation_moves_with_the_text_that_it_speaks_of() -> None:
    cited = citation(url="https://a.test", title=None, cited_text="b", start_index=1, end_index=3)
    assert cited == {
        "type": "citation",
        "citation": {"url": "https://a.test", "cited_text": "b", "start_index": 1, "end_index": 3},
    }
    assert moved(cited, 0) == cited
    assert moved(cited, 5)["citation"] == {**cited["citation"], "start_index": 6, "end_index": 8}
    assert moved(cited, 5)["type"] == "citation"
    assert cited["citation"]["start_index"] == 1, "what is given stays as it is"
    nowhere = citation(url="https://a.test")
    assert moved(nowhere, 5) == nowhere
    at_the_start = citation(start_index=0)
    assert moved(at_the_start, 5)["citation"] == {"start_index": 5}
    picture = media_part("image/png", "QQ==")
    assert moved(picture, 5) == picture


@pytest.mark.parametrize(
    ("mime", "expected"),
    [
        ("image/png", {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}),
        ("audio/wav", {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}}),
        ("application/pdf", {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ=="}}),
        ("video/mp4", {"type": "file", "file": {"file_data": "data:video/mp4;base64,QQ=="}}),
    ],
)
def test_what_a_model_has_made_is_a_part_of_its_kind(mime: str, expected: object) -> None:
    assert media_part(mime, "QQ==") == expected
