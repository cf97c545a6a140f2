"""What is asked: a request as the body of `POST /answers`."""

from __future__ import annotations

from typing import Any

from llmring import LLMRequest, Message
from llmring.providers import (
    CannotCarry,
    as_list,
    json_instruction,
    merge_params,
    plain_text,
    present,
    schema_instruction,
)

PONDER = {"none": "none", "minimal": "brief", "low": "brief"}


def body_of(request: LLMRequest, voice: str, *, live: bool) -> dict[str, Any]:
    """The body. What the request does not set is not sent."""
    for name in ("top_p", "seed"):
        if getattr(request, name) is not None:
            raise CannotCarry(f"Larkspur has no {name}; leave it out")
    turns = [turn(message) for message in request.messages if message.role != "system"]
    body: dict[str, Any] = {
        "voice": voice,
        "dialogue": [it for it in turns if it["says"].strip()],
        "live": live,
        **present(
            briefing=briefing(request),
            heat=request.temperature,
            room=request.max_tokens,
            halt=as_list(request.stop),
            ponder=PONDER.get(request.reasoning_effort, "long") if request.reasoning_effort else None,
        ),
    }
    return merge_params(body, request.extra_params)


def turn(message: Message) -> dict[str, Any]:
    """One turn. `plain_text` refuses what is not text, such as a picture."""
    speaker = "lark" if message.role == "assistant" else "guest"
    return {"from": speaker, "says": plain_text(message, "Larkspur's dialogue")}


def briefing(request: LLMRequest) -> str | None:
    """The system messages. No setting holds a voice to the form of an answer, so it is told of it here."""
    said = [plain_text(it, "Larkspur's briefing") for it in request.messages if it.role == "system"]
    said.append(schema_instruction(request) or json_instruction(request) or "")
    return "\n\n".join(filter(None, said)) or None
