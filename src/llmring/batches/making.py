"""Rows made lines of a batch, each with the very body that a request by itself would have."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from ..answer import rendered
from ..counting.contents import contents_of
from ..counting.counts import measured
from ..counting.estimates import estimate, family_of
from ..exceptions import ConfigurationError, InvalidRequestError, ModelCapabilityError
from .prices import usd_in_batch
from .reading import kept_of
from .spool import Entry, Spool

if TYPE_CHECKING:
    from ..bulk.job import Task
    from ..providers.batching import Batches
    from ..schemas import LLMRequest
    from ..talking import Talks

__all__ = ["Maker"]


class Maker:
    """The batch that is being made of rows, and the next one.

    Args:
        service, profile: that ask.
        model: the `provider:model` that is asked.
        batches: its own.
        most: rows in one, if not as many as the vendor takes.
        longest: tokens of an answer that there was before, 0 for none; `None` where nobody wants to know the cost.

    Attributes:
        model, batches: as above.
        tag: of the batch.
        spool: what is in it.
        usd: what that may cost.
        kept: what its answers are read by.
    """

    def __init__(
        self,
        service: Talks,
        profile: str | None,
        model: str,
        batches: Batches,
        most: int | None,
        longest: int | None,
    ) -> None:
        self.model = model
        self.batches = batches
        self.kept: dict[str, Any] = {}
        self._service = service
        self._profile = profile
        self._most = most
        self._longest = longest
        self._body = b""
        self._fresh()

    def _fresh(self) -> None:
        limits = self.batches.endpoint
        most = min(limits.requests, self._most or limits.requests)
        self.tag, self.usd = secrets.token_hex(8), 0.0
        self.spool = Spool(most, limits.bytes, self.batches.head, self.batches.between, self.batches.tail)

    def begin(self, task: Task) -> bytes:
        """Another batch; gives the line in it of the row that the last one had no room for."""
        self.spool.kept.close()
        self._fresh()
        return self._line(task)

    async def made(self, task: Task) -> tuple[bytes, float] | None:
        """A row's line, and what it may cost; `None` where it is to be asked by itself, as it would be anyhow.

        Raises:
            RowError: it is larger than a batch may be.
        """
        try:
            route = self._service._route(task.request, self._profile, stream=False)
            await route.begin()
            if self.model not in route.candidates:
                return None
            provider, call, let_go = await route.call(self.model, route.request, route.form)
            try:
                placed = call if call.files is None else await call.files.placed(provider, call)
                self._body = rendered(provider, placed)
            finally:
                let_go()
        except (InvalidRequestError, ModelCapabilityError):
            return None
        if not self.kept:  # rows differ in what is said, and in nothing else
            self.kept = kept_of(route.request, route.form, call.tools)
        return self._line(task), await self._may_cost(route.request) if self._longest is not None else 0.0

    def _line(self, task: Task) -> bytes:
        line = self.batches.line(f"{self.tag}-{len(self.spool.rows)}", self._body)
        if not self.spool.rows and not self.spool.has_room(line):
            raise task.row.wrong(
                f"what is asked about it has {len(line):,} bytes, and a batch may have {self.batches.endpoint.bytes:,}."
            )
        return line

    async def _may_cost(self, request: LLMRequest) -> float:
        tokens = estimate(await measured(contents_of(request)), family_of(self.model.partition(":")[2])).tokens
        if not (got := request.max_tokens or self._longest):
            raise ConfigurationError(
                "--max-cost cannot be kept in batches, as nobody knows how long answers may be. Bound them by "
                "--max-tokens, or run some rows first, with --limit 20 and without --batch."
            )
        cost = usd_in_batch(self._service, self.model, tokens, got, self.batches.endpoint)
        if cost.total is None:
            raise ConfigurationError(f"--max-cost cannot be kept: {self.model} has no price ({cost.reason}).")
        return cost.total

    def add(self, task: Task, line: bytes, usd: float) -> None:
        """Put a row into it."""
        self.spool.add(Entry(task.row.number, task.key, task.asked), line)
        self.usd += usd
