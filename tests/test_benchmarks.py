"""The benchmarks run, each for a moment, and say something about everything. How fast anything is, is not tested."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parent.parent
GROUPS = [
    *("chunks", "faces", "watching", "requests", "streams", "memory", "imports", "aliases", "state", "policies"),
    *("recordings", "mapping"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("benchmarks")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--glance", "--json", folder / "out.json", "--svg", folder / "out.svg"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "bounds hold" in done.stdout
    written = (folder / "out.json").read_text()
    for private in (str(ROOT), str(folder), str(Path.home())):
        assert private not in written
    ElementTree.parse(folder / "out.svg")
    found: dict[str, Any] = json.loads(written)
    assert all(figure["name"] in done.stdout for figure in found["figures"])
    return found


@pytest.mark.parametrize("group", GROUPS)
def test_every_ratio_is_a_number(results: dict[str, Any], group: str) -> None:
    figures = [figure for figure in results["figures"] if figure["group"] == group]
    assert figures
    for figure in figures:
        assert len(figure["samples"]["llmring"]) >= 1
        assert figure["ratios"] or figure["bounds"]  # what has no other beside it has a bound of its own
        for ratios in figure["ratios"].values():
            assert all(math.isfinite(ratio) for ratio in ratios)


def test_every_wire_is_measured(results: dict[str, Any]) -> None:
    names = {figure["name"] for figure in results["figures"]}
    for wire in ("openai", "responses", "anthropic", "google", "ollama"):
        for what in ("text", "tool-call", "reasoning"):
            assert f"CPU per {what} chunk, {wire}" in names
        for what in ("small, streamed", "small, whole", "200 KB, streamed", "200 KB, whole"):
            assert f"CPU per request, {what}, {wire}" in names


def test_every_bound_is_judged(results: dict[str, Any]) -> None:
    bounds = [bound for figure in results["figures"] for bound in figure["bounds"]]
    assert len(bounds) >= 20
    assert all(isinstance(bound["holds"], bool) and math.isfinite(bound["value"]) for bound in bounds)
