"""Makers of parts, and reading in the files that they name."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRequest, Message
from llmring.exceptions import InvalidRequestError
from llmring.parts import audio, document, image, load, text

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 8
WEBP = b"RIFF\x10\0\0\0WEBPVP8 "
WAV = b"RIFF\x10\0\0\0WAVEfmt "
PDF = b"%PDF-1.7\n%\xe2\xe3"
DOCX = b"PK\x03\x04\xff\xfe\0\0"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def loaded(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    request = LLMRequest(model="m", messages=[Message(role="user", content=list(parts))])
    content = asyncio.run(load(request)).messages[0].content
    assert isinstance(content, list)
    return content


def test_text() -> None:
    assert text("hi") == {"type": "text", "text": "hi"}


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://x.test/cat.png", "https://x.test/cat.png"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
        ("cat.png", Path("cat.png")),
        (Path("cat.png"), Path("cat.png")),
        (Path("https:") / "cat.png", Path("https:/cat.png")),
        ("file:///tmp/a%20b.png", Path("/tmp/a b.png")),
    ],
)
def test_a_picture_by_address_or_path(source: str | Path, url: str | Path) -> None:
    assert image(source) == {"type": "image_url", "image_url": {"url": url}}
    assert image(source, detail="low")["image_url"] == {"url": url, "detail": "low"}


@pytest.mark.parametrize(
    ("data", "mime"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (b"GIF89a\0\0", "image/gif"), (WEBP, "image/webp")],
)
def test_a_picture_by_its_bytes(data: bytes, mime: str) -> None:
    assert image(data) == {"type": "image_url", "image_url": {"url": f"data:{mime};base64,{b64(data)}"}}


def test_a_document() -> None:
    assert document("https://x.test/a.pdf") == {"type": "file", "file": {"file_url": "https://x.test/a.pdf"}}
    assert document("data:application/pdf;base64,AA")["file"] == {"file_data": "data:application/pdf;base64,AA"}
    assert document("/tmp/a.pdf")["file"] == {"path": Path("/tmp/a.pdf"), "filename": "a.pdf"}
    assert document(Path("a.pdf"), filename="b.pdf")["file"] == {"path": Path("a.pdf"), "filename": "b.pdf"}
    assert document(PDF)["file"] == {"file_data": f"data:application/pdf;base64,{b64(PDF)}"}
    assert document(b"hi", filename="a.csv")["file"] == {
        "file_data": f"data:text/csv;base64,{b64(b'hi')}",
        "filename": "a.csv",
    }


def test_sound() -> None:
    assert audio(WAV)["input_audio"] == {"data": b64(WAV), "format": "wav"}
    assert audio(b"ID3...")["input_audio"]["format"] == "mp3"
    assert audio(b"\xff\xfb\x90\0")["input_audio"]["format"] == "mp3"
    assert audio(b"\0\1", format="pcm16")["input_audio"] == {"data": b64(b"\0\1"), "format": "pcm16"}
    assert audio("data:audio/mpeg;base64,AAAA")["input_audio"] == {"data": "AAAA", "format": "mp3"}
    assert audio("a.wav") == {"type": "input_audio", "input_audio": {"path": Path("a.wav")}}
    assert audio(Path("a.bin"), format="wav")["input_audio"] == {"path": Path("a.bin"), "format": "wav"}


@pytest.mark.parametrize(
    ("name", "data", "mime"),
    [
        ("a.pdf", PDF, "application/pdf"),
        ("misnamed.txt", PDF, "application/pdf"),
        ("a.txt", b"hi", "text/plain"),
        ("a.txt", "BMW, größer".encode(), "text/plain"),
        ("a.csv", b"a,b", "text/csv"),
        ("A.MD", b"# hi", "text/markdown"),
        ("a.json", b"{}", "application/json"),
        ("a.html", b"<p>", "text/html"),
        ("a.ts", b"let a = 1", "text/plain"),
        ("a.rs", b"fn main() {}", "text/plain"),
        ("Makefile", b"all:", "text/plain"),
        ("a.svg", b"<svg/>", "text/plain"),
        ("empty", b"", "text/plain"),
        ("a.docx", DOCX, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ],
)
def test_the_type_of_a_document(tmp_path: Path, name: str, data: bytes, mime: str) -> None:
    (tmp_path / name).write_bytes(data)
    url = f"data:{mime};base64,{b64(data)}"
    assert loaded(document(tmp_path / name)) == [{"type": "file", "file": {"file_data": url, "filename": name}}]
    assert document(data, filename=name)["file"]["file_data"] == url


def test_files_are_read_when_the_request_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "a b.wav").write_bytes(WAV)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{b64(PNG)}"}}
    sound = {"type": "input_audio", "input_audio": {"data": b64(WAV), "format": "wav"}}
    remote = image("https://x.test/cat.png")
    assert loaded(text("look"), image("cat.png"), remote, audio("a b.wav")) == [text("look"), picture, remote, sound]
    assert loaded(image("~/cat.png"), image(f"file://{tmp_path}/cat.png")) == [picture, picture]
    assert loaded(audio(f"file://{tmp_path}/a%20b.wav")) == [sound]
    assert loaded({"type": "image_url", "image_url": Path("cat.png")}) == [picture]
    assert loaded({"type": "input_audio", "input_audio": {"path": Path("~/a b.wav")}}) == [sound]
    with os.scandir(b".") as entries:
        named: Any = [it for it in entries if it.name == b"cat.png"]
    assert loaded(*map(image, named)) == [picture]
    marked = {**image("cat.png", detail="high"), "cache_control": {"type": "ephemeral"}}
    assert loaded(marked) == [
        {
            **marked,
            "image_url": {"url": f"data:image/png;base64,{b64(PNG)}", "detail": "high"},
        }
    ]


async def test_a_slow_file_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    pipe = tmp_path / "slow.png"
    os.mkfifo(pipe)
    request = LLMRequest(model="m", messages=[Message(role="user", content=[image(pipe)])])
    loading = asyncio.ensure_future(load(request))
    await asyncio.sleep(0.05)
    assert not loading.done()
    await asyncio.to_thread(pipe.write_bytes, PNG)
    assert (await loading).messages[0].content == [image(PNG)]


@pytest.mark.parametrize(
    ("part", "content", "words"),
    [
        (image(Path("a.png")), b"", r"The file a\.png is empty; there is nothing to send"),
        (image(Path("a")), b"", "The file a is empty"),
        (document(Path("a.pdf")), b"", r"The file a\.pdf is empty"),
        (audio(Path("a.wav")), b"", r"The file a\.wav is empty"),
        *(
            (
                image(Path(name)),
                b"not a picture",
                rf"{name} has the name of image/\w+, and does not begin as such a file",
            )
            for name in ("a.png", "a.jpg", "a.gif", "a.webp")
        ),
        (document(Path("a.pdf")), b"just text", r"a\.pdf has the name of application/pdf, and does not begin"),
        (document(Path("a.png")), b"just text", r"a\.png has the name of image/png"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(
    bare: Path, part: dict[str, Any], content: bytes, words: str
) -> None:
    inner = part[part["type"]]
    Path(inner.get("path") or inner["url"]).write_bytes(content)
    with pytest.raises(InvalidRequestError, match=words):
        loaded(part)


@pytest.mark.parametrize(("make", "what"), [(image, "image"), (audio, "sound")])
def test_empty_bytes_are_refused(make: Any, what: str) -> None:
    with pytest.raises(InvalidRequestError, match=f"The {what} is empty"):
        make(b"")


def test_a_file_that_is_more_than_its_name_says(bare: Path) -> None:
    Path("a.png").write_bytes(JPEG)
    Path("a.pdf").write_bytes(b"\r\n" + PDF)
    picture, paper = loaded(image(Path("a.png")), document(Path("a.pdf")))
    assert picture["image_url"]["url"].startswith("data:image/jpeg;")
    assert paper["file"]["file_data"].startswith("data:application/pdf;")


async def test_a_request_without_files_is_left_as_it_is(tmp_path: Path) -> None:
    parts = [text("a"), image(PNG), image("https://x.test/a.png"), document(PDF), audio(WAV), {"type": "odd", "a": 1}]
    request = LLMRequest(
        model="m", messages=[Message(role="user", content=parts), Message(role="assistant", content="b")]
    )
    assert await load(request) is request


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (image("gone.png"), r"gone\.png cannot be read: No such file"),
        (document("."), r"cannot be read: Is a directory"),
        (image("a\0b.png"), "cannot be read: embedded null byte"),
        (image("~nosuchuser/cat.png"), "The file ~nosuchuser/cat.png cannot be read: No such file"),
        (document("~nosuchuser/notes.pdf"), "The file ~nosuchuser/notes.pdf cannot be read: No such file"),
        (audio("~nosuch\0user/a.wav"), "cannot be read: embedded null byte"),
        (image("notes.pdf"), r"notes\.pdf is no picture but of type application/pdf; pass it as a document .*--file"),
        (image("unknown"), "What kind of image unknown may be cannot be told"),
        (document("binary"), "What kind of document binary may be cannot be told"),
        (audio("notes.pdf"), "What kind of sound this is cannot be told"),
        ({"type": "text"}, r"messages\[0\] has a part of type text without a text"),
        ({"type": "text", "text": 1}, "without a text"),
    ],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.pdf").write_bytes(PDF)
    (tmp_path / "unknown").write_bytes(b"\xfe\0\1")
    (tmp_path / "binary").write_bytes(b"\xfe\0\1")
    with pytest.raises(InvalidRequestError, match=words):
        loaded(part)


@pytest.mark.skipif(sys.platform != "linux", reason="there, names are text")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xff.txt")
    path.write_text("a note")
    assert document(path)["file"]["filename"] == "caf?.txt"
    (part,) = loaded({"type": "file", "file": {"path": path}})
    assert part["file"] == {
        "file_data": "data:text/plain;base64,YSBub3Rl",
        "filename": "caf?.txt",
    }


SECRET = "practice"


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"type": "file", "file": {"path": "secret.txt"}}, r"'secret.txt', but .* llmring\.document\(path\)"),
        ({"type": "file", "file": {"path": "file://secret.txt"}}, r"llmring\.document"),
        ({"type": "file", "file": {"path": "https://x.test/a.pdf"}}, r"llmring\.document"),
        ({"type": "file", "file": {"path": ""}}, r"llmring\.document"),
        ({"type": "input_audio", "input_audio": {"path": "secret.txt"}}, r"llmring\.audio\(path\), or put a pathlib"),
        ({"type": "image_url", "image_url": {"url": "secret.txt"}}, r"llmring\.image\(path\)"),
        ({"type": "image_url", "image_url": "secret.txt"}, r"messages\[0\] has a part of type image_url"),
        ({"type": "image_url", "image_url": {"url": "file:secret.txt"}}, r"llmring\.image"),
        ({"type": "image_url", "image_url": {"url": "~/secret.txt"}}, r"llmring\.image"),
        ({"type": "image_url", "image_url": {"url": ""}}, r"llmring\.image"),
        ({"type": "image_url", "image_url": {"url": "A" * 9999}}, r"with 'A{60}', but"),
    ],
)
def test_text_names_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: dict[str, Any], words: str) -> None:
    """What came as JSON from elsewhere reads no file of ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "secret.txt").write_text(SECRET)
    with pytest.raises(InvalidRequestError, match=words):
        loaded(part)


@pytest.mark.parametrize("make", [image, document, audio])
def test_a_part_that_was_kept_as_json_names_its_file_no_more(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    kept = Message(role="user", content=[make(path)]).model_dump_json()
    read = Message.model_validate_json(kept).content
    assert isinstance(read, list)
    with pytest.raises(InvalidRequestError, match=rf"llmring\.{make.__name__}\(path\)"):
        loaded(*read)


@pytest.mark.parametrize("make", [image, document, audio])
def test_a_file_whose_name_makes_no_sense_is_refused_at_once(make: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"The file 'file://\[cat.png' cannot be read: Invalid IPv6 URL"):
        make("file://[cat.png")
    with pytest.raises(InvalidRequestError, match="empty path; name the file"):
        make("")


def test_bytes_of_no_known_kind_are_refused_at_once() -> None:
    with pytest.raises(InvalidRequestError, match="pass a data URL"):
        image(b"\0\1")
    with pytest.raises(InvalidRequestError, match="no picture but of type application/pdf"):
        image(PDF)
    with pytest.raises(InvalidRequestError, match="pass a data URL"):
        document(b"\xff\0")
    with pytest.raises(InvalidRequestError, match="name it: audio"):
        audio(b"\0\1")
    with pytest.raises(InvalidRequestError, match="name it: audio"):
        audio("data:video/mp4;base64,AA")


@given(st.text(min_size=1).filter(lambda said: "\0" not in said))
def test_any_text_is_a_document(said: str) -> None:
    data = said.encode()
    if not data.startswith((b"ID3", b"OggS", b"fLaC", b"RIFF", b"GIF8", b"%PDF-")):
        assert document(data)["file"] == {"file_data": f"data:text/plain;base64,{b64(data)}"}
