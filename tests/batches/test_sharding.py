"""The law of batches: each row is in exactly one, and none is over a limit of its vendor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring import LLMRing
from llmring.batches import BatchJob, Journal
from llmring.batches.spool import Entry, Spool
from llmring.bulk import Asking, Output, Rows, survey
from llmring.bulk.rows import RowError
from llmring.lockfile import Binding
from llmring.testing import PracticeServer

MODEL = "openai:gpt-5-mini"
TEXTS = [f"text {n}" for n in range(10)]
Make = Callable[..., BatchJob]


@given(
    st.lists(st.integers(1, 60), max_size=40),
    st.integers(1, 7),
    st.integers(70, 200),
    st.sampled_from([(b"", b"\n", b"\n"), (b'{"requests":[', b",", b"]}")]),
)
def test_each_row_is_in_one_batch_and_none_is_over_a_limit(
    sizes: list[int], requests: int, most: int, frame: tuple[bytes, bytes, bytes]
) -> None:
    head, between, tail = frame
    found: list[tuple[list[int], bytes]] = []
    spool = Spool(requests, most, *frame)

    def finish() -> None:
        content = spool.finish().read()
        assert spool.size == len(content) <= most
        found.append(([it.number for it in spool.rows], content))
        spool.kept.close()

    for number, size in enumerate(sizes):
        line = b"x" * size
        if not spool.has_room(line):
            finish()
            spool = Spool(requests, most, *frame)
        assert spool.has_room(line) or len(head) + size + len(tail) > most
        if spool.has_room(line):
            spool.add(Entry(number, f"k{number}", "a"), line)
    finish()
    fitting = [number for number, size in enumerate(sizes) if len(head) + size + len(tail) <= most]
    assert [number for numbers, _ in found for number in numbers] == fitting
    assert all(len(numbers) <= requests for numbers, _ in found)
    for numbers, content in found:
        inner = content.removeprefix(head).removesuffix(tail)
        assert [len(it) for it in inner.split(between) if it] == [sizes[number] for number in numbers]


@pytest.fixture
def job(server: PracticeServer, bare: Path) -> Iterator[Make]:
    """Makes a run about such rows."""
    opened: list[Any] = []

    def make(service: LLMRing, texts: list[str], **more: Any) -> BatchJob:
        Path("rows.jsonl").write_text("".join(json.dumps({"text": it}) + "\n" for it in texts))
        output, journal = Output(bare / "out.jsonl", "whom"), Journal(bare / "out.batches.jsonl")
        opened.extend((output, journal))
        asking = Asking(MODEL, prompt="Label: {text}")
        options: dict[str, Any] = {"journal": journal, "binding": Binding(MODEL, (MODEL,)), "pause": 0.01} | more
        return BatchJob(service, Rows(["rows.jsonl"]), asking, output, **options)

    yield make
    for it in opened:
        it.close()


def keys() -> set[str]:
    return {json.loads(line)["key"] for line in Path("out.jsonl").read_text().splitlines()}


async def done(job: BatchJob) -> Any:
    return await job.run(await survey(job, Binding(MODEL, (MODEL,)), 8, price=False))


async def test_many_batches_are_made_and_collected(server: PracticeServer, job: Make) -> None:
    async with LLMRing() as service:
        summary = await done(job(service, TEXTS, most_rows=3))
    assert [len(it.rows) for it in server.batches.made] == [3, 3, 3, 1]
    assert summary.in_batches == summary.answered == 10
    asked = sorted(row.request.question for row in server.batches.billed if row.request)
    assert asked == [f"Label: {it}" for it in TEXTS]


async def test_what_a_vendor_has_no_room_for_in_between_goes_into_a_later_batch(
    server: PracticeServer, job: Make
) -> None:
    server.reply(status=429, wire="batches", action="create")
    server.reply(status=503, wire="files", action="create")
    async with LLMRing() as service:
        summary = await done(job(service, TEXTS, most_rows=2))
    assert (summary.in_batches, summary.answered) == (10, 10)
    assert len(server.batches.billed) == 10


async def test_the_same_row_twice_is_asked_twice_and_goes_on_as_such(server: PracticeServer, job: Make) -> None:
    async with LLMRing() as service:
        made = job(service, ["same"] * 5, most_rows=2)
        assert (await done(made)).in_batches == 5
        assert made.output is not None
        assert len({row.key for row in server.batches.rows}) == 5
    assert len(keys()) == 5


@pytest.mark.long  # two hundred megabytes
async def test_a_row_that_is_too_large_is_named(server: PracticeServer, job: Make) -> None:
    async with LLMRing() as service:
        made = job(service, [*TEXTS[:3], "x" * 201_000_000])
        with pytest.raises(RowError, match=r"row 4 \(rows.jsonl:4\): what is asked about it has 201,000,\d{3} bytes"):
            await done(made)
        assert [len(it.rows) for it in server.batches.made] == [3]
