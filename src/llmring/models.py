"""What a service knows of models: what they are, what their answers cost, and how each of them stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import breaker, catalog, concealment, counting, events, references, structured
from . import capabilities as abilities
from . import lockfile as lockfiles
from . import request as requests
from .exceptions import LLMRingError, ProviderError, ProviderNotFoundError
from .lazy import Later
from .misuse import awaited
from .provided import Provided
from .providers import base, describing, endpoints, listing, reading
from .record import Records, ended

if TYPE_CHECKING:
    from . import routing, schemas, told
    from .lockfile import Lockfile
else:
    schemas = Later("llmring.schemas")

__all__ = ["Models"]

_PATIENCE = 10.0
"""Seconds for a question about models, at most: the service's timeout is for answers."""


class Models(Provided):
    """What `LLMRing` knows of models. Its methods hand over to the packages that know."""

    _breakers: breaker.Breakers
    timeout: float | None
    max_bytes: int
    _records: Records
    _facts: abilities.Known | None = None
    _listeners: events.Listeners | None

    @awaited
    async def capabilities(self, model: str, profile: str | None = None) -> abilities.Capabilities:
        """What a model can do: each fact with who says it, the lockfile, the provider or the catalogue, and when.

        The provider is asked at its own endpoint, where it has one, once in the life of the service. Where it cannot be
        reached, refuses the key, or there is no key for it, that is logged, and the catalogue answers; the next call
        asks again.

        Args:
            model: an alias (then: of the model that serves it), or `provider:model`.
            profile: instead of the service's.

        Raises:
            AliasNotFoundError: no such alias.
            ProviderNotFoundError: no such provider.
        """
        if self._records.closed:
            raise LLMRingError("This service is closed; make a new LLMRing.")
        reference = self.resolve_alias(model, profile)
        name, bare = lockfiles.split_reference(reference)
        lockfile = self._lockfile()
        self._vet(name, lockfile)

        async def ask() -> Mapping[str, Any]:
            async with self._lent(name, lockfile) as provider:
                return await describing.describe(provider, bare, timeout=self._patience)

        declared = lockfile.providers if lockfile is not None else {}
        await self._registry.at_hand(name, declared.get(name), declared)
        place = self._place(reference, lockfile)
        if not place.own and not place.row(name).get("ask"):
            return abilities.known_of(reference, lockfile, place)
        return await self._known.of(reference, lockfile, place, ask)

    @awaited
    async def get_available_models(self, provider: str) -> list[listing.ListedModel]:
        """The models that a provider lists now, in its order, each with the limits that the list names.

        Args:
            provider: its name, as in `provider:model`.

        Raises:
            ProviderNotFoundError: no such provider, no key for it, or its SDK is not installed.
            ProviderAuthenticationError: it refused the key.
            ProviderTimeoutError: it did not finish in time.
            ProviderConnectionError: it cannot be reached.
            ProviderResponseError: it answered anything but a listing.
        """
        lockfile = self._lockfile()
        self._vet(references.text_of(provider, "provider", 'as "openai"'), lockfile)
        try:
            async with self._lent(provider, lockfile) as it:
                return await listing.list_models(it, timeout=self._patience)
        except LLMRingError as error:
            raise concealment.bare(error)  # noqa: B904 - it is the same error

    def calculate_cost(self, response: schemas.Answered) -> catalog.Cost:
        """What an answer cost, in US dollars, each model that served and its service tier at its own price.

        Where one is not priced, `reason` says so.

        Args:
            response: a whole answer, the final chunk of one, or a run of tools.
        """
        return catalog.cost_of(response, base_url=self._address)

    def get_model_info(self, model: str, *, profile: str | None = None) -> catalog.ModelInfo:
        """What the catalogue knows of a model: its limits and its prices.

        Args:
            model: an alias (then: of the model that serves it), or `provider:model`.
            profile: instead of the service's.
        """
        reference = self.resolve_alias(model, profile)
        return catalog.model_info(reference, base_url=self._address(reference))

    def breakers(self) -> list[breaker.BreakerState]:
        """How the circuit breakers of this service stand: one for each model that it was asked for of late.

        Other services, and other processes, have their own.
        """
        return self._breakers.states()

    def reset_breaker(self, model: str, *, profile: str | None = None) -> None:
        """Close the circuit breaker of a model and forget its failures, if it has one.

        Args:
            model: an alias (then: of all its models), or `provider:model`.
            profile: instead of the service's.

        Raises:
            AliasNotFoundError: no such alias.
        """
        for reference in self._resolve(model, profile).models:
            self._breakers.reset(reference)

    @awaited
    async def count_tokens(self, request: schemas.LLMRequest, profile: str | None = None) -> counting.TokenCount:
        """How many tokens a request's input has.

        Its provider is asked, where it has an endpoint that counts (Anthropic, Gemini, OpenAI's Responses; llama.cpp
        and vLLM, text alone). Else it is estimated, offline: by `tiktoken` for OpenAI's models, if the extra `tokens`
        is installed, or by the characters of each script; the count says so, why, and between which figures the truth
        is. The model is the one that would serve: where it cannot be asked, the next of its alias.

        Args:
            request: what would be asked. Nothing is generated.
            profile: instead of the service's.

        Raises:
            LockfileError, InvalidRequestError, ProviderError: as for `chat`.
        """
        try:
            return await counting.ask(self._route(request, profile, stream=False), self._counter.count)
        except BaseException as error:
            if self._records.closed and isinstance(error, ProviderError):
                raise ended() from None
            raise concealment.bare(error)  # noqa: B904 - it is the same error

    @awaited
    async def validate_context_limit(
        self, request: schemas.LLMRequest, profile: str | None = None
    ) -> counting.ContextCheck:
        """Whether a request fits into the context window of the model that would serve it, before it is sent.

        Its tokens are counted as by `count_tokens`; of an estimate, the least counts. `max_tokens`, if the request has
        it, must fit as well, where the window holds the answer, too. Where the window is not known, all fits.

        Args:
            request: what would be asked.
            profile: instead of the service's.

        Raises:
            ContextLengthError: it does not fit. Nothing was generated.
            LockfileError, InvalidRequestError, ProviderError: as for `chat`.
        """
        count = await self.count_tokens(request, profile)
        asked = requests.with_params(request, self._resolve(request.model, profile))
        known, row = await self.capabilities(count.model), self._place(count.model, self._lockfile()).row
        return counting.check(count, _limits_of(known, row, asked), asked.max_tokens)

    @cached_property
    def _counter(self) -> counting.TokenCounter:
        return counting.TokenCounter()

    def _window(self, lockfile: lockfiles.Lockfile | None) -> counting.Window:
        """What refuses a request for models whose window is too small for it."""
        return counting.Window(lambda reference, request: self._limits(reference, request, lockfile))

    def _limits(
        self, reference: str, request: schemas.LLMRequest, lockfile: lockfiles.Lockfile | None
    ) -> counting.Limits:
        """What is known of the limits of a `provider:model`; nobody is asked. It may read the price data."""
        try:
            place = self._place(reference, lockfile)
            return _limits_of(self._known.so_far(reference, lockfile, place), place.row, request)
        except ProviderNotFoundError:  # which its turn will say
            return counting.Limits()

    if TYPE_CHECKING:

        def _route(self, request: schemas.LLMRequest, profile: str | None, *, stream: bool) -> routing.Route: ...

    def _pass_over(
        self,
        request: schemas.LLMRequest,
        form: structured.AnswerFormat | None,
        models: Sequence[str],
        binding: lockfiles.Binding,
        lockfile: lockfiles.Lockfile | None,
    ) -> abilities.Passed | None:
        """Who of a binding's models, in the order of a request, is known not to be able to take it; nobody is asked.

        Raises:
            ModelCapabilityError: that is all of them.
        """
        needs = abilities.needs_of(request, form)
        unable = [self._unable(it, needs, binding, lockfile) for it in models] if needs else []
        return abilities.Passed(binding.alias, models, unable) if any(unable) else None

    def _unable(
        self,
        reference: str,
        needs: Sequence[abilities.Ability],
        binding: lockfiles.Binding,
        lockfile: lockfiles.Lockfile | None,
    ) -> abilities.Unable | None:
        name = reference.partition(":")[0]
        settings = lockfile.providers.get(name) if lockfile is not None else None
        try:
            # A package that is not there yet is not imported for this.
            at_hand = self._registry.is_at_hand(name, settings)
            place = self._place(reference, lockfile) if at_hand else abilities.Place("", None)
        except ProviderNotFoundError:  # which its turn will say
            return None
        known = self._known.at_hand(reference, lockfile, place)
        tools = binding.tools or (settings.tools if settings is not None else None)
        return abilities.unable(known, needs, abilities.made_up_for(place.row(name), tools))

    @property
    def _known(self) -> abilities.Known:
        if self._facts is None:
            self._facts = abilities.Known()
        return self._facts

    @property
    def _patience(self) -> float:
        return _PATIENCE if self.timeout is None else min(self.timeout, _PATIENCE)

    @asynccontextmanager
    async def _lent(self, name: str, lockfile: Lockfile | None) -> AsyncIterator[base.Provider]:
        """A provider, for as long as something is asked of it."""
        declared = lockfile.providers if lockfile is not None else {}
        provider, let_go = await self._registry.borrow(name, declared.get(name), declared, self.timeout)
        try:
            yield provider
        finally:
            let_go()

    def _place(self, reference: str, lockfile: Lockfile | None) -> abilities.Place:
        """Where the provider of a `provider:model` is, and what speaks to it.

        Raises:
            ProviderNotFoundError: there is no such provider.
        """
        name = reference.partition(":")[0]
        if (own := self._registry.registered(name)) is not None:
            return abilities.Place(own.sdk, own.config.address, own=True)
        declared = lockfile.providers if lockfile is not None else {}
        try:
            target = endpoints.endpoint(name, declared.get(name), others=declared, own=self._kinds())
        except ProviderNotFoundError as error:
            raise self._no_provider(reference, error) from None
        return abilities.Place(target.sdk.package, target.address, own=target.make is not None)

    def _telling(self, request: schemas.LLMRequest, profile: str | None, *, stream: bool) -> told.Told | None:
        """What tells the listeners of a request: nobody is told of what a listener itself asks."""
        assert self._listeners is not None
        return events.telling(self._listeners, request, self._profile(profile), stream, self._asked_at)

    def _asked_at(self, reference: str) -> tuple[str | None, str | None] | None:
        """Where a `provider:model` is asked, and the address that its price depends on, once both are known."""
        name = reference.partition(":")[0]
        try:
            declared = self._declared()
            if not self._registry.is_at_hand(name, declared.get(name)):
                return None
            if (own := self._registry.registered(name)) is not None:
                return own.config.address, self._address(reference)
            target = endpoints.endpoint(name, declared.get(name), others=declared, own=self._kinds())
        except LLMRingError:  # which its turn will say
            return None
        return target.address, target.base_url

    def _address(self, reference: str) -> str | None:
        """Where the provider of a `provider:model` is asked."""
        provider = reference.partition(":")[0]
        return endpoints.address_of(provider, self._declared().get(provider), self._kinds())


def _limits_of(
    known: abilities.Capabilities, row: Callable[[str], Mapping[str, Any]], request: schemas.LLMRequest
) -> counting.Limits:
    window, most = known.context_window, known.max_output_tokens.value
    if (own := reading.window_in(request.extra_params, row(known.model.partition(":")[0]))) is not None:
        return counting.Limits(own, "the request", most)
    return counting.Limits(window.value, f"the {window.source}", most)
