"""How many recorded exchanges are replayed in a second of CPU, by all of a service, beside answers over loopback."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmring import LLMRequest, LLMRing, Message

from .measuring import US, Bound, Figure, Sample, Scale, alternate
from .serving import ServerProcess
from .talks import SMALL
from .targets import Target, lockfile, targets

__all__ = ["recordings"]

_MODEL = "openai:gpt-4o-mini"


async def recordings(server: ServerProcess, scale: Scale, *, peers: bool) -> list[Figure]:
    server.choose("text", 10)
    count = max(scale.chunks, 20)
    (over_http,) = [it for who, it in targets("openai", server.url, SMALL, peers=False).items() if who == US]
    over_http.ready(SMALL)
    figures = []
    with _project(server, count):
        for way in ("streamed", "whole"):
            who = {
                US: _replayed(count, streamed=way == "streamed"),
                "over loopback": _asked(over_http, max(scale.requests, 2), streamed=way == "streamed"),
            }
            samples = await alternate(scale.rounds, who)
            figures.append(
                Figure(f"exchanges replayed, {way}", "a second of CPU", samples, [Bound(None, 5000, at_least=True)])
            )
    await over_http.close()
    return figures


@contextmanager
def _project(server: ServerProcess, count: int) -> Iterator[None]:
    """A folder with so many recorded exchanges, of ten chunks each."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("llmring.lock").write_text(lockfile("openai", server.url))
        answer = {
            "chunks": [[3, f"word {number} "] for number in range(10)],
            "finish_reason": "stop",
            "usage": {"prompt_tokens": 9, "completion_tokens": 20, "total_tokens": 29},
            "response_model": "gpt-4o-mini",
        }
        with Path("chat.jsonl").open("w") as file:
            for number in range(count + 1):
                asked = {"messages": [{"role": "user", "content": f"Count to {number}"}]}
                file.write(json.dumps({"llmring": 1, "model": _MODEL, "request": asked, "answer": answer}) + "\n")
        try:
            yield
        finally:
            os.chdir(before)


def _replayed(count: int, *, streamed: bool) -> Sample:
    requests = [
        LLMRequest(model="replay:chat.jsonl", messages=[Message(role="user", content=f"Count to {number}")])
        for number in range(count + 1)
    ]

    async def sample() -> float:
        async with LLMRing() as service:
            await service.chat(requests[0])  # reads the file
            begun = time.process_time()
            for request in requests[1:]:
                if streamed:
                    async for _ in service.chat_stream(request):
                        pass
                else:
                    await service.chat(request)
            return count / (time.process_time() - begun)

    return sample


def _asked(target: Target, count: int, *, streamed: bool) -> Sample:
    async def sample() -> float:
        begun = time.process_time()
        for _ in range(count):
            if streamed:
                async for _ in await target.stream():
                    pass
            else:
                await target.whole()
        return count / (time.process_time() - begun)

    return sample
