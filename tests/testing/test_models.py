"""What the server says of models, as each vendor's official SDK reads it, or its documentation has it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import anthropic
import ollama
import pytest
from google import genai

from llmring.testing import PracticeServer


def get(server: PracticeServer, path: str) -> Any:
    with urllib.request.urlopen(f"{server.url}{path}") as answer:
        return json.loads(answer.read())


def test_anthropic_has_every_capability(server: PracticeServer) -> None:
    server.describe("claude-haiku-4-5", images=True, reasoning_efforts=["low", "max"], context_window=1000)
    with anthropic.Anthropic() as client:
        model = client.models.retrieve("claude-haiku-4-5")
        listed = next(it for it in client.models.list() if it.id == "claude-haiku-4-5")
        plain = client.models.retrieve("claude-sonnet-4-5")
        with pytest.raises(anthropic.NotFoundError):
            client.models.retrieve("claude-2")
    assert model == listed

    able = model.capabilities
    assert able is not None
    assert (able.image_input.supported, able.pdf_input.supported, able.thinking.types.enabled.supported) == (
        *(True, False, False),
    )
    assert (able.effort.supported, able.effort.low.supported, able.effort.high.supported) == (True, True, False)
    assert (model.max_input_tokens, model.max_tokens) == (1000, 64_000)
    assert plain.capabilities is None


def test_gemini(server: PracticeServer) -> None:
    server.describe("gemini-2.5-pro", reasoning=True, max_output_tokens=7)
    with genai.Client(http_options={"base_url": server.url}) as client:
        model = client.models.get(model="gemini-2.5-pro")
        plain = client.models.get(model="gemini-2.5-flash")
        assert [it.name for it in client.models.list()] == ["models/gemini-2.5-flash", "models/gemini-2.5-pro"]
    assert (model.thinking, model.output_token_limit, model.input_token_limit) == (True, 7, 1_048_576)
    assert plain.thinking is None


def test_ollama(server: PracticeServer) -> None:
    server.describe("llama3.2", images=True, tools=False, reasoning=True, context_window=9)
    server.describe("qwen3", tools=True)
    with ollama.Client() as client:
        shown = client.show("llama3.2")
        assert [it.model for it in client.list().models] == ["llama3.2:latest", "qwen3"]
        assert client.show("qwen3").capabilities == ["completion", "tools"]
    assert shown.capabilities == ["completion", "vision", "thinking"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.context_length"] == 9


def test_each_kind_of_server_lists_in_its_own_form(server: PracticeServer) -> None:
    server.models["openai"] = ["m"]
    server.describe("m", images=True, tools=True, structured_output=True, context_window=9, max_output_tokens=4)
    listed = {name: get(server, f"/{name}/v1/models")["data"][0] for name in ("openrouter", "vllm", "groq", "mistral")}
    router = listed["openrouter"]
    assert router["architecture"]["input_modalities"] == ["text", "image"]
    assert {"tools", "tool_choice", "structured_outputs"} <= {*router["supported_parameters"]}
    assert router["top_provider"]["max_completion_tokens"] == 4
    assert listed["vllm"]["max_model_len"] == 9
    assert (listed["groq"]["context_window"], listed["groq"]["max_completion_tokens"]) == (9, 4)
    assert listed["mistral"]["capabilities"]["vision"] is True
    props = get(server, "/llamacpp/props")
    assert props["default_generation_settings"]["n_ctx"] == 9
    assert props["modalities"] == {"vision": True, "audio": False}
    assert get(server, "/llamacpp/v1/models")["data"][0]["meta"]["n_ctx"] == 9
    assert get(server, "/lmstudio/api/v0/models")["data"][0]["type"] == "vlm"
    assert get(server, "/xai/v1/language-models")["models"][0]["input_modalities"] == ["text", "image"]
    assert get(server, "/v1/models")["data"] == [
        {"id": "m", "object": "model", "created": 1735689600, "owned_by": "practice"}
    ]


def test_what_is_described_is_added_to(server: PracticeServer) -> None:
    server.describe("new", images=True)
    server.describe("new", context_window=5)
    entry = get(server, "/openrouter/v1/models")["data"][-1]
    assert (entry["id"], entry["context_length"]) == ("new", 5)
    assert "image" in entry["architecture"]["input_modalities"]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"vision": True}, "there is no fact 'vision'; there are: tools"),
        ({"images": 1}, "images is 1; it must be of the type bool"),
        ({"context_window": True}, "context_window is True; it must be of the type int"),
        ({"reasoning_efforts": "low"}, "reasoning_efforts is 'low'; it must be of the type list"),
    ],
)
def test_a_slip_is_refused_where_it_is_written(server: PracticeServer, facts: dict[str, Any], told: str) -> None:
    with pytest.raises(TypeError, match="^" + told):
        server.describe("m", **facts)
    assert get(server, "/v1/models")["data"][-1]["id"] != "m"
