"""Where vendors count the tokens of a request: what they take there, what they refuse, and what they answer.

Anthropic: https://docs.claude.com/en/api/messages-count-tokens. OpenAI: the reference of `POST
/v1/responses/input_tokens`. Gemini: https://ai.google.dev/api/tokens. llama.cpp: tools/server/server.cpp. vLLM:
vllm/entrypoints/serve/tokenize/protocol.py. Moonshot: https://platform.moonshot.ai/docs/api/estimate. The fields are
those of the request types of the vendors' SDKs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

from ..exchange import Problem, RecordedRequest
from . import anthropic, gemini, openai_chat, openai_responses
from .answer import Answer, Format
from .shapes import Given, unknown, unknown_parameter

__all__ = ["counting_at"]

_ANTHROPIC = (
    *("cache_control", "context_management", "mcp_servers", "messages", "model", "output_config", "output_format"),
    *("speed", "system", "thinking", "tool_choice", "tools"),
)
_RESPONSES = (
    *("conversation", "input", "instructions", "model", "parallel_tool_calls", "personality", "previous_response_id"),
    *("reasoning", "text", "tool_choice", "tools", "truncation"),
)
_GEMINI = ("contents", "generateContentRequest")

Problems = Iterator[Problem]
Body = dict[str, Any]


class Counting:
    """A wire's format where tokens are counted: as the wire has it, but for the answer, which is a count.

    Args:
        format: the wire's.
        answer: what the answer is, by the tokens.
        check: what is wrong with a request.
    """

    def __init__(
        self,
        format: Format,
        answer: Callable[[int], Body],
        check: Callable[[Body, Given, RecordedRequest], Problems],
    ) -> None:
        self._format = format
        self._answer = answer
        self.check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._format, name)

    def body(self, answer: Answer) -> Body:
        """The count: the tokens of the prompt, as the reply has them."""
        return self._answer(answer.usage.prompt if answer.usage is not None else 0)


def _of_anthropic(body: Body, given: Given, request: RecordedRequest) -> Problems:
    for name in unknown(body, _ANTHROPIC):
        yield Problem(400, f"{name}: Extra inputs are not permitted")
    yield from anthropic.check(body | {"max_tokens": 1}, given, request)


def _of_responses(body: Body, given: Given, request: RecordedRequest) -> Problems:
    for name in unknown(body, _RESPONSES):
        yield unknown_parameter(name)
    yield from openai_responses.check(body, given, request)


def _of_gemini(body: Body, given: Given, request: RecordedRequest) -> Problems:
    for name in unknown(body, _GEMINI):
        yield gemini.nameless(name)
    whole = body.get("generateContentRequest")
    if whole is None:
        yield from gemini.check(body, given, request)
        return
    if "contents" in body:
        yield Problem(400, "contents and generate_content_request are mutually exclusive.")
    if not isinstance(whole, dict) or whole.get("model") != f"models/{request.model}":
        yield Problem(400, "* CountTokensRequest.generate_content_request.model: model is not specified\n")
    else:
        yield from gemini.check({key: it for key, it in whole.items() if key != "model"}, given, request)


def _of_chat(body: Body, given: Given, request: RecordedRequest) -> Problems:
    yield from openai_chat.check(body, given, request)


def _in_gemini(tokens: int) -> Body:
    return {"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]}


def _in_vllm(tokens: int) -> Body:
    return {"count": tokens, "max_model_len": 131072, "tokens": list(range(tokens)), "token_strs": None}


_PLACES = {
    "/messages/count_tokens": Counting(anthropic, lambda tokens: {"input_tokens": tokens}, _of_anthropic),
    "/responses/input_tokens": Counting(
        openai_responses, lambda it: {"object": "response.input_tokens", "input_tokens": it}, _of_responses
    ),
    "/chat/completions/input_tokens": Counting(openai_chat, lambda tokens: {"input_tokens": tokens}, _of_chat),
    "/tokenizers/estimate-token-count": Counting(
        openai_chat, lambda tokens: {"data": {"total_tokens": tokens}}, _of_chat
    ),
    "/tokenize": Counting(openai_chat, _in_vllm, _of_chat),
}
_IN_GEMINI = Counting(gemini, _in_gemini, _of_gemini)
_GEMINI_PATH = re.compile(r"/(?:models|tunedModels)/(?P<model>.+):countTokens$")


def counting_at(path: str, body: Any) -> tuple[Format, str] | None:
    """What counts at such a path, and for which model; `None` where nothing does."""
    if found := _GEMINI_PATH.search(path):
        return cast("Format", _IN_GEMINI), found["model"]
    model = str(body.get("model", "")) if isinstance(body, dict) else ""
    return next(((cast("Format", it), model) for ending, it in _PLACES.items() if path.endswith(ending)), None)
