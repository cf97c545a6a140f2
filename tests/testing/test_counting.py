"""Where the practice server counts tokens: the official SDKs ask it, and what the vendors refuse there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from google import genai
from google.genai import errors, types

from llmring.testing import Fault, PracticeServer, Tokens

TURNS: Any = [{"role": "user", "content": "one two three"}]


@pytest.fixture
def gemini(server: PracticeServer) -> Iterator[genai.Client]:
    with genai.Client(api_key="practice", http_options=types.HttpOptions(base_url=server.url)) as client:
        yield client


def test_the_sdks_are_given_a_count(server: PracticeServer, gemini: genai.Client) -> None:
    """Of the words, instructions included, unless a reply says how many."""
    with anthropic.Anthropic() as client, openai.OpenAI() as other:
        assert client.messages.count_tokens(model="m", messages=TURNS, system="be brief").input_tokens == 5
        assert other.responses.input_tokens.count(model="m", input="one two", instructions="be").input_tokens == 3
        assert gemini.models.count_tokens(model="m", contents="one two").total_tokens == 2
        server.reply(usage=Tokens(4321, 0), wire="counting", times=3)
        assert client.messages.count_tokens(model="m", messages=TURNS).input_tokens == 4321
        assert other.responses.input_tokens.count(model="m", input="one").input_tokens == 4321
        assert gemini.models.count_tokens(model="m", contents="one").total_tokens == 4321
    assert [it.wire for it in server.requests] == ["counting"] * 6
    assert server.pending == []


def test_a_reply_for_any_wire_is_none_for_a_count(server: PracticeServer) -> None:
    server.reply("Hello")
    with anthropic.Anthropic() as client:
        assert client.messages.count_tokens(model="m", messages=TURNS).input_tokens == 3
        assert client.messages.create(model="m", max_tokens=9, messages=TURNS).content[0].text == "Hello"  # type: ignore[union-attr]


def test_errors_are_in_the_words_of_the_wire(server: PracticeServer, gemini: genai.Client) -> None:
    server.reply(problem="bad_key", wire="counting", times=3)
    with anthropic.Anthropic(max_retries=0) as client, openai.OpenAI(max_retries=0) as other:
        with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
            client.messages.count_tokens(model="m", messages=TURNS)
        with pytest.raises(openai.AuthenticationError):
            other.responses.input_tokens.count(model="m", input="one")
        with pytest.raises(errors.ClientError, match="API key not valid"):
            gemini.models.count_tokens(model="m", contents="one")


def test_a_count_may_break_off(server: PracticeServer) -> None:
    server.reply(fault=Fault.hang_up(), wire="counting")
    with anthropic.Anthropic(max_retries=0) as client, pytest.raises(anthropic.APIConnectionError):
        client.messages.count_tokens(model="m", messages=TURNS)


def post(server: PracticeServer, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    answer = httpx2.post(f"{server.url}{path}", json=body, headers=headers, trust_env=False)
    return answer.status_code, json.loads(answer.content)


WHOLE = {"model": "models/m", "contents": [{"role": "user", "parts": [{"text": "one two"}]}]}


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/messages/count_tokens", {"model": "m", "messages": TURNS, "max_tokens": 9}, "max_tokens: Extra inputs"),
        ("/v1/messages/count_tokens", {"model": "m", "messages": TURNS, "stream": True}, "stream: Extra inputs"),
        ("/v1/messages/count_tokens", {"model": "m", "messages": []}, "at least one message"),
        ("/v1/responses/input_tokens", {"model": "m", "input": "x", "store": False}, "Unknown parameter: 'store'"),
        ("/v1/responses/input_tokens", {"model": "m", "input": "x", "temperature": 1}, "Unknown parameter"),
        ("/v1/models/m:countTokens", {"contents": []}, "contents is not specified"),
        ("/v1/models/m:countTokens", {"generateContentRequest": WHOLE | {"model": "m"}}, "model is not specified"),
        (
            "/v1/models/m:countTokens",
            {"generateContentRequest": WHOLE, "contents": WHOLE["contents"]},
            "mutually exclusive",
        ),
        ("/v1/models/m:countTokens", {"generateContentRequest": WHOLE | {"odd": 1}}, 'Unknown name "odd"'),
        ("/v1/models/m:countTokens", {"contents": WHOLE["contents"], "tools": []}, 'Unknown name "tools"'),
        ("/v1/chat/completions/input_tokens", {"model": "m", "messages": []}, "empty array"),
    ],
)
def test_what_the_vendors_refuse(server: PracticeServer, path: str, body: Any, said: str) -> None:
    headers = {"anthropic-version": "2023-06-01"} if "messages/" in path else {}
    status, answer = post(server, path, body, **headers)
    assert status == 400
    assert said in json.dumps(answer, ensure_ascii=False).replace('\\"', '"')
    assert server.requests[-1].refused is not None
    server.lenient = True
    assert post(server, path, body, **headers)[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "found"),
    [
        ("/v1/chat/completions/input_tokens", {"model": "m", "messages": TURNS}, {"input_tokens": 3}),
        ("/v1/tokenizers/estimate-token-count", {"model": "m", "messages": TURNS}, {"data": {"total_tokens": 3}}),
        (
            "/tokenize",
            {"model": "m", "messages": TURNS},
            {"count": 3, "max_model_len": 131072, "tokens": [0, 1, 2], "token_strs": None},
        ),
        (
            "/v1beta/models/m:countTokens",
            {"generateContentRequest": WHOLE},
            {"totalTokens": 2, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}]},
        ),
    ],
)
def test_servers_of_ones_own_count_as_they_do(server: PracticeServer, path: str, body: Any, found: Any) -> None:
    assert post(server, path, body) == (200, found)
    assert server.requests[-1].model == "m"
