"""What a vendor of a form of its own says of a failure, by a provider that is not ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from llmring import LLMRequest, LLMRing, Message
from llmring.exceptions import ModelNotFoundError, ProviderAuthenticationError, ProviderError, ProviderRateLimitError
from llmring.providers import Call, Decoder, Dialect, HTTPProvider, ProviderConfig, WireError, Words, output_limit
from llmring.testing import PracticeServer
from llmring.wire.openai_chat import ChatDecoder, render_request

KEY = "a-key-that-nobody-sees"


class Odd(HTTPProvider):
    """Chat Completions, but for its errors."""

    dialect = Dialect("odd", key_variables=["ODD_API_KEY"], words=[Words("no_model", codes=["gone"])])
    headers: ClassVar[Mapping[str, str]] = {"X-Odd-Key": "{key}"}

    def path(self, call: Call) -> str:
        return "/chat/completions"

    def render(self, call: Call) -> dict[str, Any]:
        return render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)

    def decoder(self, call: Call) -> Decoder:
        return ChatDecoder(f"{self.name}:{call.model}")

    def read_error(self, body: bytes, status: int, headers: Mapping[str, str]) -> WireError | None:
        said = json.loads(body)["oops"]
        if said == "not mine":
            return None
        return WireError(
            said["text"], said.get("status", status), (said["kind"],), retry_after=_seconds(headers) or said.get("wait")
        )


def _seconds(headers: Mapping[str, str]) -> float | None:
    return float(headers["X-Wait-Ms"]) / 1000 if "X-Wait-Ms" in headers else None


async def failure(server: PracticeServer, **reply: Any) -> ProviderError:
    server.reply(**reply)
    async with LLMRing(max_retries=0) as service:
        service.register_provider("odd", Odd(ProviderConfig("odd", key=KEY, base_url=f"{server.url}/v1")))
        with pytest.raises(ProviderError) as raised:
            await service.chat(LLMRequest(model="odd:m", messages=[Message(role="user", content="Hi")]))
    return raised.value


async def test_its_body_is_read_by_the_provider(server: PracticeServer) -> None:
    said = {"oops": {"kind": "busy", "text": "So many.", "status": 429, "wait": 2.5}}
    error = await failure(server, status=400, body=json.dumps(said).encode())
    assert isinstance(error, ProviderRateLimitError)
    assert error.retry_after == 2.5
    assert "So many." in str(error)


async def test_a_header_wins_over_the_wait_in_the_body(server: PracticeServer) -> None:
    said = {"oops": {"kind": "busy", "text": "So many.", "status": 429, "wait": 2.5}}
    error = await failure(server, status=400, body=json.dumps(said).encode(), headers={"retry-after": "7"})
    assert error.retry_after == 7


async def test_it_reads_headers_of_its_own(server: PracticeServer) -> None:
    said = {"oops": {"kind": "busy", "text": "So many.", "status": 429}}
    error = await failure(server, status=503, body=json.dumps(said).encode(), headers={"x-wait-ms": "1500"})
    assert isinstance(error, ProviderRateLimitError)
    assert error.retry_after == 1.5


@pytest.mark.parametrize("wait", ["soon", True, float("nan"), float("inf"), [1]])
async def test_a_wait_that_is_none_names_none(server: PracticeServer, wait: Any) -> None:
    said = {"oops": {"kind": "busy", "text": "So many.", "status": 429, "wait": wait}}
    error = await failure(server, status=400, body=json.dumps(said).encode())
    assert error.retry_after is None


async def test_the_dialect_says_what_its_words_mean(server: PracticeServer) -> None:
    said = {"oops": {"kind": "gone", "text": "Not here."}}
    assert isinstance(await failure(server, status=400, body=json.dumps(said).encode()), ModelNotFoundError)


@pytest.mark.parametrize(
    "body", [b"", b"<html>No</html>", b'{"oops": 1}', b'{"oops": {}}', b'{"oops": "not mine"}', b"\xff", b"[]"]
)
async def test_what_it_stumbles_over_is_read_as_any_vendors(server: PracticeServer, body: bytes) -> None:
    error = await failure(server, status=401, body=body)
    assert isinstance(error, ProviderAuthenticationError)
    assert error.status_code == 401


async def test_the_key_it_repeats_is_hidden(server: PracticeServer) -> None:
    said = {"oops": {"kind": "gone", "text": f"Not for {KEY}."}}
    error = await failure(server, status=400, body=json.dumps(said).encode())
    assert server.requests[0].headers["x-odd-key"] == KEY
    assert KEY not in str(error)
    assert KEY not in repr(vars(error))


async def test_without_a_listing_of_its_own_it_says_that_it_has_none() -> None:
    async with LLMRing() as service:
        service.register_provider("odd", Odd(ProviderConfig("odd", key=KEY, base_url="http://127.0.0.1:1")))
        with pytest.raises(
            ProviderError, match="odd does not say which models it serves: its class has no list_models"
        ):
            await service.get_available_models("odd")


async def test_no_attribute_of_the_provider_shows_the_key() -> None:
    provider = Odd(ProviderConfig("odd", key=KEY, base_url="http://127.0.0.1:1"))
    assert KEY not in repr({name: value for name, value in vars(provider).items() if name != "client"})
    await provider.close()


class Texts(ChatDecoder):
    """Gives text, and a list of it, where chunks are wanted."""

    def feed(self, event: Any, part: str = "delta") -> Any:
        chunk = super().feed(event, part)
        return chunk and chunk.delta

    def feed_answer(self, answer: Any) -> Any:
        return [super().feed_answer(answer)]


@pytest.mark.parametrize(
    ("stream", "said"), [(True, "Texts.feed gave str, and"), (False, "Texts.feed_answer gave list, and")]
)
async def test_what_is_no_chunk_is_said_to_be_none(server: PracticeServer, stream: bool, said: str) -> None:
    class Wrong(Odd):
        def decoder(self, call: Call) -> Decoder:
            return Texts(f"{self.name}:{call.model}")

    async with LLMRing(max_retries=0) as service:
        service.register_provider("odd", Wrong(ProviderConfig("odd", key=KEY, base_url=f"{server.url}/v1")))
        request = LLMRequest(model="odd:m", messages=[Message(role="user", content="Hi")])
        with pytest.raises(ProviderError, match=said) as raised:
            await (service.chat_stream(request).final_response() if stream else service.chat(request))
    assert "return StreamChunk(text, self.model)" in str(raised.value)


@pytest.mark.parametrize(
    ("model", "asked", "limit"), [("m", None, 77), ("m", 5, 5), ("maker/claude-haiku-4.5", None, 64_000)]
)
async def test_a_limit_of_the_output_for_a_wire_that_demands_one(
    server: PracticeServer, model: str, asked: int | None, limit: int
) -> None:
    class Demanding(Odd):
        def render(self, call: Call) -> dict[str, Any]:
            return {**super().render(call), "max_tokens": output_limit(call, self.name, otherwise=77)}

    async with LLMRing(max_retries=0) as service:
        service.register_provider("odd", Demanding(ProviderConfig("odd", key=KEY, base_url=f"{server.url}/v1")))
        turns = [Message(role="user", content="Hi")]
        await service.chat(LLMRequest(model=f"odd:{model}", messages=turns, max_tokens=asked))
    assert server.requests[-1].body["max_tokens"] == limit
