"""How the vendors, and what stands before them, say that something went wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.wire.errors import WireError, read_error


@pytest.mark.parametrize(
    ("body", "message", "code", "param"),
    [
        # OpenAI, and most who follow it.
        (
            {"error": {"message": "No", "type": "invalid_request_error", "param": "temperature", "code": "too_low"}},
            "No",
            "too_low",
            "temperature",
        ),
        (
            {"error": {"message": "No", "type": "invalid_request_error", "param": None, "code": None}},
            "No",
            "invalid_request_error",
            None,
        ),
        # Anthropic.
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "No"}, "request_id": "req_1"},
            "No",
            "overloaded_error",
            None,
        ),
        # Google, and its list.
        ({"error": {"code": 400, "message": "No", "status": "INVALID_ARGUMENT"}}, "No", "invalid_argument", None),
        ([{"error": {"code": 429, "message": "No", "status": "RESOURCE_EXHAUSTED"}}], "No", "resource_exhausted", None),
        # Ollama.
        ({"error": "model 'x' not found"}, "model 'x' not found", None, None),
        # vLLM, before and after it took OpenAI's envelope.
        ({"object": "error", "message": "No", "type": "BadRequestError", "code": 400}, "No", "badrequesterror", None),
        # FastAPI: Mistral, and many a proxy.
        ({"detail": "Not authenticated"}, "Not authenticated", None, None),
        (
            {"detail": [{"loc": ["body", "x"], "msg": "Field required", "type": "missing"}]},
            "Field required",
            "missing",
            "x",
        ),
        (
            {
                "object": "error",
                "message": {"detail": [{"loc": ["body", "messages", 1, "x"], "msg": "No", "type": "y"}]},
            },
            "No",
            "y",
            "messages.1.x",
        ),
        ({"message": "Unauthorized"}, "Unauthorized", None, None),
        ({"message": "Unauthorized", "request_id": "1"}, "Unauthorized", None, None),
        # The reason phrase beside the message, as Node's servers have it, and a flag.
        ({"statusCode": 404, "error": "Not Found", "message": "No route for it"}, "No route for it", None, None),
        ({"error": True, "message": "No"}, "No", None, None),
        # An envelope in an envelope.
        ({"error": {"error": {"message": "No", "type": "x"}}}, "No", "x", None),
        ({"error": {"message": {"message": "No"}}}, "No", None, None),
        (
            {"error": {"message": "", "type": "server_error"}},
            "{'message': '', 'type': 'server_error'}",
            "server_error",
            None,
        ),
        ({"error": {"code": "x"}}, "{'code': 'x'}", "x", None),
    ],
)
def test_bodies(body: Any, message: str, code: str | None, param: str | None) -> None:
    for form in (body, json.dumps(body).encode(), json.dumps(body, indent=2)):
        error = read_error(form, 418)
        assert (error.message, error.code, error.param, error.status) == (message, code, param, 418)
        assert error.enveloped
        assert str(error) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b"<html>\n <head></head>\r\n<body>Bad   Gateway</body></html>",
            "<html> <head></head> <body>Bad Gateway</body></html>",
        ),
        (b"", "the body is empty"),
        (b" \r\n", "the body is empty"),
        (b"upstream connect error", "upstream connect error"),
        (b"\xff\xfe", "��"),
        (b"null", "None"),
        (b"7", "7"),
        (b"[]", "[]"),
        (b'["x"]', "x"),
        (b'"x"', "x"),
        (b'{"hello": "world"}', "{'hello': 'world'}"),
        (b"{}", "{}"),
        (b'{"error": {}}', "{'error': {}}"),
        (b'{"error": null}', "{'error': None}"),
    ],
)
def test_bodies_that_are_no_vendors_error(body: bytes, message: str) -> None:
    error = read_error(body, 502)
    assert (error.message, error.status, error.enveloped) == (message, 502, False)


def test_a_long_page_is_cut() -> None:
    message = read_error(b"<p>" + b"x" * 100_000, 502).message
    assert len(message) == 200
    assert message.endswith("…")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": 429}, 429),
        ({"code": "502"}, 502),
        ({"type": "overloaded_error"}, 529),
        ({"type": "invalid_request_error", "code": "context_length_exceeded"}, 400),
        ({"type": "requests", "code": "rate_limit_exceeded"}, 429),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, 429),
        ({"type": "server_error", "code": None}, 500),
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, 401),
        ({"status": "UNAVAILABLE", "code": 503}, 503),
        ({"status": "DEADLINE_EXCEEDED"}, 504),
        ({"type": "never_heard_of"}, None),
        # No status of HTTP.
        ({"code": 1113}, None),
        ({"code": "200"}, None),
        ({"code": True}, None),
        ({}, None),
    ],
)
def test_a_word_stands_for_a_status_where_there_is_none(error: dict[str, Any], status: int | None) -> None:
    assert read_error({"error": {"message": "No", **error}}).status == status
    assert read_error({"error": {"message": "No", **error}}, 404).status == 404


def test_details_are_handed_on() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}]
    assert read_error({"error": {"message": "No", "details": details}}).details == details
    raw = {"raw": "upstream said so", "provider_name": "p"}
    assert read_error({"error": {"message": "No", "metadata": raw}}).details == raw


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "detail", "msg", "code", "type", "status", "param", "details", "errors"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_gives_an_error(value: Any) -> None:
    error = read_error(value, None)
    assert type(error.message) is str
    assert error.status is None or 400 <= error.status < 600
    assert error.code is None or type(error.code) is str
    assert error.param is None or type(error.param) is str


@given(st.binary(max_size=60))
def test_any_bytes_give_an_error(body: bytes) -> None:
    error = read_error(body, 500)
    assert type(error.message) is str
    assert error.status == 500


def test_errors_are_told_apart() -> None:
    """As other exceptions, they are not equal for saying the same, and can be kept in a set."""
    assert len({WireError("No", 500), WireError("No", 500)}) == 2


def test_codes_are_told_in_lower_case() -> None:
    assert WireError("No.", codes=("E-404", "Gone")).codes == ("e-404", "gone")


def test_a_code_may_be_a_number() -> None:
    assert WireError("No.", codes=(11,)).codes == ("11",)  # type: ignore[arg-type]
