"""What is answered: events, or a whole answer, as chunks; and what Larkspur says of a failure."""

from __future__ import annotations

from typing import Any

from llmring.providers import Decoder, NamedSSEFrames, StreamChunk, WireError, text, usage_of
from llmring.schemas import FinishReason

ENDINGS: dict[str, FinishReason] = {"said": "stop", "halted": "stop", "room": "length", "declined": "content_filter"}
STATUSES = {"stranger": 401, "voice": 404, "purse": 402, "busy": 429, "ill": 503}


class AnswerDecoder(Decoder):
    """Chunks of one answer. What it keeps on the way, `Decoder` puts on the final chunk."""

    frames = NamedSSEFrames
    end_marker = "ending"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self._meter: dict[str, int] = {}

    def feed(self, event: Any) -> StreamChunk | None:
        """Take one event of a stream: `{"event": NAME, "data": DATA}`."""
        data = event["data"]
        match event["event"]:
            case "speech":
                return self.say(text(data["text"]))
            case "pondering":
                return StreamChunk("", self.model, text(data["text"]))
            case "opening":
                self.response_model = text(data["voice"])
                self.count(data.get("meter") or {})
            case "meter":
                self.count(data)
            case "ending":
                self.finish_reason = ENDINGS.get(data["why"], "other")
                self.ended = self.complete = True
            case "trouble":
                raise trouble_of(data)
        return None  # an event of a name that is not known yet says nothing

    def feed_answer(self, answer: Any) -> StreamChunk | None:
        """Take a whole answer."""
        if "trouble" in answer:
            raise trouble_of(answer["trouble"])
        self.response_model = text(answer["voice"])
        self.count(answer.get("meter") or {})
        self.finish_reason = ENDINGS.get(answer["ending"], "other")
        chunk = self.say(text(answer["says"])) or StreamChunk("", self.model)
        chunk.reasoning = answer.get("pondering") or None
        return chunk

    def say(self, said: str) -> StreamChunk | None:
        """The chunk for a piece of text."""
        return StreamChunk(said, self.model) if said else None

    def count(self, part: dict[str, int]) -> None:
        """Take a part of the meter. Larkspur counts apart what llmring counts within: cached input, thinking."""
        meter = self._meter | part
        if meter:
            heard = meter.get("heard", 0) + meter.get("heard_again", 0)
            spoken = meter.get("spoken", 0) + meter.get("pondered", 0)
            again, pondered = meter.get("heard_again"), meter.get("pondered")
            self.usage = usage_of(heard, spoken, cache_read=again, reasoning=pondered)
        self._meter = meter


def trouble_of(trouble: dict[str, Any], status: int | None = None) -> WireError:
    """What Larkspur says of a failure, in a refusal or in the middle of a stream."""
    kind = text(trouble["kind"])
    if status in (None, 400):
        status = STATUSES.get(kind, status)  # every refusal is a 400, and the kind says more
    words, field, wait = text(trouble["words"]), trouble.get("field"), trouble.get("again_in")
    return WireError(words, status, (kind,), param=field, retry_after=wait, enveloped=True)
