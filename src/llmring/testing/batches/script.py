"""What a test may say of a batch before it is created: how long it takes, how it ends, what its results are like."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["BatchLimits", "BatchProblem", "BatchScript"]

Ends = Literal["completed", "failed", "expired"]
Results = Literal["whole", "cut", "missing"]
Order = Literal["given", "reversed"]


@dataclass(frozen=True)
class BatchProblem:
    """Why a batch fails as a whole.

    Attributes:
        code: OpenAI's word, such as `"model_not_found"` or `"token_limit_exceeded"`.
        message: for people.
        line: of the input file, from 1.
        param: the field.
    """

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True)
class BatchLimits:
    """What a vendor takes.

    Attributes:
        requests: in a batch. `None` is any number, here as elsewhere.
        bytes: of an input file, at Anthropic of what is sent.
        inlined: bytes of what Gemini is sent without a file.
        enqueued: what waits in an account's batches that have not ended: tokens of one model (words stand for them), at
            Anthropic requests.
        batches: that run at once, at Gemini.
    """

    requests: int | None
    bytes: int
    inlined: int | None = None
    enqueued: int | None = None
    batches: int | None = None


@dataclass(frozen=True, kw_only=True)
class BatchScript:
    """How one batch goes. It has ended when it was looked at often enough, and `until` and `seconds` agree.

    Attributes:
        polls: how often it is said to be under way when it is looked at (`retrieve`, `get`); the look after that
            finds its end. Rows are done in equal shares with each look. Lists are no looks.
        until: an event without which it does not end.
        seconds: since its creation, before which it does not end, and the rows are not all done.
        ends: how it ends. A batch that fails is one that the vendor took and could not run; Anthropic has none of
            these, and refuses its creation. Of one that expires, half of the rows are done, unless `done` says more.
        done: how many rows are done when it expires; not given: half of them. When it is cancelled, it does so many,
            unless more were done by then.
        problem: why it fails.
        order: of the results. Gemini's are always in the order given where the requests were sent without a file.
        results: `cut`: the results break off in the middle of the last line, though HTTP calls them whole (Gemini's
            inlined ones cannot); `missing`: there is nothing where they are said to be.

    Raises:
        ValueError: a field has a value that is none of these.
    """

    polls: int = 2
    until: threading.Event | None = None
    seconds: float = 0.0
    ends: Ends = "completed"
    done: int | None = None
    problem: BatchProblem | None = None
    order: Order = "given"
    results: Results = "whole"

    def __post_init__(self) -> None:
        for name, words in (("ends", Ends), ("order", Order), ("results", Results)):
            if getattr(self, name) not in get_args(words):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(get_args(words))}")
        if self.polls < 0 or self.seconds < 0 or (self.done or 0) < 0:
            raise ValueError("polls, seconds and done are counted from 0")
