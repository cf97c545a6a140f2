"""Every error that llmring raises on purpose.

    LLMRingError
    ├── ConfigurationError
    ├── InvalidRequestError (also a ValueError)
    ├── ToolCallError
    ├── ToolRoundsError
    ├── BudgetExceededError
    ├── StoreUnavailableError
    ├── LockfileError
    │   ├── LockfileNotFoundError (also a FileNotFoundError)
    │   ├── LockfileParseError
    │   ├── LockfileVersionError
    │   └── AliasNotFoundError
    └── ProviderError
        ├── ProviderNotFoundError
        ├── ProviderAuthenticationError
        ├── ProviderRateLimitError
        ├── ProviderTimeoutError
        │   └── HedgedError
        ├── ProviderConnectionError
        ├── ProviderResponseError
        │   └── ContextLengthError
        ├── CircuitBreakerError
        └── ModelError
            ├── ModelNotFoundError
            └── ModelCapabilityError

A message says what happened, with which provider and model, and what to do. It never holds a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

from ..lazy import Later
from .root import (
    AliasNotFoundError,
    BudgetExceededError,
    ConfigurationError,
    InvalidRequestError,
    LLMRingError,
    LockfileError,
    LockfileNotFoundError,
    LockfileParseError,
    LockfileVersionError,
    StoreUnavailableError,
    ToolCallError,
    ToolRoundsError,
)

if TYPE_CHECKING:
    from .. import schemas
else:
    schemas = Later("llmring.schemas")

__all__ = [
    "AliasNotFoundError",
    "BudgetExceededError",
    "CircuitBreakerError",
    "ConfigurationError",
    "ContextLengthError",
    "HedgedError",
    "InvalidRequestError",
    "LLMRingError",
    "LockfileError",
    "LockfileNotFoundError",
    "LockfileParseError",
    "LockfileVersionError",
    "ModelCapabilityError",
    "ModelError",
    "ModelNotFoundError",
    "ProviderAuthenticationError",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderNotFoundError",
    "ProviderRateLimitError",
    "ProviderResponseError",
    "ProviderTimeoutError",
    "StoreUnavailableError",
    "ToolCallError",
    "ToolRoundsError",
    "is_passing",
    "is_passing_status",
    "may_be_repeated",
]


class _Details(TypedDict, total=False):
    """What every `ProviderError` takes by name."""

    provider: str | None
    model: str | None
    status_code: int | None
    request_id: str | None
    partial: schemas.LLMResponse | None
    original: BaseException | None


class ProviderError(LLMRingError):
    """A request that a provider did not answer, or not well.

    What to do: read its attributes: who failed, with which status, and what had come.

    Attributes:
        provider: the provider's name, as in `provider:model`.
        model: the model's name without the provider; `None` where no model was involved.
        status_code: the HTTP status, `None` where there was no answer.
        request_id: the vendor's id of the request, for its support; `None` where it sent none.
        partial: what had been received before the failure; `None` if nothing was.
        original: the exception of the SDK or the network underneath; `None` if there was none.
        attempts: the errors of the candidates tried before this one, in order.
        asked: whether the model was asked at all, and given its time: it was not where no connection was free, no key
            was there in time, or the request's deadline passed.
        begun: whether the provider had begun to answer.
        by_header: whether `retry_after` is of the header made for it, not of the body.
        out_of_credit: whether the account has no credit left: only another provider can serve.
        retry_after: seconds that the provider wants to be left alone; `None` if it did not say.
    """

    asked = True
    begun = False
    by_header = False
    out_of_credit = False
    retry_after: float | None = None

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status_code: int | None = None,
        request_id: str | None = None,
        partial: schemas.LLMResponse | None = None,
        original: BaseException | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status_code = status_code
        self.request_id = request_id
        self.partial = partial
        self.original = original
        self.attempts: list[ProviderError] = []


class ProviderNotFoundError(ProviderError):
    """No such provider, no key for it, a setting of it that cannot be used, or its SDK is not installed.

    What to do: set the variable, or install the SDK, that the message names; `llmring doctor` looks at all of it.
    """


class ProviderAuthenticationError(ProviderError):
    """The provider refused the key (401, 403, and Gemini's 400 for a bad key).

    What to do: check the key: `llmring keys list` says where it comes from. A stand-by does not help.
    """


class _RetryableLater(ProviderError):
    """What can be tried again after a while."""

    def __init__(self, message: str, *, retry_after: float | None = None, **details: Unpack[_Details]) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class ProviderRateLimitError(_RetryableLater):
    """Too many requests (429).

    What to do: wait for `retry_after` seconds, send less at once, or bind a stand-by.

    Attributes:
        retry_after: seconds to wait, from the header or the body; `None` if the provider did not say.
    """


class ProviderTimeoutError(ProviderError):
    """A wait passed the timeout: connecting, the first chunk, the gap between chunks, or a whole `chat`.

    What to do: give a longer `timeout` to models that think for long; else look at the server.
    """


class HedgedError(ProviderTimeoutError):
    """The model had said nothing when another one spoke that was asked beside it, as `hedge_after` has it.

    It is never raised: it stands among the `attempts` of the answer.

    What to do: nothing; `hedge_after` of the lockfile says how long the first one is waited for.

    Attributes:
        charged: what its vendor may charge, as an answer that `calculate_cost` takes. Its tokens are those of the
            prompt, by estimate; what the model had generated by then comes on top, and nobody knows it.
    """

    charged: schemas.LLMResponse | None = None


class ProviderConnectionError(ProviderError):
    """The connection was refused, cut, or ended before the answer did.

    What to do: look at the network, the address and the server. What had come is in `partial`.
    """


class ProviderResponseError(ProviderError):
    """Any other answer that is not a good one.

    What to do: read the message, which quotes the provider: it names the parameter or the reason.

    Attributes:
        parameter: the field of the request that the provider refused; `None` if it named none.
        filtered: whether a filter of the provider's refused what was said.
        misfits: what in a structured answer does not have the form that was asked for; empty for all else.
    """

    misfits: tuple[str, ...] = ()
    filtered = False

    def __init__(self, message: str, *, parameter: str | None = None, **details: Unpack[_Details]) -> None:
        super().__init__(message, **details)
        self.parameter = parameter


class ContextLengthError(ProviderResponseError):
    """The input does not fit the model's context window.

    What to do: send less, or bind a model with a larger window; `count_tokens` says how much it is.
    """


class CircuitBreakerError(_RetryableLater):
    """The model's circuit breaker is open: it failed several times in a row and is left alone for a while.

    What to do: wait for `retry_after` seconds, bind a stand-by, or call `reset_breaker` once it is mended.

    Attributes:
        retry_after: seconds until it is tried again.
    """


class ModelError(ProviderError):
    """Something about the model rather than the provider.

    What to do: see the two kinds of it.
    """


class ModelNotFoundError(ModelError):
    """The provider knows no model of that name.

    What to do: `llmring models` lists the names; bind the alias to one of them.
    """


class ModelCapabilityError(ModelError):
    """The model, or the wire it is spoken to over, cannot do what the request asks.

    What to do: bind a model that can, or say in the lockfile's `[models]` that this one can.
    """


def is_passing(error: BaseException) -> bool:
    """Whether the provider or the network is at fault, so that the same request may succeed later, or elsewhere."""
    if isinstance(error, ProviderConnectionError | ProviderTimeoutError):
        return True
    # Too long an input, or a model that is not there, stays so, whatever the status that it is told by.
    stays = isinstance(error, ContextLengthError | ModelError)
    return isinstance(error, ProviderError) and not stays and is_passing_status(error.status_code)


def may_be_repeated(error: ProviderError) -> bool:
    """Whether the same model may be asked once more: nothing of an answer had come, and what refused it may pass."""
    if not error.asked or error.out_of_credit or error.partial is not None or isinstance(error, ProviderTimeoutError):
        return False
    if isinstance(error, ProviderConnectionError):
        return not error.begun
    return error.status_code == 409 or is_passing(error)


def is_passing_status(status: int | None) -> bool:
    """Whether an HTTP status speaks of the server's state, not of the request."""
    return status is not None and (status in (408, 429) or status >= 500)


for _kind in (
    AliasNotFoundError,
    BudgetExceededError,
    ConfigurationError,
    InvalidRequestError,
    LLMRingError,
    LockfileError,
    LockfileNotFoundError,
    LockfileParseError,
    LockfileVersionError,
    StoreUnavailableError,
    ToolCallError,
    ToolRoundsError,
):
    # A traceback, and a pickle, name it as a program imports it.
    _kind.__module__ = __name__
del _kind
