"""What the contract says, in the words that a failing test quotes."""

from __future__ import annotations

from typing import Final

FINAL: Final = (
    "Exactly one final chunk, and it is the last. Only it carries `finish_reason`, `usage`, `response_model` and "
    "`parsed`."
)
MODEL: Final = "`model` is the `provider:model` that serves the request, the same on every chunk."
RESPONSE_MODEL: Final = "`response_model` is the exact model that the provider says answered."
ARRIVES: Final = "A chunk is handed over as soon as its bytes have come."
TEXT: Final = "The text of all chunks together is the answer's, however its bytes were cut."
SO_FAR: Final = "`stream.response` is the answer so far; `final_response()` reads to the end and returns it whole."
LOOPS: Final = "Event loops may share a service, at once or one after the other: each has connections of its own."
TURNS: Final = (
    "`response.to_message()` is the turn to append, with what its issuer needs back in its metadata; that one takes it."
)
CARRIED: Final = (
    "What the wire has no place for is a ModelCapabilityError, before anything is sent: it is never left out."
)
REQUEST: Final = "What the request says is sent to the provider; what is not set is not sent."
KEY: Final = "The key is the one that the config holds, and so are the headers."
FINISH: Final = (
    "`finish_reason` is one of stop, length, tool_calls, content_filter, other. A turn that calls tools ends in "
    "tool_calls; a stream that reaches its end marker without naming a reason ends in stop."
)
USAGE: Final = (
    "`usage` counts `prompt_tokens` (all input, cached included), `completion_tokens` (all output, reasoning included) "
    "and `total_tokens`, and where the provider reports them `cache_read_tokens` and `reasoning_tokens`. It is None "
    "only where the provider reported nothing."
)
THINKING: Final = "`reasoning` is the thinking, apart from the text; None where there is none."
PARSED: Final = (
    "An answer of the form that was asked for is in `parsed`; one of another form is a ProviderResponseError."
)
SAME: Final = "The same request gives the same response, or the same error, through chat as through chat_stream."
TOOLS: Final = "The functions of `tools` are described to the provider, in its own way."
CALLS: Final = (
    "`tool_calls` is a list of every call built so far, on each chunk where one advanced; `arguments` is a JSON "
    "string, "
    'complete on the final chunk, and "{}" for a call without arguments.'
)
CALL_IDS: Final = (
    "A call keeps the id that its server gave, and goes back to that server under it; where the server names none, it "
    "gets a unique one."
)
LOST: Final = (
    "An event that is lost while a call's arguments arrive makes the answer an error: never a call with other "
    "arguments than the model's."
)
SKIPPED: Final = (
    "An event that cannot be decoded is skipped, logged as a warning and counted in `skipped_events`; types of events "
    "that are not known yet are ignored."
)
ERRORS: Final = (
    "401 and 403 are a ProviderAuthenticationError, 429 a ProviderRateLimitError with `retry_after` in seconds, an "
    "unknown model a ModelNotFoundError, too long an input a ContextLengthError, any other status a "
    "ProviderResponseError; each with `status_code`, and a message that names the provider and the model."
)
CUT: Final = (
    "An answer that ends before its wire's end marker is a ProviderConnectionError, however it ended, with what had "
    "come in `partial`."
)
SILENCE: Final = (
    "`timeout` bounds every wait: connecting, the first chunk, the gap between chunks. What is slow is not silent."
)
BOUNDS: Final = "A line, an event or a body that passes `max_bytes` makes the answer an error."
BAD_ANSWER: Final = "An answer that is none of the wire's is a ProviderResponseError."
CLOSING: Final = (
    "After a break, on aclose(), on leaving `async with stream`, when the task is cancelled, and when the service is "
    "closed, the HTTP connection is closed at once, so that the provider stops generating."
)
CANCEL: Final = "`cancel()` ends the loop that reads, without an error and without a final chunk."
MANY: Final = "A provider serves many requests at once, each with an answer of its own."
SECRETS: Final = "No key ever appears in a message, a repr, a traceback (with locals, too), a pickle or a log record."
ELSEWHERE: Final = "The key, and the headers of a provider, go to its own address and to no other."
PICKLE: Final = "Every error can be pickled, and loses only `original` on the way."
HAND_OVER: Final = (
    "`to_message()` keeps what its issuer wants back. The issuer is the provider and its address: nothing of it is "
    "sent to another one; there the turn goes as plain text and calls."
)
FAILOVER: Final = (
    "Before the first chunk, a failed connection, a timeout, 408, 429, 5xx and an unknown model move on to the next "
    "model of the alias; 400, 401, 403 and 422 do not. After it nothing is retried: the error carries `partial`."
)
RETRIES: Final = (
    "The last model is asked again after what may pass, with the provider's Retry-After for a pause; `retries` "
    "counts it."
)
SCRIPT: Final = "The script of a wire speaks as its vendor does: it is the witness that a provider is tested against."
LACKS: Final = "What a provider declares to lack, it does not have."
