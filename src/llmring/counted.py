"""What a service does about what is counted: rates, budgets, breakers that are shared, and conversations that stay."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from . import lockfile as lockfiles
from . import policy, state
from .misuse import awaited
from .models import Models

if TYPE_CHECKING:
    from . import schemas

__all__ = ["Counted"]


class Counted(Models):
    """Its methods hand over to the packages that know policies, and stores."""

    _conductor: policy.Conductor | None = None
    _shared: state.Shared | None = None

    def _conduct(
        self,
        binding: lockfiles.Binding,
        request: schemas.LLMRequest,
        lockfile: lockfiles.Lockfile | None,
        profile: str | None,
    ) -> policy.Conduct | None:
        """What the policy of an alias does to a request; `None` where it has none."""
        if (own := binding.policy) is None:
            return None
        if self._conductor is None:
            self._conductor = vars(self).setdefault("_made", policy.Conductor(self._records))
        conduct = self._conductor.of(binding, own, request)
        if own.rate is not None or own.budget is not None:
            desk = self._stores.desk(lockfile)
            of = lockfile.profile(self._profile(profile)).name if lockfile is not None else "default"
            who = policy.value_of(request.metadata, own.budget.by) if own.budget and own.budget.by else None
            limits = partial(self._limits, lockfile=lockfile)
            subject = state.Subject(binding.alias, of, own, *self._breakers.settings, limits, self._address)
            conduct.gate = state.Gate(desk, subject, who)
        if own.sticky is not None and lockfile is not None and state.place_of(lockfile.state):
            conduct.places = state.Conversations(partial(self._stores.desk, lockfile), conduct.gate)
        return conduct

    @property
    def _stores(self) -> state.Shared:
        if self._shared is None:
            self._shared = vars(self).setdefault("_opened", state.Shared(self._records))
        return self._shared

    @awaited
    async def state(self, profile: str | None = None) -> state.Standing:
        """What is counted for the aliases of a profile: what their budgets have left, rates, breakers, and waits.

        Args:
            profile: instead of the service's.

        Raises:
            StoreUnavailableError: the store that the lockfile names does not answer.
        """
        desk = self._stores.desk(lockfile := self._lockfile())
        return await state.standing_of(desk, lockfile, self._profile(profile), self._breakers.settings[1])

    @awaited
    async def reset_state(self, alias: str | None = None, profile: str | None = None) -> int:
        """Forget what was counted for an alias, or for all of a profile: what was spent, waits and breakers.

        What is held for requests under way is forgotten, too. Gives how many records there were.

        Args:
            alias: not given: all, and the breakers and limits of every model.
            profile: instead of the service's.

        Raises:
            StoreUnavailableError: the store that the lockfile names does not answer.
        """
        desk = self._stores.desk(lockfile := self._lockfile())
        return await state.reset(desk, lockfile, self._profile(profile), alias)
