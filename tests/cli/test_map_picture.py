"""The picture of a map: on a terminal of any width, and a line a minute elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llmring import LLMRing
from llmring.bulk import Asking, Job, Rows, survey
from llmring.cli.pictures_of_maps import Standing, lasting, picture
from llmring.lockfile import Binding
from llmring.testing import PracticeServer, Reply, Tokens
from llmring.testing.exchange import RecordedRequest

from ..program import PROGRAM
from .terminal import Terminal

pytestmark = pytest.mark.long

MODEL = "openai:gpt-5-mini"
ASK = ["map", "rows.jsonl", "--model", MODEL, "--prompt", "{text}"]
SUMMARY = re.compile(r"(?:\n|\A)\{\n.*\n\}\s*\Z", re.DOTALL)


@pytest.fixture(autouse=True)
def _rows(project: Path, server: PracticeServer) -> None:
    Path("rows.jsonl").write_text("".join(json.dumps({"text": f"text {n}"}) + "\n" for n in range(200)))
    server.default = Reply("ok", usage=Tokens(prompt=1000, completion=10), delay=0.1)


def ended(terminal: Terminal) -> tuple[int, list[str], dict[str, Any]]:
    """The status, what stands on the screen above the summary, and that."""
    status = terminal.ended()
    text = "\n".join(terminal.screen.text())
    summary = SUMMARY.search(text)
    assert summary is not None, text
    return status, text[: summary.start()].split("\n"), json.loads(summary[0])


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_picture_fits_the_terminal_and_its_last_one_stays(width: int) -> None:
    with Terminal(*ASK, "-o", "out.jsonl", "--concurrency", "8", width=width) as terminal:
        terminal.expect("at once of", "held by")
        status, lines, summary = ended(terminal)
    assert (status, summary["answered"]) == (0, 200)
    assert all(len(line) < width for line in lines)
    said = " ".join(lines[1:])
    for part in ("200 of 200 done", "rows/s", "0 s left", "200,000 tokens in", "2,000 out", "0 at once of 8"):
        assert said.count(part) == 1, lines
    assert lines[0].strip("━╸╺ ") == ""
    assert len(lines) <= (9 if width == 40 else 5)


def test_dollars_are_those_spent_and_those_to_come(billed: None) -> None:
    with Terminal(*ASK, "-o", "out.jsonl", "--concurrency", "4", width=200) as terminal:
        terminal.expect("spent", "to come")
        status, lines, summary = ended(terminal)
    assert status == 0
    assert summary["usd"] > 0
    assert "$0.00 to come" in "\n".join(lines)


@pytest.mark.parametrize("reflows", [True, False])
def test_a_terminal_that_is_resized_has_one_picture(reflows: bool) -> None:
    with Terminal(*ASK, "-o", "out.jsonl", "--concurrency", "4", width=120) as terminal:
        terminal.screen.reflows = reflows
        for width in (200, 40, 30, 80):
            terminal.expect("held by")
            terminal.resize(24, width)
        status, lines, _ = ended(terminal)
    assert status == 0
    assert sum("of 200 done" in line for line in lines) == 1, lines
    assert lines[0].strip("━╸╺ ") == ""


def test_warnings_in_between_are_whole_lines_above_it(project: Path, server: PracticeServer) -> None:
    def decide(request: RecordedRequest) -> Reply:
        busy = request.wire == "anthropic" and request.question == "text 50"
        return Reply(status=503, error="Come again") if busy else Reply("ok", delay=0.05)

    server.script(decide)
    with Terminal(
        "map", "rows.jsonl", "--model", "chatbot", "--prompt", "{text}", "-o", "o.jsonl", width=80
    ) as terminal:
        terminal.expect("of 200 done")
        status, lines, _ = ended(terminal)
    assert status == 0
    assert lines[0].startswith("Warning: ")
    begin = next(number for number, line in enumerate(lines) if line.startswith("━"))
    assert "Said once" in " ".join(lines[:begin])
    assert sum("of 200 done" in line for line in lines) == 1


def test_answers_that_are_printed_stand_in_whole_lines(server: PracticeServer) -> None:
    with Terminal(*ASK, "--limit", "40", "--concurrency", "2", width=80) as terminal:
        assert terminal.ended() == 0
        lines = terminal.screen.text()
    answers = [json.loads(line) for line in lines if line.startswith("{")]
    assert sorted(it["row"] for it in answers) == list(range(1, 41))
    rest = [line for line in lines if line and not line.startswith("{")]
    assert rest[-1] == "40 answered, 0 failed"
    assert sum("of 40 done" in line for line in rest) == 1


def test_answers_that_go_to_a_pipe_go_there_whatever_is_shown(server: PracticeServer) -> None:
    command = " ".join(f"'{it}'" for it in (PROGRAM, *ASK, "--limit", "30"))
    ours, theirs = pty.openpty()
    done = subprocess.Popen(["sh", "-c", f"{command} > piped.jsonl"], stderr=theirs)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert done.wait(60) == 0
    assert b"of 30 done" in shown
    assert len(Path("piped.jsonl").read_text().splitlines()) == 30


def test_ctrl_c_says_so_above_it_and_leaves_the_screen_in_order(server: PracticeServer) -> None:
    with Terminal(*ASK, "-o", "out.jsonl", "--concurrency", "4", width=80) as terminal:
        terminal.expect("held by")
        terminal.interrupt("Ctrl-C again ends at once.")
        status, lines, summary = ended(terminal)
    assert (status, summary["stopped"]) == (130, "Ctrl-C")
    assert "Finishing the" in "\n".join(lines)
    assert sum("of 200 done" in line for line in lines) == 1
    server.default = Reply("ok", delay=60)
    with Terminal(*ASK, "-o", "out.jsonl", "--concurrency", "4", width=80) as terminal:
        terminal.expect("held by")
        terminal.interrupt("Ctrl-C again ends at once.")
        terminal.type("\x03")
        status, lines, summary = ended(terminal)
    assert (status, summary["stopped"]) == (130, "ended by Ctrl-C")
    assert sum("done" in line for line in lines) == 1


def test_without_colour_there_is_none(server: PracticeServer) -> None:
    with Terminal(*ASK, "-o", "out.jsonl", width=80, NO_COLOR="1") as terminal:
        status, lines, _ = ended(terminal)
        assert status == 0
        assert not re.search(r"\x1b\[[\d;]*m", terminal.raw)
    assert "200 of 200 done" in "\n".join(lines)


@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_a_dumb_terminal_is_sent_nothing_that_steers_it(server: PracticeServer, name: str) -> None:
    with Terminal(*ASK, "-o", "out.jsonl", width=80, TERM=name) as terminal:
        status, _, summary = ended(terminal)
        assert (status, summary["answered"]) == (0, 200)
        assert "\x1b" not in terminal.raw


def test_a_pipe_is_sent_nothing_that_steers_a_terminal() -> None:
    environment = {**os.environ, "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    done = subprocess.run([PROGRAM, *ASK, "-o", "out.jsonl"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["answered"] == 200


async def job_of(service: LLMRing) -> tuple[Job, Any]:
    job = Job(service, Rows(["rows.jsonl"]), Asking(MODEL, prompt="{text}"), None, concurrency=8)
    return job, await survey(job, Binding("x", (MODEL,)), 8)


async def test_elsewhere_it_is_a_line_each_minute(capsys: pytest.CaptureFixture[str]) -> None:
    async with LLMRing() as service:
        job, found = await job_of(service)
        with picture(job, found, each=0.2):
            await job.run(found)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 3
    form = (
        r"\d+ of 200 done · [\d.]+ rows/s · (\d+ s|\?) left · [\d,]+ tokens in · [\d,]+ out"
        r"( · \d at once of 8 · held by (--concurrency|how the provider copes))?"
    )
    assert all(re.fullmatch(form, line) for line in lines), lines
    assert "held by" in lines[-1]


async def test_nothing_holds_back_what_was_never_sent() -> None:
    async with LLMRing() as service:
        job, found = await job_of(service)
        job.map = service.map(job.tasks(), lambda it: it.request)
        assert len(Standing(job, found).parts()) == 2
        await job.run(found)
        assert "held by" in str(Standing(job, found).parts()[2])


async def test_the_speed_is_that_of_the_last_half_minute() -> None:
    now = 0.0
    async with LLMRing() as service:
        job, found = await job_of(service)
        standing = Standing(job, found, lambda: now)
        for now, answered in ((10.0, 20), (40.0, 50), (60.0, 50), (80.0, 60)):  # noqa: B007
            job.summary.answered = answered
            rows = standing.parts()[0]
        assert rows == ["60 of 200 done", "0.5 rows/s", "5 min left"]
        job.summary.failed = 3
        assert standing.parts()[0][1] == "3 failed"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h"), (1e6, "277.8 h")],
)
def test_a_time_is_said_as_one_says_it(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


async def test_what_a_job_says_besides_is_shown() -> None:
    class Spoken(Job):
        def says(self) -> list[str]:
            return ["one batch", "two"]

    async with LLMRing() as service:
        job, found = await job_of(service)
        assert Standing(Spoken(service, job.rows, job.asking, None), found).parts()[-1] == ["one batch", "two"]
