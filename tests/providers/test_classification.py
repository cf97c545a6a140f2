"""From a vendor's words to the error that says what to do: which words mean what."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from llmring.exceptions import (
    ContextLengthError,
    ModelNotFoundError,
    ProviderAuthenticationError,
    ProviderConnectionError,
    ProviderError,
    ProviderRateLimitError,
    ProviderResponseError,
    ProviderTimeoutError,
    is_passing,
    may_be_repeated,
)
from llmring.providers import errors
from llmring.providers.errors import error_of_answer, kind_of
from llmring.routing import moves_on
from llmring.wire.errors import WireError, meaning_of, read_error


def error_for(words: str, http: int, *sent: str, extra: tuple[str, ...] = (), **more: Any) -> ProviderError:
    """The error for OpenAI's form of an error body."""
    failure = read_error({"error": {"message": words, **more}}, http)
    return error_of_answer(
        failure, provider="vendor", model="m", key_source="VENDOR_API_KEY", sent=frozenset(sent), extra=extra
    )


@pytest.mark.parametrize(
    ("words", "sent", "parameter"),
    [
        ("Unsupported value: 'temperature' does not support 0.5 with this model.", ["temperature"], "temperature"),
        ("`temperature` is deprecated for this model.", ["temperature", "top_p"], "temperature"),
        ("temperature: Input should be less than or equal to 1", ["max_tokens", "temperature"], "temperature"),
        ("`temperature` and `top_p` cannot both be specified for this model.", ["top_p", "temperature"], "temperature"),
        ("`top_p` and `temperature` cannot both be specified for this model.", ["top_p", "temperature"], "top_p"),
        ("`temperature` and `top_p` cannot both be specified for this model.", ["top_p"], "top_p"),
        ("Invalid value at 'generation_config.topP'", ["top_p"], "top_p"),
        (
            "max_tokens: 1000000 > 64000, which is the maximum allowed number of output tokens",
            ["max_tokens"],
            "max_tokens",
        ),
        (
            "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
            ["max_tokens"],
            "max_tokens",
        ),
        (
            "`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the "
            "`context_window` for this model",
            ["max_tokens"],
            "max_tokens",
        ),
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", ["max_tokens"], "max_tokens"),
        ("Invalid value at 'generation_config.maxOutputTokens'", ["max_tokens"], "max_tokens"),
        ("Unsupported parameter: 'stop' is not supported with this model.", ["stop"], "stop"),
        ("stop_sequences: each stop sequence must contain non-whitespace", ["stop"], "stop"),
        ("seed: Extra inputs are not permitted", ["seed"], "seed"),
        ("Unsupported parameter: 'reasoning_effort' is not supported.", ["reasoning_effort"], "reasoning_effort"),
        ("top_k: Extra inputs are not permitted", ["extra_params"], "top_k"),
        (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.',
            ["reasoning_tokens"],
            "reasoning_tokens",
        ),
        ('"thinking.type.enabled" is not supported for this model.', ["reasoning_effort"], "reasoning_effort"),
        ("adaptive thinking is not supported on this model", ["reasoning_effort", "tools"], "reasoning_effort"),
        (
            "thinking.budget_tokens: Input should be greater than or equal to 1024",
            ["reasoning_effort", "reasoning_tokens"],
            "reasoning_tokens",
        ),
        (
            "`max_tokens` must be greater than `thinking.budget_tokens`.",
            ["reasoning_tokens", "max_tokens"],
            "max_tokens",
        ),
        ("`temperature` may only be set to 1 when thinking is enabled.", ["reasoning_effort"], "reasoning_effort"),
        (
            "`temperature` may only be set to 1 when thinking is enabled.",
            ["reasoning_effort", "temperature"],
            "temperature",
        ),
        (
            "output_config.effort: Input should be 'low', 'medium' or 'high'",
            ["response_format", "reasoning_effort"],
            "reasoning_effort",
        ),
        (
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
            ["response_format", "reasoning_effort"],
            "response_format",
        ),
        ("Thinking level is not supported for this model.", ["reasoning_effort"], "reasoning_effort"),
        (
            "Unable to submit request because thinking_level MEDIUM is not supported by this model.",
            ["reasoning_effort"],
            "reasoning_effort",
        ),
        ("Budget 0 is invalid. This model only works in thinking mode.", ["reasoning_tokens"], "reasoning_tokens"),
        (
            "Invalid value at 'generation_config.thinking_config.thinking_level' (type.googleapis.com/...)",
            ["reasoning_effort"],
            "reasoning_effort",
        ),
        (
            "Unknown name \"responseJsonSchema\" at 'generation_config': Cannot find field.",
            ["response_format"],
            "response_format",
        ),
        (
            "Invalid value at 'generation_config.response_json_schema'",
            ["response_format", "tools"],
            "response_format",
        ),
        (
            "Invalid JSON payload received. Unknown name \"x\" at 'tools[0].function_declarations[3].parameters'",
            ["response_format", "tools"],
            "tools",
        ),
        ("function_calling_config.allowed_function_names: [f] not found", ["tool_choice"], "tool_choice"),
        # What is wrong with the conversation is no parameter.
        (
            "messages.1.content.0.thinking: each thinking block must have a signature",
            ["reasoning_effort"],
            None,
        ),
        ("Unknown name \"tools\" at 'contents[0].parts': Cannot find field.", ["tools"], None),
        ("Function call is missing a thought_signature. This is required for tools to work.", ["tools"], None),
        # What was not set is not what was refused, nor is a word that only contains it.
        ("temperature is not supported", [], None),
        ("temperatures are high", ["temperature"], None),
        ("Nonstop requests", ["stop"], None),
        ("It broke", ["temperature"], None),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_parameter_that_is_refused(words: str, sent: list[str], parameter: str | None, status: int) -> None:
    error = error_for(words, status, *sent, extra=("top_k",) if "extra_params" in sent else ())
    assert type(error) is ProviderResponseError
    assert error.parameter == parameter
    if parameter:
        assert f"parameter '{parameter}'" in str(error)
        assert f"Leave '{parameter}' out" in str(error)


def test_the_field_that_the_vendor_names() -> None:
    error = error_for("Invalid value.", 400, "temperature", "top_p", param="top_p")
    assert isinstance(error, ProviderResponseError)
    assert error.parameter == "top_p"


@pytest.mark.parametrize(
    ("field", "parameter"),
    [
        ("generation_config.response_json_schema.properties[0]", "response_format"),
        ("generation_config.thinking_config.thinking_level", "reasoning_effort"),
        ("contents[0].parts", None),
        (7, None),
    ],
)
def test_the_field_that_googles_details_name(field: Any, parameter: str | None) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field}]}, None]
    sent = "response_format", "reasoning_effort"
    error = error_for("Request contains an invalid argument.", 400, *sent, details=details)
    assert isinstance(error, ProviderResponseError)
    assert error.parameter == parameter


@pytest.mark.parametrize(
    "words",
    [
        "prompt is too long: 3333404 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000, decrease input length",
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (1000 in the messages, "
        "8000 in the completion). Please reduce the length of the messages or completion.",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "The input token count (1333340) exceeds the maximum number of tokens allowed (1048576).",
        "The input token count exceeds the maximum number of tokens allowed 1048575.",
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "too many tokens: total number of tokens in the prompt exceeds the limit of 4081 tokens",
        "Input is too long for requested model.",
        "the input length exceeds the context length",
        "the request exceeds the available context size, try increasing it",
        "Prompt exceeds max length",
        "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 204800]",
        "Please reduce the length of the messages or completion.",
    ],
)
@pytest.mark.parametrize("status", [400, 413, 422])
def test_an_input_that_is_too_long(words: str, status: int) -> None:
    assert type(error_for(words, status, "max_tokens", "temperature")) is ContextLengthError


def test_a_code_for_it_will_do() -> None:
    assert type(error_for("No.", 400, code="context_length_exceeded")) is ContextLengthError


@pytest.mark.parametrize(
    "words",
    [
        "temperature exceeds the maximum of 1",
        "The request exceeds the maximum number of tools (128)",
        "image exceeds the limit of 5 MB",
        "Request exceeds the maximum size",
        "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 200.",
        "max_tokens: 1000000 > 64000, which is the maximum allowed number of output tokens",
        "The context of this call is unknown",
    ],
)
def test_other_things_that_are_too_large(words: str) -> None:
    assert type(error_for(words, 400)) is ProviderResponseError


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 0s", 0.0),
        ("Please try again in 20ms.", 0.02),
        ("Rate limit reached. Please try again in 1.5s.", 1.5),
        ("Limit 100, Used 99. Please try again in 6m0.5s. Visit x", 360.5),
        ("Please try again in 1h2m3s", 3723.0),
        ("* Quota exceeded for metric: x, limit: 1000000, model: m\nPlease retry in 34.074824224s.", 34.074824224),
        ("Please retry after 26 seconds. Please go to x", 26.0),
        ("Try again in 2 minutes", 120.0),
        ("Please try again in 500 milliseconds", 0.5),
        ("retry in 1 hour", 3600.0),
        ("Slow down", None),
        ("You have used 3s of compute", None),
        ("Please come again", None),
        ("Try again with 3 models", None),
    ],
)
def test_when_to_try_again(words: str, seconds: float | None) -> None:
    error = error_for(words, 429)
    assert type(error) is ProviderRateLimitError
    assert error.retry_after == (None if seconds is None else pytest.approx(seconds))
    assert ("Try again later" in str(error)) == (seconds is None)


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}], 34.07),
        ([{"@type": "x"}, {"retryDelay": "34s"}], 34.0),
        ([{"retryDelay": 7}], None),
        ([{"retryDelay": "soon"}], None),
        ([7, None, "x"], None),
        ({"retryDelay": "34s"}, None),
        ("x", None),
    ],
)
def test_googles_own_way_to_say_when(details: Any, seconds: float | None) -> None:
    error = error_for("No.", 429, details=details)
    assert isinstance(error, ProviderRateLimitError)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("words", "status", "more", "kind"),
    [
        (
            "The model `m` does not exist or you do not have access to it.",
            404,
            {"code": "model_not_found"},
            ModelNotFoundError,
        ),
        ("model: m", 404, {"type": "not_found_error"}, ModelNotFoundError),
        ("models/m is not found for API version v1", 404, {"status": "NOT_FOUND"}, ModelNotFoundError),
        ("No endpoints found for m.", 404, {"code": 404}, ModelNotFoundError),
        ("Invalid model: m", 400, {"type": "invalid_model"}, ModelNotFoundError),
        ("The model `m` does not exist", 400, {"code": "model_not_found"}, ModelNotFoundError),
        ("Model not found", 403, {}, ModelNotFoundError),
        ("Model not found", 401, {}, ProviderAuthenticationError),
        ("You may not", 403, {}, ProviderAuthenticationError),
        ("No.", 400, {"param": "model"}, ModelNotFoundError),
        # A base URL that is wrong is not a model that is unknown.
        ("Unknown request URL: POST /v2/chat/completions.", 404, {"code": "unknown_url"}, ProviderResponseError),
        ("Invalid URL (POST /v1/v1/chat/completions)", 404, {}, ProviderResponseError),
        ("Not Found", 404, {}, ProviderResponseError),
        (
            "API key not valid. Please pass a valid API key.",
            400,
            {"status": "INVALID_ARGUMENT"},
            ProviderAuthenticationError,
        ),
        ("API key expired. Please renew the API key.", 400, {}, ProviderAuthenticationError),
        ("No.", 400, {"details": [{"reason": "API_KEY_INVALID"}]}, ProviderAuthenticationError),
        ("The key of the table is not valid", 400, {}, ProviderResponseError),
    ],
)
def test_models_keys_and_addresses(words: str, status: int, more: dict[str, Any], kind: type[ProviderError]) -> None:
    assert type(error_for(words, status, **more)) is kind


@pytest.mark.parametrize(
    ("words", "status", "more"),
    [
        ("The model `m` has been decommissioned and is no longer supported.", 400, {"code": "model_decommissioned"}),
        ("The model `m-3.5` has been decommissioned and is no longer supported.", 400, {}),
        ("acme/m is not a valid model ID", 400, {"code": 400}),
        ("Unable to access non-serverless model m. Please visit x", 400, {"code": "model_not_available"}),
        ("Unable to access non-serverless model m. Please visit x", 400, {}),
        ("The requested model is not supported.", 400, {"code": "model_not_supported"}),
        ("Project `p` does not have access to model `m`", 403, {"code": "model_not_found"}),
        ("Project `p` does not have access to model `m`", 403, {}),
        ("Server is pinned to 'Qwen/Qwen3-0.6B'; restart it without a model to serve others", 400, {}),
        ("The requested model 'm' is not supported by any provider you have enabled.", 400, {}),
        ("The API deployment for this resource does not exist.", 404, {"code": "DeploymentNotFound"}),
        ("Gone", 410, {}),
        ("The model m was retired. It is no longer here", 410, {}),
        ("No available channel for model m", 503, {"code": "model_not_found"}),
        ("The model m is not available in your region", 400, {}),
        ("The model m is not available for your account", 400, {}),
        ("The image model m was not found", 400, {}),
        ("The model acme/image-tools-1 is not available. Tools are not to blame", 400, {}),
        ("The model 'tools' does not exist", 400, {}),
        ("Input error: the model m was not found\nSee the tools there are", 400, {}),
        ("Use an image: the model m does not exist, or your key may not use it with any of these tools", 400, {}),
    ],
)
def test_a_model_that_is_unknown_retired_or_unavailable(words: str, status: int, more: dict[str, Any]) -> None:
    """Whatever its status: it moves on, is not asked again, and does not speak against the model's health."""
    error = error_for(words, status, "temperature", **more)
    assert type(error) is ModelNotFoundError
    assert moves_on(error)
    assert not may_be_repeated(error)
    assert not is_passing(error)


@pytest.mark.parametrize(
    ("words", "status", "more"),
    [
        ("Insufficient Balance", 402, {"type": "unknown_error"}),
        ("Payment Required", 402, {}),
        ("Your credit balance is too low to access the Anthropic API.", 400, {"type": "invalid_request_error"}),
        ("Your account is not active", 403, {"type": "billing_error"}),
        ("You exceeded your current quota, please check your plan.", 429, {"code": "insufficient_quota"}),
        ("You exceeded your current quota, please check your plan.", 429, {"type": "insufficient_quota", "code": None}),
        ("You exceeded your current quota", 401, {"type": "insufficient_quota", "code": 401}),
        ("Your team x has either used all available credits or reached its monthly spending limit.", 403, {}),
        ("Your account x <y> is suspended due to insufficient balance, please recharge", 429, {}),
        ("Account x is suspended, possibly due to reaching the monthly spending limit", 412, {}),
        ("Insufficient balance or no resource package. Please recharge.", 429, {"code": "1113"}),
        ("余额不足或无可用资源包,请充值。", 429, {}),
        ("This request requires more credits, or fewer max_tokens.", 402, {"code": 402}),
        ("Access denied, please make sure your account is in good standing.", 400, {"code": "Arrearage"}),
        ("user quota is not enough (request id: x)", 403, {"code": "insufficient_user_quota"}),
    ],
)
def test_an_account_without_credit(words: str, status: int, more: dict[str, Any]) -> None:
    """Whatever its status: it moves on, and is not asked again, as nothing will have changed."""
    error = error_for(words, status, "max_tokens", **more)
    assert type(error) is (ProviderRateLimitError if status == 429 else ProviderResponseError)
    assert error.out_of_credit
    assert moves_on(error)
    assert not may_be_repeated(error)
    assert "has no credit left" in str(error)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("You exceeded your current quota, please check your plan and billing details. Please retry in 34s.", 429),
        ("Rate limit reached for model m", 429),
        ("The model m is not available: overloaded", 503),
        ("The model m is unavailable", 500),
    ],
)
def test_what_passes(words: str, status: int) -> None:
    error = error_for(words, status)
    assert not error.out_of_credit
    assert may_be_repeated(error)


@pytest.mark.parametrize("status", [400, 404, 413, 422, 429, 500, None])
@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8192 tokens.",
        "Prompt has 9000 tokens; the model context is 8192",
        "Requested tokens exceed the max context of the model",
        "The input (61709 tokens) is longer than the model's context length (40960 tokens).",
        "`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1244 `inputs` tokens",
    ],
)
def test_an_input_that_is_too_long_whatever_the_status(words: str, status: int | None) -> None:
    """In a stream of status 200 as well. It stays so: it is not asked again, and the model is not to blame."""
    failure = read_error({"error": {"message": words}}, status)
    error = error_of_answer(failure, provider="vendor", model="m", key_source="VENDOR_API_KEY")
    assert type(error) is ContextLengthError
    assert not may_be_repeated(error)
    assert not is_passing(error)


def test_what_a_gateway_hands_on_as_text() -> None:
    inner = '{"error": {"message": "Your credit balance is too low", "type": "invalid_request_error"}}'
    for body in (
        {"error": {"message": inner, "code": 400}},
        {
            "error": {
                "message": "Provider returned error",
                "code": 400,
                "metadata": {"raw": inner, "provider_name": "x"},
            }
        },
        {"error": inner},
    ):
        failure = read_error(body)
        assert failure.message == "Your credit balance is too low"
        assert meaning_of(failure) == "no_credit"
    assert read_error({"error": {"message": "{not JSON", "code": 400}}).message == "{not JSON"


def test_a_message_shows_no_more_than_two_kilobytes() -> None:
    for words in ("x" * 100_000, "é" * 100_000, "Insufficient balance. " * 10_000, "\ud800" * 9000):
        error = error_for(words, 400)
        assert len(str(error).encode()) < 2500


def test_what_stands_at_the_end_of_many_words() -> None:
    """A server may repeat what it was asked, and say only then what is wrong with it."""
    assert type(error_for("word " * 100_000 + "is what you said. Input is too long.", 400)) is ContextLengthError


NASTY = (
    "input token count ",
    "model ",
    "the model's model not model ",
    "retry 1s1s1s",
    "try again 1",
    "1",
    "aB",
    "not found ",
    "max_tokens ",
    "messages.0",
    " \n",
    "a.",
)


@pytest.mark.parametrize("unit", NASTY)
def test_the_time_grows_with_the_words_and_not_with_their_square(unit: str) -> None:
    """Each expression by itself on ever more words, which are cut before it sees them; and all of it."""
    patterns = {name: it for name, it in vars(errors).items() if isinstance(it, re.Pattern)}
    looks = {name: pattern.search for name, pattern in patterns.items()}
    looks["all of it"] = lambda text: error_for(text, 400, "max_tokens", "temperature")  # type: ignore[assignment]
    for name, look in looks.items():
        taken = []
        for size in (16 * 1024, 64 * 1024):
            text = unit * (size // len(unit))
            rounds = []
            for _ in range(3):
                began = time.process_time()
                look(text)
                rounds.append(time.process_time() - began)
            taken.append(min(rounds))
        # Four times as many words: four times the time, where their square would be sixteen.
        assert taken[1] < 8 * taken[0] + 0.005, name


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "Requests with a context window above 200k are limited to 2 a minute"),
        (503, "Context window cache unavailable on this replica"),
        (400, "Temperature is pinned to 1 for this model"),
        (400, "The requested model is not supported with tools"),
        (400, "Invalid model output: reasoning_effort"),
        # A feature that a model lacks, or something that was sent with the question, is the caller's to see.
        (400, "Model m is not available for tools"),
        (400, "The model m is not available for use with function calling."),
        (422, "Model m is currently not available for image input"),
        (400, "The model `m` is unavailable with streaming, use another"),
        (400, "The image model input was not found"),
        (400, "The model input file does not exist"),
        (400, "The model's tool, search, was not found"),
    ],
)
def test_words_that_only_sound_like_it(status: int, words: str) -> None:
    raised = error_of_answer(WireError(words, status), provider="p", model="m", key_source="KEY")
    assert not isinstance(raised, ContextLengthError | ModelNotFoundError)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "the request exceeds the available context size, try increasing it"),
        (None, "This model's maximum context length is 8192 tokens"),
        (503, "Prompt is larger than the context window"),
        (413, "context length"),
    ],
)
def test_a_prompt_that_is_too_long_is_that_whatever_the_status(status: int | None, words: str) -> None:
    raised = error_of_answer(WireError(words, status), provider="p", model="m", key_source="KEY")
    assert isinstance(raised, ContextLengthError)


@pytest.mark.parametrize(
    "words", ["Server is pinned to 'a/b'", "model a is pinned to b", "Invalid model", "Invalid model."]
)
def test_a_model_that_is_not_served(words: str) -> None:
    raised = error_of_answer(WireError(words, 400), provider="p", model="m", key_source="KEY")
    assert isinstance(raised, ModelNotFoundError)


def test_a_wait_that_cannot_be_read_hides_none_that_can() -> None:
    headers = {"retry-after-ms": "soon", "retry-after": "7"}
    raised = error_of_answer(WireError("No", 429), provider="p", model="m", key_source="KEY", headers=headers)
    assert raised.retry_after == 7


@pytest.mark.parametrize("module", ["httpx", "httpx2", "openai", "somebody"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("TimeoutException", "TimeoutError", "APITimeoutError"), ProviderTimeoutError),
        (
            ("TransportError", "NetworkError", "HTTPError", "APIConnectionError", "StreamError", "EndOfStream"),
            ProviderConnectionError,
        ),
        (("ValueError", "Other"), ProviderResponseError),
    ],
)
def test_what_broke_is_known_by_the_names_of_its_classes(
    module: str, names: tuple[str, ...], expected: type[ProviderError]
) -> None:
    """As the SDKs ride several HTTP libraries, whose exceptions bear the same names."""
    for name in names:
        error = type("Below", (type(name, (Exception,), {"__module__": module}),), {})("no")
        assert kind_of(error) is expected
        above = Exception("no")
        above.__cause__ = error
        assert kind_of(above) is expected
    assert kind_of(OSError("no")) is ProviderConnectionError
    assert kind_of(ConnectionResetError("no")) is ProviderConnectionError


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", "invalid_prompt"),
        ("The response was filtered due to the prompt triggering Azure's content management policy.", "content_filter"),
        ("Output blocked by content filtering policy", None),
        ("<400> InternalError.Algo.DataInspectionFailed: Input text data may contain inappropriate content.", None),
        ("Input data may contain inappropriate content.", "data_inspection_failed"),
    ],
)
def test_a_refusal_by_a_filter(words: str, code: str | None) -> None:
    error = error_for(words, 400, code=code)
    assert type(error) is ProviderResponseError
    assert error.filtered
    assert not moves_on(error)
    assert not may_be_repeated(error)
    assert 'move_on = ["content_filter"]' in str(error)
