"""What travels: the body of a request for text, on every wire, to the last key."""

from __future__ import annotations

from typing import Any

import pytest

from llmring.schemas import LLMRequest, Message
from llmring.wire import anthropic, gemini, ollama, openai_chat, openai_responses
from llmring.wire.chat_requests import dialect_of

from .streams import WIRES

ISSUER = "vendor https://api.example.com"
TURNS = [
    Message(role="system", content="Be brief."),
    Message(role="user", content="Hi"),
    Message(role="assistant", content="Hello"),
    Message(role="user", content="Count to 3"),
]


def render(wire: str, request: LLMRequest, *, stream: bool = False) -> dict[str, Any]:
    if wire == "openai-chat":
        return openai_chat.render_request(request, "m", stream=stream, issuer=ISSUER)
    if wire == "openai-responses":
        return openai_responses.render_request(request, "m", stream=stream, issuer=ISSUER)
    if wire == "anthropic":
        return anthropic.render_request(request, "m", stream=stream, max_tokens=4096, issuer=ISSUER)
    if wire == "gemini":
        return gemini.render_request(request, "m", issuer=ISSUER)
    return ollama.render_request(request, "m", stream=stream, issuer=ISSUER)


def ask(*messages: Message, **fields: Any) -> LLMRequest:
    return LLMRequest(model="alias", messages=list(messages or TURNS), **fields)


PLAIN: dict[str, Any] = {
    "openai-chat": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Count to 3"},
        ],
    },
    "openai-responses": {
        "model": "m",
        "store": False,
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"type": "message", "role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Count to 3"},
        ],
    },
    "anthropic": {
        "model": "m",
        "max_tokens": 4096,
        "system": "Be brief.",
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
            {"role": "user", "content": "Count to 3"},
        ],
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"text": "Hello"}]},
            {"role": "user", "parts": [{"text": "Count to 3"}]},
        ],
    },
    "ollama": {
        "model": "m",
        "stream": False,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Count to 3"},
        ],
    },
}
STREAMED: dict[str, Any] = {
    "openai-chat": {"stream": True, "stream_options": {"include_usage": True}},
    "openai-responses": {"stream": True},
    "anthropic": {"stream": True},
    "gemini": {},
    "ollama": {"stream": True},
}
SETTINGS: dict[str, Any] = {
    "temperature": 0.0,
    "max_tokens": 99,
    "top_p": 0.5,
    "stop": ["END", "STOP"],
    "seed": 0,
}
SET: dict[str, Any] = {
    "openai-chat": {"temperature": 0.0, "max_tokens": 99, "top_p": 0.5, "stop": ["END", "STOP"], "seed": 0},
    "openai-responses": {
        "temperature": 0.0,
        "max_output_tokens": 99,
        "top_p": 0.5,
        "stop": ["END", "STOP"],
        "seed": 0,
    },
    "anthropic": {"temperature": 0.0, "max_tokens": 99, "top_p": 0.5, "stop_sequences": ["END", "STOP"], "seed": 0},
    "gemini": {
        "generationConfig": {
            "temperature": 0.0,
            "maxOutputTokens": 99,
            "topP": 0.5,
            "stopSequences": ["END", "STOP"],
            "seed": 0,
        }
    },
    "ollama": {"options": {"temperature": 0.0, "num_predict": 99, "top_p": 0.5, "stop": ["END", "STOP"], "seed": 0}},
}
wires = pytest.mark.parametrize("wire", WIRES)


@wires
def test_what_is_not_set_is_not_sent(wire: str) -> None:
    assert render(wire, ask()) == PLAIN[wire]
    assert render(wire, ask(), stream=True) == PLAIN[wire] | STREAMED[wire]


@wires
def test_none_is_not_set(wire: str) -> None:
    nothing = dict.fromkeys(SETTINGS)
    assert render(wire, ask(**nothing, extra_params={}, metadata={"mine": 1}, timeout=None)) == PLAIN[wire]


@wires
def test_what_is_set_is_sent(wire: str) -> None:
    """Zeros too: a temperature of 0 is a setting."""
    assert render(wire, ask(**SETTINGS)) == PLAIN[wire] | SET[wire]


@wires
@pytest.mark.parametrize("name", SETTINGS)
def test_one_setting_brings_no_other(wire: str, name: str) -> None:
    expected = {key: value for key, value in _flat(SET[wire]).items() if _means(key) == name}
    assert len(expected) == 1
    body = render(wire, ask(**{name: SETTINGS[name]}))
    assert _flat({key: value for key, value in body.items() if value != PLAIN[wire].get(key)}) == expected


@wires
def test_one_stop_sequence(wire: str) -> None:
    [stop] = [value for key, value in _flat(render(wire, ask(stop="END"))).items() if _means(key) == "stop"]
    assert stop == ("END" if wire.startswith("openai") else ["END"])


def _flat(body: dict[str, Any]) -> dict[str, Any]:
    """With the settings of Gemini and Ollama beside the others."""
    inner = {**body.get("generationConfig", {}), **body.get("options", {})}
    return {k: v for k, v in body.items() if k not in ("generationConfig", "options")} | inner


def _means(key: str) -> str:
    names = {
        "max_output_tokens": "max_tokens",
        "maxOutputTokens": "max_tokens",
        "num_predict": "max_tokens",
        "topP": "top_p",
        "stop_sequences": "stop",
        "stopSequences": "stop",
    }
    return names.get(key, key)


def test_openais_own_models_count_the_tokens_of_the_completion() -> None:
    request = ask(max_tokens=99)
    for host, name in (("api.openai.com", "openai"), ("x.openai.azure.com", "x"), ("gateway.example.com", "azure")):
        dialect = dialect_of(host, name)
        body = openai_chat.render_request(request, "m", stream=False, issuer=ISSUER, dialect=dialect)
        assert body == PLAIN["openai-chat"] | {"max_completion_tokens": 99}


EXTRA: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "openai-chat": (
        {"top_k": 5, "provider": {"order": ["a"]}, "temperature": 1},
        {"top_k": 5, "provider": {"order": ["a"]}, "temperature": 1, "max_tokens": 7},
    ),
    "openai-responses": (
        {"store": True, "service_tier": "flex", "temperature": 1},
        {"store": True, "service_tier": "flex", "temperature": 1, "max_output_tokens": 7},
    ),
    "anthropic": (
        {"top_k": 5, "metadata": {"user_id": "u"}, "temperature": 1},
        {"top_k": 5, "metadata": {"user_id": "u"}, "temperature": 1, "max_tokens": 7},
    ),
    "gemini": (
        {"generationConfig": {"topK": 5, "temperature": 1}, "safetySettings": []},
        {"generationConfig": {"topK": 5, "temperature": 1, "maxOutputTokens": 7}, "safetySettings": []},
    ),
    "ollama": (
        {"options": {"num_ctx": 8192, "temperature": 1}, "keep_alive": "5m"},
        {"options": {"num_ctx": 8192, "temperature": 1, "num_predict": 7}, "keep_alive": "5m"},
    ),
}


@wires
def test_extra_params_are_merged_in_and_win(wire: str) -> None:
    extra, expected = EXTRA[wire]
    request = ask(temperature=0.1, max_tokens=7, extra_params=extra)
    assert render(wire, request) == PLAIN[wire] | expected
    # Nothing of the caller's own tables is touched, whatever is rendered from them.
    assert request.extra_params == extra
    assert render(wire, request) == PLAIN[wire] | expected


def test_the_caller_may_leave_the_usage_out() -> None:
    request = ask(extra_params={"stream_options": {"include_usage": False}})
    assert render("openai-chat", request, stream=True)["stream_options"] == {"include_usage": False}


@wires
def test_several_system_messages(wire: str) -> None:
    system = [Message(role="system", content=text) for text in ("One.", "Two.")]
    user = Message(role="user", content="Hi")
    body = render(wire, ask(system[0], user, system[1]))
    if wire == "anthropic":
        assert body["system"] == [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
        assert body["messages"] == [{"role": "user", "content": "Hi"}]
    elif wire == "gemini":
        assert body["systemInstruction"] == {"parts": [{"text": "One."}, {"text": "Two."}]}
        assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    else:
        turns = [{"role": m.role, "content": m.content} for m in (system[0], user, system[1])]
        assert body["input" if wire == "openai-responses" else "messages"] == turns


@wires
def test_no_system_message(wire: str) -> None:
    body = render(wire, ask(Message(role="user", content="Hi")))
    assert "system" not in body
    assert "systemInstruction" not in body


@wires
def test_text_in_parts(wire: str) -> None:
    """Parts of text come to the same everywhere."""
    parts = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    body = render(wire, ask(Message(role="user", content=parts)))
    said: Any = {
        "openai-chat": {"role": "user", "content": parts},
        "openai-responses": {
            "role": "user",
            "content": [{"type": "input_text", "text": "One."}, {"type": "input_text", "text": "Two."}],
        },
        "anthropic": {"role": "user", "content": parts},
        "gemini": {"role": "user", "parts": [{"text": "One."}, {"text": "Two."}]},
        "ollama": {"role": "user", "content": "One.\nTwo."},
    }[wire]
    turns = next(body[key] for key in ("messages", "input", "contents") if key in body)
    assert turns == [said]
