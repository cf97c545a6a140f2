"""The root of all errors, and those that are not a provider's: settings, requests, tools, budgets, the lockfile."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from .. import talk

__all__ = [
    "AliasNotFoundError",
    "BudgetExceededError",
    "ConfigurationError",
    "InvalidRequestError",
    "LLMRingError",
    "LockfileError",
    "LockfileNotFoundError",
    "LockfileParseError",
    "LockfileVersionError",
    "StoreUnavailableError",
    "ToolCallError",
    "ToolRoundsError",
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

    What to do: wait until `opens_at`, ask for a shorter answer (`max_tokens`), or raise the budget in the lockfile.

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
        alias: str = "",
        profile: str = "",
        usd: float = 0.0,
        per: str = "",
        by: str | None = None,
        spent: float = 0.0,
        held: float = 0.0,
        needed: float = 0.0,
        opens_at: datetime | None = None,
        retry_after: float = 0.0,
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
        if opens_at is not None:
            self.opens_at: datetime = opens_at
        self.retry_after = retry_after


class StoreUnavailableError(LLMRingError):
    """The store of rates and budgets does not answer, and `on_failure` of the lockfile's `[state]` is `"closed"`.

    What to do: look at the store, or say `on_failure = "open"`; `llmring doctor` looks at all of it.
    """


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


def _restored(kind: type[_Error], args: tuple[Any, ...], fields: dict[str, Any]) -> _Error:
    """An error as it was, whatever its constructor asks for."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(fields)
    return error
