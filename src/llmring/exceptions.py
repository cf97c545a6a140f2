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

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack

from .lazy import Later

if TYPE_CHECKING:
    from . import schemas, talk
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


_Error = TypeVar("_Error", bound="LLMRingError")


class LLMRingError(Exception):
    """The root of every error that llmring raises on purpose. Pickled, it loses only `original` on the way.

    What to do: show the message, which says what happened and what to do.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # What an SDK raises may hold what cannot be pickled, and asks for arguments that a pickle does not have.
        fields = dict(vars(self))
        if "original" in fields:
            fields["original"] = None
        return _restored, (type(self), self.args, fields)

    def __copy__(self) -> Self:
        return _restored(type(self), self.args, vars(self))


class ConfigurationError(LLMRingError):
    """A setting (an argument, an environment variable, a profile's name) cannot be used as it is.

    What to do: set the argument, variable or profile that the message names to one of the values that it lists.
    """


class InvalidRequestError(LLMRingError, ValueError):
    """The request cannot be sent to any provider: no messages, or a role out of place.

    What to do: mend the messages that the program sends; the message says which one is out of place.
    """


class ToolCallError(LLMRingError):
    """A call that no function takes: there is none of that name, or its arguments do not fit. The model is told.

    What to do: nothing, for the model may try again; where it does not, make the description of the tool plainer.
    """


class ToolRoundsError(LLMRingError):
    """The model called and called, until the limit of rounds.

    What to do: raise `max_rounds`, or go on with the messages that the error holds.

    Attributes:
        run: all that was said and done by then. Its messages are whole: go on with them.
    """

    if TYPE_CHECKING:
        run: talk.ToolRun

    def __init__(self, message: str, run: Any = None) -> None:
        super().__init__(message)
        self.run = run


class BudgetExceededError(LLMRingError):
    """The request may cost more than is left of its alias's budget, and was not sent.

    Attributes:
        alias, profile: whose budget it is.
        usd: the budget, in US dollars,
        per: in an `"hour"`, a `"day"` or a `"month"`.
        by: the key of the request's metadata by which it is counted apart; `None` where it is one for all.
        spent: what answers have cost in this time,
        held: and the most that those under way may cost.
        needed: the most that this one may cost.
        opens_at: when the next hour, day or month begins, in UTC.
        retry_after: seconds until then.
    """

    def __init__(
        self,
        message: str,
        *,
        alias: str,
        profile: str,
        usd: float,
        per: str,
        by: str | None,
        spent: float,
        held: float,
        needed: float,
        opens_at: datetime,
        retry_after: float,
    ) -> None:
        super().__init__(message)
        self.alias = alias
        self.profile = profile
        self.usd = usd
        self.per = per
        self.by = by
        self.spent = spent
        self.held = held
        self.needed = needed
        self.opens_at = opens_at
        self.retry_after = retry_after


class StoreUnavailableError(LLMRingError):
    """The store of rates and budgets does not answer, and `on_failure` of the lockfile's `[state]` is `"closed"`."""


class LockfileError(LLMRingError):
    """Something about the lockfile.

    What to do: read the message; `llmring lock validate` says whether the file can be read.

    Attributes:
        path: the file it is about, `None` where there is none.
    """

    def __init__(self, message: str, *, path: Path | None = None) -> None:
        super().__init__(message)
        self.path = path


class LockfileNotFoundError(LockfileError, FileNotFoundError):
    """No lockfile at the path given, or none in the working directory and its parents.

    What to do: `llmring lock init` writes one; or ask for a `provider:model`, which needs none.

    Attributes:
        alias: the name that was to be looked up there, `None` if it was none.
    """

    alias: str | None = None


class _PlacedError(LockfileError):
    """Something about a place in a lockfile."""

    def __init__(
        self, message: str, *, path: Path | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message, path=path)
        self.line = line
        self.column = column


class LockfileParseError(_PlacedError):
    """The file is no lockfile: broken TOML or JSON, or a field of the wrong form.

    What to do: mend the line that the message names; `llmring lock validate` says whether it is well.

    Attributes:
        path: the file.
        line, column: where, counted from 1; `None` where the place is not known.
    """


class LockfileVersionError(_PlacedError):
    """The file's `version` is one that this release does not read.

    What to do: install a release of llmring that reads this version.

    Attributes:
        path: the file.
        line, column: where it says so, counted from 1.
    """


class AliasNotFoundError(LockfileError):
    """A name that is neither an alias of the profile nor a `provider:model` reference.

    What to do: `llmring bind ALIAS PROVIDER:MODEL`, or use one of the names that the message lists.

    Attributes:
        alias: the name, `None` where several are missing.
    """

    alias: str | None = None


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
        misfits: what in a structured answer does not have the form that was asked for; empty for all else.
    """

    misfits: tuple[str, ...] = ()

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


def _restored(kind: type[_Error], args: tuple[Any, ...], fields: dict[str, Any]) -> _Error:
    """An error as it was, whatever its constructor asks for."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(fields)
    return error


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
