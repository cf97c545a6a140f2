"""Who says what of a model, in the order in which it counts, and what the providers have said so far."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from .. import catalog
from ..exceptions import LLMRingError, ProviderNotFoundError
from ..lockfile import stated
from ..providers.reading import row_of
from ..references import split_reference
from .facts import Capabilities, Said, joined

if TYPE_CHECKING:
    from ..lockfile import Lockfile

__all__ = ["Known", "Place", "known_of"]

T = TypeVar("T")

logger = logging.getLogger("llmring")

_MOST = 4096
"""Models of which a service keeps what was said: whoever names more lets anybody name one."""
_ASSUMED = Said("assumed", {"streaming": True})
"""Every wire streams."""


class Place(NamedTuple):
    """Where a provider is.

    Attributes:
        sdk: what speaks to it, as pip knows it.
        address: its URL; `None` where nobody knows.
        own: whether its adapter is somebody's own, which may say by itself what its models can do.
    """

    sdk: str
    address: str | None
    own: bool = False

    def row(self, provider: str) -> Mapping[str, Any]:
        """How the provider of that name says what its models can do, as `vendors.json` has it."""
        return row_of(provider, self.sdk, self.address)


def known_of(
    reference: str, lockfile: Lockfile | None, place: Place, said: Said | None = None, *, limits: bool = True
) -> Capabilities:
    """What is known of a model, without asking anybody.

    The lockfile counts most, for whoever wrote it has set the model up, or has seen it at work. Then what no model can
    be given over its SDK, then its provider, then the catalogue.

    Args:
        reference: the `provider:model`.
        lockfile: `None` where there is none.
        place: where its provider is.
        said: what that has said.
        limits: whether its window is looked up, which loads the price data.
    """
    return joined(reference, _sources(reference, lockfile, place, said, limits))


def _sources(
    reference: str, lockfile: Lockfile | None, place: Place, said: Said | None, limits: bool
) -> Iterator[Said]:
    provider, name = split_reference(reference)
    facts, recorded = catalog.abilities(name)
    row = place.row(provider)
    if row.get("own_names") or catalog.is_own_host(provider, place.address):
        # What is served under a name there is the host's own business.
        facts, recorded = {}, None
    always = row.get("always", {})
    refused = (*always.get("refused_parameters", ()), *facts.get("refused_parameters", ()))
    yield Said("lockfile", stated(lockfile, reference))
    yield Said("catalogue", {name: fact for name, fact in always.items() if name != "refused_parameters"})
    if said is not None:
        yield said
    yield Said("catalogue", {**facts, "refused_parameters": refused or None}, recorded)
    if limits:
        info = catalog.model_info(reference, base_url=place.address)
        yield Said("catalogue", {it: getattr(info, it) for it in ("context_window", "max_output_tokens")})
    yield _ASSUMED


class _Asking:
    """A question that is under way: whoever has it, too, waits for the same answer.

    Attributes:
        task: asks.
        waiting: how many wait for it.
    """

    def __init__(self, task: asyncio.Task[Said | None]) -> None:
        self.task = task
        self.waiting = 0


class Known:
    """What the providers of one service have said of their models, kept for its life.

    A question is asked once, however many have it at the same time in an event loop. What has failed is not kept: the
    next one asks again.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[str, Place], Said] = {}
        self._asking: dict[tuple[asyncio.AbstractEventLoop, str, Place], _Asking] = {}
        self._without: dict[str, tuple[Lockfile | None, Place, Said | None, Capabilities]] = {}

    def at_hand(self, reference: str, lockfile: Lockfile | None, place: Place) -> Capabilities:
        """What a model can do, as far as it takes no question, nor the price data."""
        said = self._said.get((reference, place))
        kept = self._without.get(reference)
        if kept is None or kept[0] is not lockfile or kept[1] != place or kept[2] is not said:
            known = known_of(reference, lockfile, place, said, limits=False)
            kept = _keep(self._without, reference, (lockfile, place, said, known))
        return kept[3]

    def so_far(self, reference: str, lockfile: Lockfile | None, place: Place) -> Capabilities:
        """What a model can do, and its limits, as far as it takes no question. It may read the price data."""
        return known_of(reference, lockfile, place, self._said.get((reference, place)))

    async def of(
        self, reference: str, lockfile: Lockfile | None, place: Place, ask: Callable[[], Awaitable[Mapping[str, Any]]]
    ) -> Capabilities:
        """What a model can do; its provider is asked, unless it has been. A failure of that is logged.

        Args:
            reference, lockfile, place: as for `known_of`.
            ask: asks the provider, and may raise an `LLMRingError`.
        """
        said = self._said.get((reference, place))
        if said is None:
            said = await self._ask(reference, place, ask)
        return known_of(reference, lockfile, place, said)

    async def _ask(self, reference: str, place: Place, ask: Callable[[], Awaitable[Mapping[str, Any]]]) -> Said | None:
        async def work() -> Said | None:
            try:
                said = Said("provider", await ask(), datetime.now(UTC).date())
            except LLMRingError as error:
                # Who has no key has not asked for more than the catalogue.
                level = logging.INFO if isinstance(error, ProviderNotFoundError) else logging.WARNING
                logger.log(level, "What %s can do, its provider did not say: %s", reference, error)
                return None
            _keep(self._said, (reference, place), said)
            return said

        loop = asyncio.get_running_loop()
        key = loop, reference, place
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = _Asking(loop.create_task(work()))
        asking.waiting += 1
        try:
            return await asyncio.shield(asking.task)
        finally:
            asking.waiting -= 1
            if self._asking.get(key) is asking and (not asking.waiting or asking.task.done()):
                del self._asking[key]
            if not asking.waiting:
                # Whoever waited has gone.
                asking.task.cancel()


def _keep(among: dict[Any, T], key: Any, value: T) -> T:
    if len(among) >= _MOST:
        among.clear()
    among[key] = value
    return value
