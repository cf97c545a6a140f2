"""A recorded suite: the same chunks with the same boundaries, in any order, in parallel, with nobody to ask."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmring.references import KEY_SHAPE

from .suite.conversations import NAMES, WIRES

SUITE = Path(__file__).parent / "suite"


def run(folder: Path, *options: str, **environ: str) -> str:
    plugins = ["-p", "no:cacheprovider", "-p", "llmring.recordings.plugin", "-p", "xdist", "-p", "away"]
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "--rootdir", folder, "-c", folder / "pytest.ini", *options],
        cwd=folder,
        env={**os.environ, **alone, **environ},
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "seed"),
    [([], ""), (["-n", "2"], "one"), (["-k", "tools or twice"], "two")],
    ids=["alone", "xdist", "some"],
)
def test_the_suite_is_replayed(bare: Path, options: list[str], seed: str) -> None:
    output = run(SUITE, *options, SHUFFLED_BY=seed)
    count = 10 if "-k" in options else 50
    assert re.search(rf"^{count} passed", output, re.MULTILINE), output[-3000:]


def test_the_network_is_taken_away_from_it(bare: Path) -> None:
    """One that asks has been refused: the test above could not pass by asking."""
    program = "import away, socket\nsocket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run([sys.executable, "-c", program], cwd=SUITE, capture_output=True, text=True)
    assert "the network was asked for" in done.stderr


def test_nothing_is_in_it_that_nobody_may_see() -> None:
    assert len(NAMES) == 50
    for wire in WIRES:
        text = (SUITE / "recorded" / f"{wire}.jsonl").read_text("utf-8")
        assert not KEY_SHAPE.search(text)
        for word in ("practice-key", "authorization", "x-api-key", "x-goog-api-key", "user-agent", "req_practice"):
            assert word not in text.lower(), word
        lines = [json.loads(line) for line in text.splitlines()]
        assert [it["test"] for it in lines] == sorted(it["test"] for it in lines)
        assert len({it["test"] for it in lines}) == 10


def test_a_change_of_one_letter_is_noticed(bare: Path, tmp_path: Path) -> None:
    """What is compared is what the program sees, chunk by chunk."""
    folder = tmp_path / "suite"
    folder.mkdir()
    for file in SUITE.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            to = folder / file.relative_to(SUITE)
            to.parent.mkdir(exist_ok=True)
            to.write_bytes(file.read_bytes())
    path = folder / "recorded" / "ollama.jsonl"
    text = path.read_text("utf-8")
    assert '," five"]' in text or '," five"' in text
    path.write_text(text.replace('," five"', '," six"'), "utf-8")
    assert re.search(r"^1 failed, 9 passed", run(folder, "-k", "ollama"), re.MULTILINE)
