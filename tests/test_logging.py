"""What is logged: nothing that was asked or answered, and no key, at any level; and the page names what there is."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from llmring import LLMRequest, Message
from llmring.events import log_event
from llmring.exceptions import LLMRingError
from llmring.testing import Fault, PracticeServer, Reply, ToolCallScript

from .faults.ground import PROVIDERS, Ground

ROOT = Path(__file__).parent.parent
CONTENT, KEY = "canary-of-content", "sk-canary-" + "k" * 24


class Sum(BaseModel):
    total: int


REPLIES: dict[str, list[Reply]] = {
    "good": [Reply(f"{CONTENT} one two", reasoning=f"{CONTENT} thought")],
    "refused": [Reply(status=401, error=f"The key {KEY} is wrong")],
    "moved on": [Reply(status=503), Reply(CONTENT)],
    "again": [Reply(status=503, retry_after=0.01), Reply(status=503, retry_after=0.01), Reply(CONTENT)],
    "cut": [Reply(chunks=[CONTENT, CONTENT, CONTENT], fault=Fault.cut_after(2))],
    "gone on with": [Reply(chunks=[CONTENT, CONTENT, CONTENT], fault=Fault.cut_after(2)), Reply(CONTENT)],
    "lost": [Reply(chunks=[CONTENT, CONTENT, CONTENT], fault=Fault.lost_event(1))],
    "malformed": [Reply(chunks=[CONTENT, CONTENT], fault=Fault.malformed_event(1))],
    "without its form": [Reply(json.dumps({"total": CONTENT})), Reply('{"total": 3}')],
    "calls": [Reply(tool_calls=[ToolCallScript("look", {"at": CONTENT})]), Reply(CONTENT)],
}


@pytest.fixture
def server(practice: Ground) -> PracticeServer:
    practice.server.clear()
    return practice.server


@pytest.mark.parametrize("name", REPLIES)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("provider", PROVIDERS.values())
async def test_no_content_and_no_key_is_logged(
    practice: Ground, server: PracticeServer, caplog: pytest.LogCaptureFixture, provider: str, stream: bool, name: str
) -> None:
    def look(at: str) -> str:
        return CONTENT

    caplog.set_level(logging.DEBUG, "llmring")
    for reply in REPLIES[name]:
        server.reply(reply)
    practice.bind({"chatbot": [f"{provider}:first", f"{provider}:second"]})
    asked: dict[str, Any] = {"on_interrupt": "resume"} if name == "gone on with" else {}
    if name == "without its form":
        asked |= {"response_format": Sum, "retries_on_misfit": 1}
    messages = [Message(role="system", content=CONTENT), Message(role="user", content=CONTENT)]
    request = LLMRequest(model="chatbot", messages=messages, **asked)
    keys = dict.fromkeys(PROVIDERS.values(), KEY)
    async with practice.service(api_keys=keys, on_event=log_event, max_retries=2, timeout=5.0) as service:
        try:
            if name == "calls":
                await service.run_tools(request, [look])
            elif stream:
                await service.chat_stream(request).final_response()
            else:
                await service.chat(request)
        except LLMRingError:
            pass
    ours = [record for record in caplog.records if record.name.startswith("llmring")]
    assert len(ours) > 3
    text = "\n".join(logging.Formatter("%(name)s %(message)s").format(record) for record in ours)
    assert CONTENT not in text
    assert KEY not in text
    first, *_, last = [record.getMessage() for record in ours if record.name == "llmring.events"]
    assert re.fullmatch(
        rf"[0-9a-f]{{8}} chatbot  0\.\d{{3}} s: asking {provider}:first, {provider}:second \(\w+\), 2 messages", first
    )
    assert re.search(r" s: (finished: \w+|failed: \w+)", last)


async def test_a_lost_event_is_shown_to_who_asks_for_that(
    practice: Ground, server: PracticeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "llmring.content")
    server.reply(REPLIES["lost"][0])
    practice.bind({"chatbot": ["openai:m"]})
    async with practice.service() as service:
        await service.chat_stream(
            LLMRequest(model="chatbot", messages=[Message(role="user", content="x")])
        ).final_response()
    assert [it.name for it in caplog.records if "the event was" in it.getMessage()] == ["llmring.content"]


def test_the_page_names_every_logger_and_what_it_says() -> None:
    page = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
    source = [it.read_text(encoding="utf-8") for it in (ROOT / "src" / "llmring").rglob("*.py")]
    loggers = {it for text in source for it in re.findall(r'getLogger\("(llmring[\w.]*)"\)', text)}
    assert loggers == {"llmring", "llmring.lockfile", "llmring.events", "llmring.content"}
    assert {it for it in loggers if f"`{it}`" not in page} == set()
    calls = r'(?:log(?:ger)?|_log|content|\.getLogger\("llmring"\))\.(debug|info|warning|error)\(\s*"([^"]+)"'
    said = {it for text in source for it in re.findall(calls, text)}
    assert len(said) > 20
    rows = page.splitlines()
    for level, format in said - {("debug", "%s %s %6.3f s: %s")}:
        # Words that stand between what is filled in.
        words = [it.strip(" :;,.()")[:25] for it in re.split(r"%[\d.]*[a-z]", format)]
        parts = [it for it in words if len(it) > 6]
        assert [it for it in rows if level.upper() in it and any(part in it for part in parts)], (level, format)
