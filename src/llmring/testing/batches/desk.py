"""The desk that takes batches: it knows all of them, each account's by themselves."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from ..exchange import Problem, RecordedRequest, Reply
from ..wires.answer import json_reply
from ..wires.files import Cabinet, account_of
from ..wires.places import Place
from . import anthropic, gemini, openai
from .forms import Answer, Vendor
from .script import BatchLimits, BatchScript
from .work import Batch, BatchRow

__all__ = ["Batches"]


class Batches:
    """The batches of all accounts.

    Attributes:
        made: those that were created, oldest first, deleted ones too.
        default: how they go that `script` says nothing of.
        limits: what each vendor takes, by `openai`, `anthropic` and `gemini`; set your own to have one refuse sooner.
    """

    def __init__(self) -> None:
        self.made: list[Batch] = []
        self.default = BatchScript()
        self.limits: dict[str, BatchLimits] = {name: vendor.LIMITS for name, vendor in _VENDORS.items()}
        self._scripts: list[BatchScript] = []
        self._deleted: set[str] = set()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    @property
    def rows(self) -> list[BatchRow]:
        """The rows of all of them."""
        return [row for batch in list(self.made) for row in batch.rows]

    @property
    def billed(self) -> list[BatchRow]:
        """The rows that were paid for."""
        return [row for row in self.rows if row.billed]

    def script(self, script: BatchScript | None = None, *, times: int = 1, **fields: Any) -> BatchScript:
        """Say how the next batch goes that is created, or the next ones.

        Args:
            script: how; or the fields of a `BatchScript` by name.
            times: how many batches.
            **fields: as `script`.
        """
        script = script or BatchScript(**fields)
        with self._lock:
            self._scripts += [script] * times
        return script

    def finish(self) -> None:
        """Let every batch end with the next look at it."""
        for batch in list(self.made):
            batch.finish()

    def clear(self) -> None:
        """Forget what was scripted; the batches stay."""
        with self._lock:
            self._scripts.clear()
        self.default = BatchScript()

    def answer(
        self, vendor: str, request: RecordedRequest, place: Place, files: Cabinet, answer: Answer
    ) -> Reply | Problem | None:
        """What is said at a place of batches, `None` where nothing is there."""
        words = _VENDORS.get(vendor)
        if words is None or not place.action:
            return None
        account = account_of(request)
        if place.action == "create":
            made = words.create(self, request, place, files)
            if isinstance(made, Problem):
                return made
            self.made.append(made)
            return json_reply(words.told(made))
        mine = [it for it in self.made if (it.vendor, it.account) == (vendor, account) and it.id not in self._deleted]
        if place.action == "list":
            for batch in mine:
                self._look(batch, words, files, answer, counts=False)
            some = words.listed(mine[::-1], request.query)
            return some if isinstance(some, Problem) else json_reply(some)
        found = next((it for it in mine if it.id == place.id), None)
        if found is None:
            return words.missing(place.id)
        self._look(found, words, files, answer, counts=place.action == "retrieve")
        if place.action == "retrieve":
            return json_reply(words.told(found))
        if place.action == "cancel" and not found.ended and found.state != "cancelling":
            found.cancel()
        done = words.changed(found, place.action)
        if place.action == "delete" and isinstance(done, Reply):
            self._deleted.add(found.id)
        return done

    def _look(self, batch: Batch, words: Vendor, files: Cabinet, answer: Answer, counts: bool) -> None:
        ended = batch.ended
        batch.look(lambda row: answer(row, batch.request), counts)
        if batch.ended and not ended:
            words.close(batch, files)

    # For the vendors.

    def begin(self, vendor: str, prefix: str, request: RecordedRequest, rows: list[BatchRow]) -> Batch:
        """A batch of these rows, as the next script says."""
        with self._lock:
            script = self._scripts.pop(0) if self._scripts else self.default
        id = f"{prefix}practice{next(self._numbers):06d}"
        return Batch(vendor, id, account_of(request), request, rows, script)

    def next_script(self) -> BatchScript:
        """How the next batch goes."""
        return self._scripts[0] if self._scripts else self.default

    def skip_script(self) -> None:
        """Have the next script used up by a batch that was not to be."""
        with self._lock:
            del self._scripts[:1]

    def waiting(self, vendor: str, account: str, model: str | None = None) -> list[BatchRow]:
        """The rows of an account that wait in batches that have not ended."""
        open = [it for it in self.made if (it.vendor, it.account) == (vendor, account) and not it.ended]
        return [row for it in open if model in (None, it.model) for row in it.rows if row.outcome is None]

    def running(self, vendor: str, account: str) -> int:
        """How many batches of an account have not ended."""
        return sum((it.vendor, it.account) == (vendor, account) and not it.ended for it in self.made)


_VENDORS: dict[str, Vendor] = {"openai": openai, "anthropic": anthropic, "gemini": gemini}
