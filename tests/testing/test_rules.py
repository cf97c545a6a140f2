"""What the practice server refuses, as the vendors do: each rule with a body that keeps it and one that breaks it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

import pytest

from llmring.testing import PracticeServer, Reply, Tokens, ToolCallScript
from llmring.testing.wires import Given
from llmring.vendors import load

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
USER = {"role": "user", "content": "Hi"}
CHAT, MESSAGES, RESPONSES, OLLAMA = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"
GEMINI, OLD_GEMINI = (f"/v1/models/{model}:generateContent" for model in ("gemini-3-flash", "gemini-2.5-flash"))

Post = Callable[..., tuple[int, Any]]


@pytest.fixture
def post(server: PracticeServer) -> Post:
    """Send a body to a path; the status that came back, and the JSON."""

    def post(path: str, body: Any, **headers: str) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=10)
        try:
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    return post


def words(answer: Any) -> str:
    """What an error says, in whichever form."""
    return json.dumps(answer, ensure_ascii=False).replace("\\\\", "").replace('\\"', '"')


# ------------------------------------------------------------ bodies that keep the rules


def anthropic(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "claude-haiku-5-5", "max_tokens": 99, "messages": [USER, *messages], **more}


def use(id: str = "toolu_1", **more: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": "look", "input": {}, **more}


def used(id: str = "toolu_1", content: Any = "here") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id, "content": content}


def says(*blocks: Any, role: str = "assistant") -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def picture(**source: Any) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL, **source}}


def responses(*items: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-6-luna", "input": [USER, *items], "store": False, **more}


def called(call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "look", "arguments": "{}", **more}


def output(call_id: str = "call_1", output: Any = "here", **more: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output, **more}


def chat(*messages: Any, model: str = "some-model", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [USER, *messages], **more}


def calls(*ids: str, **more: Any) -> dict[str, Any]:
    function = {"name": "look", "arguments": "{}"}
    some = [{"id": id, "type": "function", "function": function} for id in ids]
    return {"role": "assistant", "content": None, "tool_calls": some, **more}


def result(id: str = "call00001", content: Any = "here") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def gemini(*contents: Any, **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, *contents], **more}


def turn(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


def function(
    name: str = "look", signature: str | None = "skip_thought_signature_validator", **more: Any
) -> dict[str, Any]:
    signed = {"thoughtSignature": signature} if signature else {}
    return {"functionCall": {"name": name, "args": {}, **more}, **signed}


def answered(name: str = "look", **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"name": name, "response": {"result": "here"}, **more}}


def ollama(*messages: Any, **more: Any) -> dict[str, Any]:
    return {"model": "llama3.2", "messages": [USER, *messages], "stream": False, **more}


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
STEP = [calls("call00001"), result()]
ID = "call00001"

GOOD = {
    "anthropic": (
        MESSAGES,
        anthropic(says(use(), use("toolu_2")), says(used(), used("toolu_2"), picture(), role="user")),
    ),
    "anthropic: its results in turns of their own": (
        MESSAGES,
        anthropic(says(use(), use("toolu_2")), says(used(), role="user"), says(used("toolu_2"), role="user")),
    ),
    "anthropic: a picture in a result": (
        MESSAGES,
        anthropic(says(use()), says(used(content=[picture()]), role="user")),
    ),
    "anthropic: what only beta versions know": (MESSAGES, anthropic(future=1)),
    "responses": (RESPONSES, responses(called(), called("call_2"), output(), output("call_2"))),
    "responses: a text": (RESPONSES, {"model": "gpt-6-luna", "input": "Hi"}),
    "responses: what the vendor has stored": (RESPONSES, responses(output(), previous_response_id="resp_1")),
    "responses: a picture": (
        RESPONSES,
        responses(
            {"role": "user", "content": [{"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}]}
        ),
    ),
    "any host": (CHAT, chat(*STEP, future=1)),
    **{
        f"{vendor}": (f"/{vendor}{CHAT}", chat(*STEP))
        for vendor in ("openai", "mistral", "openrouter", "vllm", "gemini")
    },
    "deepseek": (f"/deepseek{CHAT}", chat(calls(ID, reasoning_content=""), result())),
    "deepseek without thinking": (f"/deepseek{CHAT}", chat(*STEP, thinking={"type": "disabled"})),
    "gemini's compatible endpoint": (
        f"/gemini{CHAT}",
        chat(
            {
                **calls(ID),
                "tool_calls": [
                    {
                        **calls(ID)["tool_calls"][0],
                        "extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}},
                    }
                ],
            },
            result(),
            model="gemini-3-flash",
        ),
    ),
    "gemini 3": (
        GEMINI,
        gemini(turn("model", function(), function(signature=None)), turn("user", answered(), answered())),
    ),
    "gemini 3: a turn that is over": (
        GEMINI,
        gemini(
            turn("model", function(signature=None)),
            turn("user", answered()),
            turn("model", {"text": "There."}),
            turn("user", {"text": "Thanks"}),
        ),
    ),
    "gemini 2.5": (OLD_GEMINI, gemini(turn("model", function(signature=None)), turn("user", answered()))),
    "ollama": (
        OLLAMA,
        ollama(
            {"role": "user", "content": "", "images": [PIXEL]},
            {
                "role": "assistant",
                "content": "",
                "thinking": "",
                "tool_calls": [{"function": {"name": "look", "arguments": {}}}],
            },
            {"role": "tool", "content": "here", "tool_name": "look"},
            future=1,
        ),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_what_keeps_the_rules_is_taken(name: str, post: Post, server: PracticeServer) -> None:
    path, body = GOOD[name]
    headers = {"anthropic-beta": "future-2030-01-01"} if "beta" in name else {}
    status, said = post(path, body, **headers)
    assert status == 200, said
    assert server.requests[0].refused is None


# ------------------------------------------------------------ bodies that break one

BAD: dict[str, tuple[str, Any, int, str]] = {
    # Anthropic
    "no max_tokens": (MESSAGES, {"model": "m", "messages": [USER]}, 400, "max_tokens: Field required"),
    "no message": (MESSAGES, {"model": "m", "max_tokens": 9, "messages": []}, 400, "at least one message"),
    "a field": (MESSAGES, anthropic(seed=1), 400, "seed: Extra inputs are not permitted"),
    "a system message": (MESSAGES, anthropic({"role": "system", "content": "x"}), 400, 'Unexpected role "system"'),
    "a field of a message": (MESSAGES, anthropic({**USER, "name": "x"}), 400, "messages.1.name: Extra inputs"),
    "no content": (MESSAGES, anthropic({"role": "assistant", "content": []}, USER), 400, "must have non-empty content"),
    "an empty block": (MESSAGES, anthropic(says({"type": "text", "text": ""}), USER), 400, "must be non-empty"),
    "a blank block": (
        MESSAGES,
        anthropic(says({"type": "text", "text": "\n\n"}, use()), says(used(), role="user")),
        400,
        "must contain non-whitespace text",
    ),
    "a blank text": (MESSAGES, anthropic({"role": "assistant", "content": " "}, USER), 400, "non-whitespace"),
    "a blank system": (MESSAGES, anthropic(system=[{"type": "text", "text": ""}]), 400, "system: text content blocks"),
    "white space at the end": (
        MESSAGES,
        anthropic({"role": "assistant", "content": "So "}),
        400,
        "final assistant content cannot end with trailing whitespace",
    ),
    "an unknown block": (MESSAGES, anthropic(says({"type": "x"}), USER), 400, "Input tag 'x' found using 'type'"),
    "a field of a block": (
        MESSAGES,
        anthropic(says(use(index=0)), says(used(), role="user")),
        400,
        "messages.1.content.0.tool_use.index: Extra inputs are not permitted",
    ),
    "thinking without a signature": (
        MESSAGES,
        anthropic(says({"type": "thinking", "thinking": "Hm."}), USER),
        400,
        "messages.1.content.0.thinking.signature: Field required",
    ),
    "a foreign signature": (
        MESSAGES,
        anthropic(says({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}), USER),
        400,
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    "foreign hidden thinking": (
        MESSAGES,
        anthropic(says({"type": "redacted_thinking", "data": "c2ln"}), USER),
        400,
        "Invalid `data` in `redacted_thinking` block",
    ),
    "an id of another's form": (
        MESSAGES,
        anthropic(says(use("functions.look:0")), says(used("functions.look:0"), role="user")),
        400,
        "tool_use.id: String should match pattern",
    ),
    "an input that is no table": (
        MESSAGES,
        anthropic(says(use(input="{}")), says(used(), role="user")),
        400,
        "Input should be a valid dictionary",
    ),
    "a call without a result": (MESSAGES, anthropic(says(use()), USER), 400, "without `tool_result` blocks"),
    "a call at the end": (MESSAGES, anthropic(says(use())), 400, "without `tool_result` blocks"),
    "two calls without results": (
        MESSAGES,
        anthropic(says(use(), use(id="toolu_2")), USER),
        400,
        "without `tool_result` blocks immediately after: toolu_1, toolu_2. Each",
    ),
    "a result after text": (
        MESSAGES,
        anthropic(says(use()), says({"type": "text", "text": "So"}, used(), role="user")),
        400,
        "without `tool_result` blocks immediately after: toolu_1",
    ),
    "a result without a call": (MESSAGES, anthropic(says(used(), role="user")), 400, "unexpected `tool_use_id`"),
    "a call in a result": (
        MESSAGES,
        anthropic(says(use()), says(used(content=[use("toolu_2")]), role="user")),
        400,
        "Input tag 'tool_use' found using 'type'",
    ),
    "one id twice": (MESSAGES, anthropic(says(use(), use()), says(used(), role="user")), 400, "must be unique"),
    "a caller that nobody knows": (
        MESSAGES,
        anthropic(says(use(caller={"type": "code_execution_20260120", "tool_id": "x"})), says(used(), role="user")),
        400,
        "caller",
    ),
    "a container that nobody knows": (MESSAGES, anthropic(container="container_1"), 400, "container_1 not found"),
    "a picture of another type": (
        MESSAGES,
        anthropic(says(picture(media_type="image/bmp"), role="user")),
        400,
        "image.source.base64.media_type: Input should be 'image/jpeg'",
    ),
    "a picture in a data URL": (
        MESSAGES,
        anthropic(says(picture(data=f"data:image/png;base64,{PIXEL}"), role="user")),
        400,
        "Invalid base64 data",
    ),
    "a citation that was not given": (
        MESSAGES,
        anthropic(says({"type": "text", "text": "x", "citations": [{"encrypted_index": "x", "type": "y"}]}), USER),
        400,
        "Invalid `encrypted_index`",
    ),
    "a tool without a schema": (MESSAGES, anthropic(tools=[{"name": "x"}]), 400, "input_schema: Field required"),
    "an open schema": (
        MESSAGES,
        anthropic(output_config={"format": {"type": "json_schema", "schema": OPEN}}),
        400,
        "'additionalProperties' must be explicitly set to false",
    ),
    # OpenAI's Responses
    "a parameter": (RESPONSES, responses(stop=["x"]), 400, "Unknown parameter: 'stop'."),
    "a field of an item": (RESPONSES, responses({**USER, "name": "x"}), 400, "Unknown parameter: 'input[1].name'."),
    "a call without an id": (
        RESPONSES,
        responses({"type": "function_call", "name": "x", "arguments": "{}"}),
        400,
        "Missing required parameter: 'input[1].call_id'.",
    ),
    "a call that is not answered": (
        RESPONSES,
        responses(called()),
        400,
        "No tool output found for function call call_1.",
    ),
    "an output that answers nothing": (
        RESPONSES,
        responses(output()),
        400,
        "No tool call found for function call output",
    ),
    "a long id of a call": (
        RESPONSES,
        responses(called("x" * 65), output("x" * 65)),
        400,
        "Invalid 'input[1].call_id': string too long.",
    ),
    "an id of another prefix": (
        RESPONSES,
        responses(called(id="item_1"), output()),
        400,
        "Expected an ID that begins with 'fc'.",
    ),
    "arguments as a table": (
        RESPONSES,
        responses(called(arguments={}), output()),
        400,
        "Invalid type for 'input[1].arguments': expected a string",
    ),
    "a role": (RESPONSES, responses({"role": "tool", "content": "x"}), 400, "Invalid 'input[1].role'"),
    "what an assistant says, heard": (
        RESPONSES,
        responses({"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}),
        400,
        "Supported values are: 'output_text' and 'refusal'.",
    ),
    "what a user says, spoken": (
        RESPONSES,
        responses({"role": "user", "content": [{"type": "output_text", "text": "x"}]}),
        400,
        "Invalid value: 'output_text'.",
    ),
    "a content of nothing": (
        RESPONSES,
        responses({"role": "user", "content": None}),
        400,
        "Invalid type for 'input[1].con",
    ),
    "a picture that is no URL": (
        RESPONSES,
        responses({"role": "user", "content": [{"type": "input_image", "image_url": PIXEL}]}),
        400,
        "Expected a valid URL",
    ),
    "foreign encrypted thinking": (
        RESPONSES,
        responses({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}, called(), output()),
        400,
        "The encrypted content for item rs_1 could not be verified.",
    ),
    "thinking that was not stored": (
        RESPONSES,
        responses({"type": "reasoning", "id": "rs_1", "summary": []}, called(), output()),
        404,
        "Items are not persisted when `store` is set to false.",
    ),
    "thinking that is shown": (
        RESPONSES,
        responses(
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
        ),
        400,
        "Invalid 'input[1].content': array too long.",
    ),
    "the word is missing": (
        RESPONSES,
        responses(text={"format": {"type": "json_object"}}),
        400,
        "must contain the word",
    ),
    "a form without a name": (
        RESPONSES,
        responses(text={"format": {"type": "json_schema", "schema": CLOSED}}),
        400,
        "Missing required parameter: 'text.format.name'.",
    ),
    "a strict form that is open": (
        RESPONSES,
        responses(text={"format": {"type": "json_schema", "name": "x", "strict": True, "schema": OPEN}}),
        400,
        "Invalid schema for response_format 'x': In context=(), 'additionalProperties' is required",
    ),
    "a strict form with something optional": (
        RESPONSES,
        responses(
            text={"format": {"type": "json_schema", "name": "x", "strict": True, "schema": {**CLOSED, "required": []}}}
        ),
        400,
        "Missing 'a'.",
    ),
    "a strict tool that is open": (
        RESPONSES,
        responses(tools=[{"type": "function", "name": "look", "parameters": OPEN}]),
        400,
        "Invalid schema for function 'look'",
    ),
    # Chat Completions, everywhere
    "no messages": (CHAT, {"model": "m", "messages": []}, 400, "Invalid 'messages': empty array."),
    "calls without results": (CHAT, chat(calls("a", "b"), result("a")), 400, "did not have response messages: b"),
    "results in between": (CHAT, chat(calls("a"), USER, result("a")), 400, "did not have response messages: a"),
    "results without calls": (CHAT, chat(result("a")), 400, "must be a response to a preceeding message"),
    "arguments that are a table": (
        CHAT,
        chat(
            {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "x", "arguments": {}}}]}, result("a")
        ),
        400,
        "expected a string, but got an object instead.",
    ),
    # OpenAI
    "openai: a parameter": (f"/openai{CHAT}", chat(top_k=1), 400, "Unknown parameter: 'top_k'."),
    "openai: max_tokens": (
        f"/openai{CHAT}",
        chat(model="gpt-5", max_tokens=1),
        400,
        "Use 'max_completion_tokens' instead.",
    ),
    "openai: reasoning": (
        f"/openai{CHAT}",
        chat(calls("a", reasoning_content="Hm."), result("a")),
        400,
        "Unknown parameter: 'messages[1].reasoning_content'.",
    ),
    "openai: a role": (f"/openai{CHAT}", chat({"role": "model", "content": "x"}), 400, "Invalid value: 'model'."),
    "openai: no content": (f"/openai{CHAT}", chat({"role": "assistant", "content": None}), 400, "got null"),
    "openai: a picture in a result": (
        f"/openai{CHAT}",
        chat(calls("a"), result("a", [{"type": "image_url", "image_url": {"url": "https://example.com/"}}])),
        400,
        "Invalid value: 'image_url'. Supported values are: 'text'.",
    ),
    "openai: a long id": (f"/openai{CHAT}", chat(calls("x" * 41), result("x" * 41)), 400, "with maximum length 40"),
    "openai: a field of a call": (
        f"/openai{CHAT}",
        chat({**calls("a"), "tool_calls": [{**calls("a")["tool_calls"][0], "extra_content": {}}]}, result("a")),
        400,
        "Unknown parameter: 'messages[1].tool_calls[0].extra_content'.",
    ),
    "openai: the word is missing": (
        f"/openai{CHAT}",
        chat(response_format={"type": "json_object"}),
        400,
        "the word 'json'",
    ),
    "openai: an open form": (
        f"/openai{CHAT}",
        chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": OPEN}}),
        400,
        "Invalid schema for response_format 'x'",
    ),
    # Mistral
    "mistral: a seed": (f"/mistral{CHAT}", chat(seed=1), 422, '"loc": ["body", "seed"]'),
    "mistral: options of a stream": (
        f"/mistral{CHAT}",
        chat(stream_options={"include_usage": True}),
        422,
        "extra_forbidden",
    ),
    "mistral: reasoning": (
        f"/mistral{CHAT}",
        chat(calls(ID, reasoning_content="Hm."), result()),
        422,
        '"loc": ["body", "messages", 1, "assistant", "reasoning_content"]',
    ),
    "mistral: a field of a call": (
        f"/mistral{CHAT}",
        chat({**calls(ID), "tool_calls": [{**calls(ID)["tool_calls"][0], "extra_content": {}}]}, result()),
        422,
        '"loc": ["body", "messages", 1, "assistant", "tool_calls", 0, "extra_content"]',
    ),
    "mistral: a role": (
        f"/mistral{CHAT}",
        chat({"role": "developer", "content": "x"}, USER),
        422,
        "Input tag 'developer'",
    ),
    "mistral: an id": (
        f"/mistral{CHAT}",
        chat(calls("call_1"), result("call_1")),
        400,
        "Tool call id was call_1 but must be",
    ),
    "mistral: a question after a result": (
        f"/mistral{CHAT}",
        chat(*STEP, USER),
        400,
        "Unexpected role 'user' after role 'tool'",
    ),
    "mistral: nothing said": (
        f"/mistral{CHAT}",
        chat({"role": "assistant", "content": ""}, USER),
        400,
        "must have either content or tool_calls",
    ),
    "mistral: an answer at the end": (
        f"/mistral{CHAT}",
        chat({"role": "assistant", "content": "x"}),
        400,
        "Expected last role User or Tool",
    ),
    # DeepSeek
    "deepseek: a call without its reasoning": (
        f"/deepseek{CHAT}",
        chat(*STEP),
        400,
        "Missing `reasoning_content` field in the assistant message at message index 1.",
    ),
    "deepseek: an answer without its reasoning": (
        f"/deepseek{CHAT}",
        chat(calls("a", reasoning_content="Hm."), result("a"), {"role": "assistant", "content": "There."}, USER),
        400,
        "at message index 3",
    ),
    "deepseek: a schema": (
        f"/deepseek{CHAT}",
        chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": CLOSED}}),
        400,
        "This response_format type is unavailable now",
    ),
    "deepseek: the word is missing": (
        f"/deepseek{CHAT}",
        chat(response_format={"type": "json_object"}),
        400,
        "Prompt must contain the word 'json'",
    ),
    "moonshot: a call without its reasoning": (
        f"/moonshot{CHAT}",
        chat(*STEP),
        400,
        "reasoning_content is missing in assistant tool call message at index 1",
    ),
    # Google's compatible endpoint
    "gemini's endpoint: no signature": (
        f"/gemini{CHAT}",
        chat(*STEP, model="gemini-3-flash"),
        400,
        "Function call is missing a thought_signature",
    ),
    "gemini's endpoint: a foreign signature": (
        f"/gemini{CHAT}",
        chat(
            {
                **calls(ID),
                "tool_calls": [
                    {**calls(ID)["tool_calls"][0], "extra_content": {"google": {"thought_signature": "c2ln"}}}
                ],
            },
            result(),
        ),
        400,
        "Thought signature is not valid.",
    ),
    "gemini's endpoint: reasoning": (
        f"/gemini{CHAT}",
        chat(calls(ID, reasoning_content="Hm."), result()),
        400,
        "Unknown name \"reasoning_content\" at 'messages[1]'",
    ),
    # OpenRouter
    "openrouter: a foreign signature": (
        f"/openrouter{CHAT}",
        chat(calls(ID, reasoning_details=[{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln"}]), result()),
        400,
        "Invalid `signature` in `thinking` block",
    ),
    # Gemini
    "gemini: no contents": (GEMINI, {}, 400, "contents is not specified"),
    "gemini: a field": (GEMINI, gemini(seed=1), 400, 'Unknown name "seed": Cannot find field.'),
    "gemini: a setting": (
        GEMINI,
        gemini(generationConfig={"stop": []}),
        400,
        "Unknown name \"stop\" at 'generation_config'",
    ),
    "gemini: a field of a turn": (GEMINI, gemini({**turn("user", {"text": "x"}), "id": 1}), 400, "at 'contents[1]'"),
    "gemini: a role": (GEMINI, gemini(turn("assistant", {"text": "x"})), 400, "Please use a valid role: user, model."),
    "gemini: no parts": (GEMINI, gemini(turn("model")), 400, "contents.parts must not be empty"),
    "gemini: an empty text": (GEMINI, gemini(turn("user", {"text": ""})), 400, "must have one initialized field"),
    "gemini: an empty instruction": (
        GEMINI,
        gemini(systemInstruction={"parts": [{"text": ""}]}),
        400,
        "GenerateContentRequest.system_instruction.parts[0].data",
    ),
    "gemini: a field of a part": (
        GEMINI,
        gemini(turn("user", {"text": "x", "type": "text"})),
        400,
        'Unknown name "type"',
    ),
    "gemini: an empty part": (GEMINI, gemini(turn("user", {"thought": True})), 400, "must have one initialized field"),
    "gemini: two in one part": (GEMINI, gemini(turn("user", {"text": "x", "fileData": {}})), 400, "is already set"),
    "gemini: a field of a call": (
        GEMINI,
        gemini(turn("model", function(arguments={})), turn("user", answered())),
        400,
        "Unknown name \"arguments\" at 'contents[1].parts[0].function_call'",
    ),
    "gemini: a response that is no table": (
        GEMINI,
        gemini(turn("model", function()), turn("user", answered(response="x"))),
        400,
        "must be a Struct",
    ),
    "gemini: a picture in a data URL": (
        GEMINI,
        gemini(turn("user", {"inlineData": {"mimeType": "image/png", "data": f"data:image/png;base64,{PIXEL}"}})),
        400,
        "Base64 decoding failed",
    ),
    "gemini: a picture of no type": (GEMINI, gemini(turn("user", {"inlineData": {"data": PIXEL}})), 400, "mime_type"),
    "gemini: a call of the user's": (
        GEMINI,
        gemini(turn("user", function()), turn("model", answered())),
        400,
        "call turn comes",
    ),
    "gemini: a response to nothing": (
        GEMINI,
        gemini(turn("user", answered())),
        400,
        "response turn comes immediately after",
    ),
    "gemini: one response of two": (
        GEMINI,
        gemini(turn("model", function(), function()), turn("user", answered())),
        400,
        "the number of function response parts is equal",
    ),
    "gemini: another name": (
        GEMINI,
        gemini(turn("model", function()), turn("user", answered("x"))),
        400,
        "ensure that the names",
    ),
    "gemini: another id": (
        GEMINI,
        gemini(turn("model", function(id="a")), turn("user", answered(id="b"))),
        400,
        "ensure that the ids",
    ),
    "gemini: no signature": (
        GEMINI,
        gemini(turn("model", function(signature=None)), turn("user", answered())),
        400,
        "missing a thought_signature in functionCall parts.",
    ),
    "gemini: no signature in a later step": (
        GEMINI,
        gemini(
            turn("model", function()),
            turn("user", answered()),
            turn("model", function(signature=None)),
            turn("user", answered()),
        ),
        400,
        "position 4",
    ),
    "gemini: a foreign signature": (
        OLD_GEMINI,
        gemini(turn("model", function(signature="c2ln")), turn("user", answered())),
        400,
        "Thought signature is not valid.",
    ),
    "gemini: a signature that is no base64": (
        GEMINI,
        gemini(turn("model", function(signature="#")), turn("user", answered())),
        400,
        "(TYPE_BYTES), Base64 decoding failed",
    ),
    # Ollama
    "ollama: no model": (OLLAMA, {"messages": [USER], "stream": False}, 400, "model is required"),
    "ollama: arguments as text": (
        OLLAMA,
        ollama({"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": "{}"}}]}),
        400,
        "cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments of type "
        "api.ToolCallFunctionArguments",
    ),
    "ollama: a list of parts": (
        OLLAMA,
        ollama({"role": "user", "content": [{"type": "text", "text": "x"}]}),
        400,
        "cannot unmarshal array into Go struct field ChatRequest.messages.content of type string",
    ),
    "ollama: a picture in a data URL": (
        OLLAMA,
        ollama({"role": "user", "content": "x", "images": [f"data:image/png;base64,{PIXEL}"]}),
        400,
        "illegal base64 data at input byte 4",
    ),
    "ollama: a degree of thinking": (OLLAMA, ollama(think="much"), 400, 'invalid think value: "much"'),
    "ollama: images that are no list": (OLLAMA, ollama({**USER, "images": {}}), 400, "cannot unmarshal object"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_breaks_a_rule_is_refused(name: str, post: Post, server: PracticeServer) -> None:
    path, body, status, said = BAD[name]
    answer = post(path, body)
    assert (answer[0], said in words(answer[1])) == (status, True), answer
    assert server.requests[0].refused
    server.lenient = True
    assert post(path, body)[0] == 200


@pytest.mark.parametrize(
    ("kind", "prefix", "fields"),
    [
        ("message", "msg", {"role": "assistant", "content": [{"type": "output_text", "text": "x"}]}),
        ("reasoning", "rs", {"summary": []}),
        ("function_call", "fc", {"call_id": "call_1", "name": "look", "arguments": "{}"}),
        ("custom_tool_call", "ctc", {"call_id": "call_1", "name": "look", "input": "x"}),
        ("web_search_call", "ws", {"status": "completed"}),
    ],
)
def test_each_item_of_the_responses_api_has_ids_of_its_own(
    kind: str, prefix: str, fields: dict[str, Any], post: Post
) -> None:
    said = f"Invalid 'input[1].id': 'item_1'. Expected an ID that begins with '{prefix}'."
    status, answer = post(RESPONSES, responses({"type": kind, "id": "item_1", **fields}))
    assert (status, said in words(answer)) == (400, True), answer
    assert "Expected an ID" not in words(post(RESPONSES, responses({"type": kind, "id": f"{prefix}_1", **fields})))


@pytest.mark.parametrize("path", [CHAT, f"/mistral{CHAT}", f"/gemini{CHAT}", f"/openrouter{CHAT}", MESSAGES, RESPONSES])
@pytest.mark.parametrize(
    "oddity", [None, 1, "x", [1], {}, [{}], [[]], [{"role": 1, "content": 1, "tool_calls": 1, "type": [], "id": {}}]]
)
def test_no_body_is_too_odd_to_be_looked_at(path: str, oddity: Any, post: Post) -> None:
    names = ("messages", "input", "tools", "system", "text", "container", "response_format", "model", "thinking")
    assert post(path, dict.fromkeys(names, oddity))[0] in (200, 400, 422)
    assert post(path, {"model": "m", "messages": oddity, "input": oddity, "max_tokens": 1})[0] in (200, 400, 422)


@pytest.mark.parametrize(
    "oddity", [None, 1, "x", [1], {}, [{}], [{"role": 1, "parts": 1}], [{"parts": [{"inlineData": 1}]}]]
)
def test_no_content_is_too_odd_to_be_looked_at(oddity: Any, post: Post) -> None:
    assert post(GEMINI, {"contents": oddity, "generationConfig": oddity})[0] in (200, 400)
    assert post(OLLAMA, {"model": "m", "messages": oddity, "tools": oddity, "stream": False})[0] in (200, 400)


# ------------------------------------------------------------ the vendor's own form, and who it is


def test_each_vendor_words_a_refusal_in_its_own_form(post: Post) -> None:
    assert post(MESSAGES, anthropic(seed=1))[1]["error"]["type"] == "invalid_request_error"
    assert post(RESPONSES, responses(stop="x"))[1]["error"]["code"] == "unknown_parameter"
    assert post(GEMINI, gemini(seed=1))[1]["error"]["status"] == "INVALID_ARGUMENT"
    assert isinstance(post(OLLAMA, {"messages": []})[1]["error"], str)
    mistral = post(f"/mistral{CHAT}", chat(seed=1))[1]
    assert (mistral["object"], mistral["message"]["detail"][0]["loc"]) == ("error", ["body", "seed"])
    (google,) = post(f"/gemini{CHAT}", chat(calls(ID, x=1), result()))[1]
    assert google["error"]["status"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("host", "vendor"),
    [
        ("api.mistral.ai", "mistral"),
        ("api.mistral.ai:443", "mistral"),
        ("some.openai.azure.com", "openai"),
        ("generativelanguage.googleapis.com", "gemini"),
        ("notmistral.ai", None),
        ("", None),
    ],
)
def test_a_vendor_is_known_by_its_host(host: str, vendor: str | None, post: Post, server: PracticeServer) -> None:
    post(CHAT, chat(), host=host)
    assert server.requests[0].vendor == vendor


# ------------------------------------------------------------ what the server gives, and wants back

THINK = Reply(reasoning="I look.", tool_calls=[ToolCallScript("look"), ToolCallScript("look")])


def test_what_anthropic_has_given_goes_back_as_it_was(server: PracticeServer, post: Post) -> None:
    server.reply(THINK, times=2)
    content = post(MESSAGES, anthropic())[1]["content"]
    results = says(*(used(block["id"]) for block in content[1:]), role="user")
    assert post(MESSAGES, anthropic(says(*content), results))[0] == 200
    changed = {**content[0], "thinking": "I looked."}
    assert "cannot be modified" in words(post(MESSAGES, anthropic(says(changed, *content[1:]), results))[1])
    with PracticeServer() as other:
        connection = HTTPConnection("127.0.0.1", int(other.url.rpartition(":")[2]), timeout=10)
        connection.request("POST", MESSAGES, json.dumps(anthropic(says(*content), results)))
        response = connection.getresponse()
        assert (response.status, b"Invalid `signature`" in response.read()) == (400, True)
        connection.close()
    assert "Invalid `signature`" in words(post(MESSAGES, anthropic(says(*content), results), host="elsewhere")[1])


def test_what_a_search_has_found_goes_back_with_its_proof(server: PracticeServer, post: Post) -> None:
    server.reply("Rain.", searched="weather")
    content = post(MESSAGES, anthropic())[1]["content"]
    assert post(MESSAGES, anthropic(says(*content), USER))[0] == 200
    content[1]["content"][0]["encrypted_content"] = "c2ln"
    assert "Invalid `encrypted_content`" in words(post(MESSAGES, anthropic(says(*content), USER))[1])


@pytest.mark.parametrize("streamed", [True, False])
def test_a_call_of_code_in_a_container_goes_back_with_both(streamed: bool, server: PracticeServer, post: Post) -> None:
    caller = {"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}
    call, container = use(caller=caller), {"id": "container_1", "expires_at": "2030-01-01T00:00:00Z"}
    parts = [{"type": "content_block_start", "index": 0, "content_block": call}, {"delta": {"container": container}}]
    whole = {"content": [call], "container": container}
    events = b"".join(b"data: %s\n\n" % json.dumps(part).encode() for part in parts)
    server.reply(body=events if streamed else json.dumps(whole).encode())
    server.reply("Fine.", times=1)
    connection = HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=10)
    connection.request("POST", MESSAGES, json.dumps(anthropic()))
    connection.getresponse().read()
    connection.close()
    results = says(used(), role="user")
    assert post(MESSAGES, anthropic(says(call), results, container="container_1"))[0] == 200
    assert "container_id is required" in words(post(MESSAGES, anthropic(says(call), results))[1])
    bare = anthropic(says(use()), results, container="container_1")
    assert "tool_use.caller" in words(post(MESSAGES, bare)[1])


def test_what_the_responses_api_has_given_goes_back_as_it_was(server: PracticeServer, post: Post) -> None:
    server.reply(THINK)
    items = post(RESPONSES, responses())[1]["output"]
    items = [{key: value for key, value in item.items() if key != "content"} for item in items]
    results = [output(item["call_id"]) for item in items[1:]]
    assert post(RESPONSES, responses(*items, *results))[0] == 200
    assert "without its required 'reasoning' item" in words(post(RESPONSES, responses(*items[1:], *results))[1])
    assert "without its required following item" in words(post(RESPONSES, responses(items[0]))[1])
    assert "without its required following item" in words(post(RESPONSES, responses(items[0], USER))[1])
    assert "Duplicate item found" in words(post(RESPONSES, responses(items[0], *items, *results))[1])
    bare = [{key: value for key, value in item.items() if key != "id"} for item in items[1:]]
    assert post(RESPONSES, responses(*bare, *results))[0] == 200


@pytest.mark.parametrize("path", [GEMINI, OLD_GEMINI])
def test_what_gemini_has_signed_goes_back_signed(path: str, server: PracticeServer, post: Post) -> None:
    server.reply(THINK)
    parts = post(path, gemini())[1]["candidates"][0]["content"]["parts"]
    results = turn("user", answered(), answered())
    assert post(path, gemini(turn("model", *parts[1:]), results))[0] == 200


@pytest.mark.parametrize("vendor", ["openai", "mistral", "deepseek", "moonshot", "openrouter", "vllm", "gemini"])
def test_what_a_chat_host_has_said_it_takes_back(vendor: str, server: PracticeServer, post: Post) -> None:
    server.reply(THINK)
    path = f"/{vendor}{CHAT}"
    message = post(path, chat(model="gemini-3-flash"))[1]["choices"][0]["message"]
    message = {key: value for key, value in message.items() if key not in ("refusal", "annotations")}
    results = [result(call["id"]) for call in message["tool_calls"]]
    assert post(path, chat(message, *results, model="gemini-3-flash"))[0] == 200


def test_each_chat_host_thinks_in_its_own_words(server: PracticeServer, post: Post) -> None:
    server.reply(THINK, times=6)
    said = {}
    for vendor in ("openai", "mistral", "deepseek", "openrouter", "vllm", "gemini"):
        said[vendor] = post(f"/{vendor}{CHAT}", chat())[1]["choices"][0]["message"]
    assert not {"reasoning", "reasoning_content"} & (said["openai"].keys() | said["gemini"].keys())
    assert said["mistral"]["content"][0]["thinking"] == [{"type": "text", "text": "I look."}]
    assert all(len(call["id"]) == 9 for call in said["mistral"]["tool_calls"])
    assert said["deepseek"]["reasoning_content"] == said["vllm"]["reasoning"] == "I look."
    (detail,) = said["openrouter"]["reasoning_details"]
    assert (detail["text"], bool(detail["signature"])) == ("I look.", True)
    signed = [call.get("extra_content", {}).get("google") for call in said["gemini"]["tool_calls"]]
    assert signed[0]["thought_signature"]
    assert signed[1] is None


def test_thinking_of_openrouter_goes_back_whole(server: PracticeServer, post: Post) -> None:
    server.reply(THINK)
    path = f"/openrouter{CHAT}"
    (block,) = post(path, chat())[1]["choices"][0]["message"]["reasoning_details"]
    pieces = [{key: value for key, value in block.items() if key != "signature"}, {**block, "text": ""}]
    for details in (pieces, [{**block, "text": "I"}], pieces[:1]):
        status, said = post(path, chat(calls(ID, reasoning_details=details), result()))
        assert (status, said["error"]["message"]) == (400, "Provider returned error")
        assert said["error"]["metadata"]["provider_name"]


def test_what_was_given_long_ago_is_forgotten() -> None:
    given = Given()
    given.learn([{"id": "first", "signature": "sign", "thinking": "Hm."}])
    given.learn([{"id": str(number)} for number in range(100_000)])
    assert [given.knows(id) for id in ("first", "sign", "0", "99999")] == [False, False, True, True]
    assert (given.table("first"), given.thoughts) == ({}, {})


def test_each_field_that_a_vendor_takes_stands_once_beside_its_source() -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            for inner in value.values():
                check(inner)
        else:
            assert len({*value}) == len(value)
            assert all(re.fullmatch(r"[A-Za-z]\w*|[a-z.]+\.[a-z]+", name) for name in value)

    for row in load("testing/wires/fields.json").values():
        assert len(row["source"]) > 10
        check({name: value for name, value in row.items() if name != "source"})


@pytest.mark.parametrize("lenient", [True, False])
def test_instructions_are_text_to_whoever_reads_them(lenient: bool, post: Post, server: PracticeServer) -> None:
    server.lenient = lenient
    status, answer = post(RESPONSES, responses(instructions=[1]))
    assert (status, "Invalid type for 'instructions': expected a string." in words(answer)) == (400, True)


INSTRUCTED = "Be very brief"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MESSAGES, anthropic(system=INSTRUCTED)),
        (MESSAGES, anthropic(system=[{"type": "text", "text": INSTRUCTED}])),
        (RESPONSES, responses(instructions=INSTRUCTED)),
        (GEMINI, gemini(systemInstruction={"parts": [{"text": INSTRUCTED}]})),
        (CHAT, chat({"role": "system", "content": INSTRUCTED})),
        (OLLAMA, ollama({"role": "system", "content": INSTRUCTED})),
    ],
)
def test_the_words_of_a_conversation_are_its_instructions_too(
    path: str, body: Any, post: Post, server: PracticeServer
) -> None:
    server.lenient = True
    assert post(path, body)[0] == 200
    assert server.requests[0].words == 1 + len(INSTRUCTED.split())


SAID = {"role": "assistant", "content": "Hm."}
REFUSALS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "an option of another model": (
        f"/openai{CHAT}",
        chat(model="gpt-6-luna", max_tokens=9),
        {
            "message": "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "type": "invalid_request_error",
            "param": "max_tokens",
            "code": "unsupported_parameter",
        },
    ),
    "a schema": (
        f"/deepseek{CHAT}",
        chat(response_format={"type": "json_schema"}),
        {
            "message": "This response_format type is unavailable now",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_request_error",
        },
    ),
    "no word of JSON": (
        f"/deepseek{CHAT}",
        chat(response_format={"type": "json_object"}),
        {
            "message": "Prompt must contain the word 'json' in some form to use 'response_format' of type "
            "'json_object'.",
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_request_error",
        },
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_the_vendors_word_for_word(name: str, post: Post) -> None:
    path, body, error = REFUSALS[name]
    assert post(path, body) == (400, {"error": error})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([USER, calls(ID), result()], USER),
        ([USER], result()),
        ([{"role": "system", "content": "Hm."}], result()),
        ([], result()),
    ],
)
def test_mistral_takes_a_result_after_its_call_alone(before: list[Any], after: Any, post: Post) -> None:
    body = {"model": "some-model", "messages": [*before, after]}
    status, answer = post(f"/mistral{CHAT}", body)
    role = before[-1]["role"] if before else "None"
    assert status == 400
    assert f"Unexpected role '{after['role']}' after role '{role}'" in words(answer)
    assert post(f"/mistral{CHAT}", {**body, "messages": [USER, calls(ID), result(), SAID, USER]})[0] == 200


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (404, "NOT_FOUND"),
        (408, "DEADLINE_EXCEEDED"), (418, "FAILED_PRECONDITION"), (429, "RESOURCE_EXHAUSTED"),
        (499, "FAILED_PRECONDITION"), (500, "INTERNAL"), (502, "INTERNAL"), (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)  # fmt: skip
def test_gemini_has_a_word_for_each_status(status: int, word: str, post: Post, server: PracticeServer) -> None:
    server.reply(Reply(status=status, error="No."))
    assert post(GEMINI, gemini()) == (status, {"error": {"code": status, "message": "No.", "status": word}})


@pytest.mark.parametrize(
    ("status", "type", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (404, "invalid_request_error", "model_not_found"),
        (429, "requests", "rate_limit_exceeded"),
        (499, "invalid_request_error", None),
        (500, "server_error", None),
    ],
)
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_openai_has_a_type_and_a_code_for_each_status(
    path: str, status: int, type: str, code: str | None, post: Post, server: PracticeServer
) -> None:
    server.reply(Reply(status=status, error="No."))
    body = chat() if path == CHAT else responses()
    error = {"message": "No.", "type": type, "param": None, "code": code}
    assert post(path, body) == (status, {"error": error})


def test_usage_is_told_in_full(post: Post, server: PracticeServer) -> None:
    usage = Tokens(100, 20, cache_read=30, cache_write=10, reasoning=5)
    server.reply("Hi", usage=usage, times=2)
    assert post(CHAT, chat())[1]["usage"] == {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 10, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 5,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    assert post(RESPONSES, responses())[1]["usage"] == {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 10},
        "output_tokens_details": {"reasoning_tokens": 5},
    }


@pytest.mark.parametrize("name", ["role", "content", "thinking", "tool_name", "tool_call_id"])
def test_what_is_text_to_ollama_is_nothing_else(name: str, post: Post) -> None:
    status, answer = post(OLLAMA, ollama({**USER, name: 1}))
    assert (status, f"messages.{name} of type string" in words(answer)) == (400, True), answer
