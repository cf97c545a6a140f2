"""`llmring map --dry-run`: what it says before, beside what a vendor bills then."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from llmring.testing import PracticeServer, Reply, Tokens
from llmring.testing.exchange import RecordedRequest

from .conftest import Run

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def _project(project: Path, billed: None) -> None:
    pass


def text(chance: random.Random) -> str:
    """A text of a few words or of a few thousand."""
    return " ".join(
        chance.choice(["day", "review", "terrible", "x", "Straße", "привет"]) for _ in range(length(chance))
    )


def length(chance: random.Random) -> int:
    return 1 + int(min(chance.lognormvariate(4, 1.2), 3000))


def bill(request: RecordedRequest) -> Reply:
    """A vendor that counts in its own way, adds a prompt of its own, thinks, and has a cache."""
    asked = 70 + int(len(request.question.encode()) / 3.3)
    chance = random.Random(request.question)
    thinking = chance.randrange(20, 60)
    tokens = Tokens(prompt=asked, completion=thinking + asked // 8, reasoning=thinking, cache_read=min(64, asked // 2))
    return Reply("ok", usage=tokens, delay=0.2)


@pytest.mark.parametrize("model", ["openai:gpt-5-mini", "anthropic:claude-haiku-4-5", "google:gemini-2.5-flash"])
def test_a_dry_run_after_twenty_rows_says_what_the_rest_is_billed_for(
    run: Run, server: PracticeServer, bare: Path, model: str
) -> None:
    for seed in (1, 2):
        chance = random.Random(seed)
        Path("rows.jsonl").write_text("".join(json.dumps({"text": text(chance)}) + "\n" for _ in range(700)))
        server.script(bill)
        asked = ["map", "rows.jsonl", "--model", model, "--prompt", "Label: {text}", "-o", f"{seed}.jsonl"]
        assert run(*asked, "--limit", "20").exit_code == 0
        said = json.loads(run(*asked, "--dry-run").stdout)
        assert (said["to_ask"], said["sample"], said["guessed"]) == (680, 20, False)
        done = json.loads(run(*asked).stdout)
        assert done["answered"] == 680
        for key in ("prompt_tokens", "completion_tokens", "usd"):
            assert said[key] == pytest.approx(done[key], rel=0.1), key
        assert done["seconds"] / 5 < said["seconds"] < done["seconds"] * 5  # of a busy machine


def test_pictures_cost_what_those_before_them_did(run: Run, server: PracticeServer, bare: Path) -> None:
    Path("dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(16))
    rows = [{"path": "dot.png" if n % 3 else "", "text": "x" * (n % 50)} for n in range(600)]
    Path("rows.jsonl").write_text("".join(json.dumps(it) + "\n" for it in rows))

    def bill(request: RecordedRequest) -> Reply:
        pictures = json.dumps(request.body).count("image_url") > 0
        return Reply("ok", usage=Tokens(prompt=20 + 640 * pictures, completion=9))

    server.script(bill)
    asked = ["map", "rows.jsonl", "--model", "openai:gpt-5-mini", "--image", "path", "--prompt", "What? {text}"]
    assert run(*asked, "-o", "out.jsonl", "--limit", "20").exit_code == 0
    said = json.loads(run(*asked, "-o", "out.jsonl", "--dry-run").stdout)
    done = json.loads(run(*asked, "-o", "out.jsonl").stdout)
    for key in ("prompt_tokens", "completion_tokens", "usd"):
        assert said[key] == pytest.approx(done[key], rel=0.1), key


def test_a_price_that_rises_with_the_length_of_a_request_is_that_of_one_request(
    run: Run, server: PracticeServer, bare: Path
) -> None:
    """Not that of all rows together, which no request has."""
    Path("rows.jsonl").write_text("".join(json.dumps({"text": "word " * 400 + str(n)}) + "\n" for n in range(1000)))
    asked = ["map", "rows.jsonl", "--model", "google:gemini-2.5-pro", "--prompt", "{text}", "--dry-run"]
    one = json.loads(run(*asked, "--limit", "1").stdout)
    all_of_them = json.loads(run(*asked).stdout)
    assert all_of_them["prompt_tokens"] > 200_000
    assert all_of_them["usd"] == pytest.approx(1000 * one["usd"], rel=0.02)


def test_where_nothing_is_left_to_ask_it_costs_nothing(run: Run, server: PracticeServer, bare: Path) -> None:
    Path("rows.jsonl").write_text('{"text": "a"}\n')
    asked = ["map", "rows.jsonl", "--model", "openai:gpt-5-mini", "--prompt", "{text}", "-o", "out.jsonl"]
    assert run(*asked).exit_code == 0
    result = run(*asked, "--dry-run")
    said = json.loads(result.stdout)
    assert (said["to_ask"], said["usd"], said["seconds"], said["guessed"]) == (0, 0, 0, False)
    assert result.stderr == "1 rows, 1 of them done. Nothing is left to ask.\n"


def test_the_time_is_that_of_the_alias_s_own_rate(run: Run, server: PracticeServer, project: Path) -> None:
    rate = 'rate = { requests = 60, per = "minute" }'
    project.write_text(project.read_text().replace("params = { temperature = 0.3 }", rate, 1))
    Path("rows.jsonl").write_text("".join(json.dumps({"text": str(n)}) + "\n" for n in range(600)))
    said = json.loads(run("map", "rows.jsonl", "--model", "chatbot", "--prompt", "{text}", "--dry-run").stdout)
    assert said["seconds"] == pytest.approx(540)  # what a minute lets through goes at once
