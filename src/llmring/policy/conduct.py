"""What a policy does to one request, and what a service remembers for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from .. import concealment
from ..exceptions import ConfigurationError, ProviderError
from ..lockfile.policy import Policy
from ..references import shown
from ..request import seconds, with_params
from ..schemas import LLMRequest
from . import hedging
from .conversations import Here, Places, conversation_of, value_of
from .ends import left, moves_on
from .refusals import Refusals, refused_by, without
from .shares import in_order, side_of
from .times import Times

if TYPE_CHECKING:
    from ..answer import Answer, Call
    from ..lockfile import Binding
    from ..record import Records
    from ..routing import Route
    from ..schemas import LLMResponse, StreamChunk
    from ..state import Gate, Pass
    from ..told import Attempt
    from .hedging import Side

    Opened = tuple[Answer, list[StreamChunk]]
    ReadsOn = Callable[[list[StreamChunk]], bool]
    Ask = Callable[[Call, ReadsOn | None], Awaitable[Opened]]

__all__ = ["OF_ALL", "Conduct", "Conductor", "own_params", "runs_tools"]

logger = logging.getLogger("llmring")

OF_ALL: Final = frozenset(
    {
        "tools",
        "tool_choice",
        "response_format",
        "json_response",
        "deadline",
        "on_interrupt",
        "retries_on_misfit",
        "metadata",
    }
)
"""Fields that are of the whole request, whoever serves it: a model has none of its own."""
_REMEMBERED = 256
"""Aliases whose times are known: a program may bind as many as it likes."""


class Conductor:
    """What a service remembers for the policies of its aliases, for all of its loops.

    Args:
        records: of what the service has open.
        places: remembers which model a conversation is with; not given: in this process.
    """

    def __init__(self, records: Records, places: Places | None = None) -> None:
        self.records = records
        self.places = places or Here()
        self.refusals = Refusals()
        self._times: dict[tuple[str, tuple[str, ...]], Times] = {}
        self._said: set[str] = set()

    def of(self, binding: Binding, policy: Policy, request: LLMRequest) -> Conduct:
        """What the policy does to a request.

        Args:
            binding: of the request's alias,
            policy: and its policy.
            request: as the caller made it.

        Raises:
            ConfigurationError: the params of one of its models cannot be used.
        """
        return Conduct(self, binding, policy, request)

    def is_new(self, said: str) -> bool:
        """Whether something has not been said yet. Of very many things, nothing more is."""
        if said in self._said or len(self._said) >= _REMEMBERED:
            return False
        self._said.add(said)
        return True

    def times(self, binding: Binding) -> Times:
        """Those of an alias."""
        key = binding.alias, binding.models
        times = self._times.setdefault(key, Times())
        if len(self._times) > _REMEMBERED:
            with suppress(StopIteration, RuntimeError):  # another thread is at it, too
                self._times.pop(next(iter(self._times)), None)
        return times


class Conduct:
    """What a policy does to one request. See `Conductor.of`.

    Attributes:
        policy: what it goes by.
        alias: what the request named.
        records: of what the service has open.
        hedged: a second model was asked for it.
        places: remembers which model a conversation is with.
        gate: holds requests back, as their rate and their budget have it; `None`: nothing does.
    """

    def __init__(self, conductor: Conductor, binding: Binding, policy: Policy, request: LLMRequest) -> None:
        self.policy = policy
        self.alias = binding.alias
        self.records = conductor.records
        self.hedged = False
        self._conductor = conductor
        self._request = request
        self._own = {model: own_params(request, binding, model) for model in policy.params}
        self._times = conductor.times(binding) if policy.hedge_after == "p95" else None
        self._place: str | None = None
        self.places = conductor.places
        self.gate: Gate | None = None
        self._passes: dict[str, Pass] = {}

    def order(self, candidates: Sequence[str]) -> list[str]:
        """Who may serve, in the order of this request's share."""
        policy, request = self.policy, self._request
        split, ordered = policy.split, list(candidates)
        if split is not None and len(ordered) == len(split.weights):
            key = value_of(request.metadata, split.by) if split.by is not None else None
            key = key if key is not None else conversation_of(request)
            ordered = in_order(ordered, side_of(self.alias, split.weights, key, split.generation))
        return ordered

    def fitted(self, model: str, request: LLMRequest) -> LLMRequest:
        """The request as a model gets it: with its own params, and without what it is known to refuse."""
        if own := self._own.get(model):
            request = request.model_copy(update=own)
        return self._conductor.refusals.fitted(model, request) if self.policy.on_refused_param == "drop" else request

    def timeout(self, model: str, timeout: float | None) -> float | None:
        """The seconds for every wait for a model: its own, else those of the request."""
        own = self._own.get(model, {})
        return seconds(own["timeout"], f"timeout of {model}") if "timeout" in own else timeout

    def served(self, model: str) -> None:
        """A model has begun to answer."""
        if self._place is not None and self.policy.sticky is not None:
            self.places.keep(self._place, model, self.policy.sticky)

    def moves_on(self, error: BaseException) -> bool:
        """Whether a failure that would be the caller's to see leads to the next model."""
        return moves_on(error, self.policy.move_on)

    def left(self, response: LLMResponse) -> ProviderError | None:
        """Why a whole answer of which nothing was seen is left for the next model's; `None` where it stays."""
        return left(response, self.policy.move_on)

    def first(self, route: Route) -> Awaitable[Opened]:
        """The answer of the first candidate that gives a chunk, or of one that was asked beside it."""
        if self.policy.sticky is not None and self._place is None:
            return self._placed(route, self.policy.sticky)
        is_hedged = self.policy.hedge_after is not None and not any(
            runs_tools(self.fitted(model, route.request)) for model in route.candidates
        )
        return hedging.first(route, self) if is_hedged else route.first(route.attempt)

    async def _placed(self, route: Route, seconds: float) -> Opened:
        """The same, from the model on that the conversation is with."""
        # It goes to a store, and tells nothing there.
        said = f"{self.alias}\n{conversation_of(self._request)}"
        self._place = sha256(said.encode(errors="surrogatepass")).hexdigest()[:32]
        asked = {model: self.fitted(model, route.request) for model in route.candidates}
        kept = await self.places.get(self._place, asked, seconds)
        if kept in asked:
            route.candidates = in_order(route.candidates, route.candidates.index(kept))
        try:
            return await self.first(route)
        finally:
            if self.gate is not None:
                self.gate.forget()

    def waited(self, seconds: float) -> None:
        """How long the candidate in the first place took to begin, or was waited for."""
        if self._times is not None:
            self._times.add(seconds)

    def not_asked(self, model: str, other: str, error: BaseException) -> None:
        """A second model could not be asked beside the first, whatever they would have said: that is said once."""
        if self._conductor.is_new(f"{self.alias} {other} {type(error).__name__}"):
            logger.warning("%s: %s cannot be asked beside %s: %s", self.alias, other, model, concealment.bare(error))

    def hedge_after(self) -> float | None:
        """After how many seconds a second model is asked, too, as it is once for a request; `None`: not at all."""
        after = self.policy.hedge_after
        if self.hedged:
            return None
        return (
            after if not isinstance(after, str) else self._times.percentile(0.95) if self._times is not None else None
        )

    async def ask(self, route: Route, model: str, attempt: Attempt, call: Call, ask: Ask, side: Side | None) -> Opened:
        """Ask a model, when it may be asked, and again without a parameter that it refuses.

        Args:
            route: the request's.
            model: the `provider:model`.
            attempt: hears of it.
            call: what to ask.
            ask: asks; its second argument says whether what has come is not enough.
            side: hears when the model is asked and when it begins to answer.
        """
        if self.gate is None:
            return await self._ask(route, attempt, call, ask, side)
        let_through = await self.gate.admit(model, call, elsewhere=len(route.candidates) > 1, until=route.until)
        self._passes[model] = let_through
        try:
            answer, chunks = await self._ask(route, attempt, call.begun(), ask, side)
        except BaseException as error:
            let_through.failed(error)
            raise
        let_through.began(answer)
        return answer, chunks

    def retried(self, error: ProviderError) -> None:
        """A model is asked again after an error."""
        if (let_through := self._passes.get(f"{error.provider}:{error.model}")) is not None:
            let_through.retried(error)

    async def _ask(self, route: Route, attempt: Attempt, call: Call, ask: Ask, side: Side | None) -> Opened:
        is_whole, reads_on = not call.stream, None
        if side is not None:
            side.asks()
            if is_whole:
                # Only of a stream is it known when it begins.
                call = replace(call, stream=True)

            def reads_on(chunks: list[StreamChunk]) -> bool:
                if chunks:
                    side.speaks()
                return is_whole or not chunks

        answer, chunks = await self._asked(route, attempt, call, lambda it: ask(it, reads_on))
        self.served(answer.model)
        return answer, chunks

    async def _asked(
        self, route: Route, attempt: Attempt, call: Call, ask: Callable[[Call], Awaitable[Opened]]
    ) -> Opened:
        dropped: dict[str, Any] = {}
        while True:
            try:
                return await ask(call)
            except ProviderError as error:
                name = refused_by(error, call.request) if self.policy.on_refused_param == "drop" else None
                if name is None or name in dropped:
                    raise
                model = f"{error.provider}:{error.model}"
                logger.warning(
                    "%s: %s refused the parameter %s, and is asked again without it: %s",
                    *(self.alias, model, shown(name), concealment.bare(error)),
                )
                attempt.retried(route.retries + 1, 0.0, error)
                self.retried(error)
            route.retries += 1
            dropped[name] = call.request.extra_params.get(name, getattr(call.request, name, None))
            self._conductor.refusals.add(model, name, dropped[name])
            call = replace(call, request=without(call.request, dropped)).begun()


def own_params(request: LLMRequest, binding: Binding, model: str) -> Mapping[str, Any]:
    """What a model's own params change in a request with the binding's.

    Args:
        request: as the caller made it: what it says itself wins.
        binding: of its alias.
        model: whose they are.

    Raises:
        ConfigurationError: one has a value that its field does not take, or is of the whole request.
    """
    own = dict(binding.policy.params.get(model, {})) if binding.policy is not None else {}
    if not own:
        return own
    if of_all := OF_ALL & own.keys():
        raise ConfigurationError(
            f"The params of {shown(model)} under the alias {binding.alias!r} cannot hold {', '.join(sorted(of_all))}: "
            "that is of the whole request, whoever serves it. Write it into the params of the binding."
        )
    extra = own.pop("extra_params", None)
    own = {**own, **extra} if isinstance(extra, Mapping) else own
    try:
        made = with_params(request, replace(binding, params={**binding.params, **own}, tools=None))
    except ConfigurationError as error:
        raise ConfigurationError(f"{shown(model)}: {error}") from None
    names = {name if name in LLMRequest.model_fields else "extra_params" for name in own}
    return {
        name: getattr(made, name) for name in names if name == "extra_params" or name not in request.model_fields_set
    }


def runs_tools(request: LLMRequest) -> bool:
    """Whether the provider is to run tools on its side: what they do is not to be done twice."""
    own: Collection[Any] = request.tools or ()
    return any(not isinstance(it, Mapping) or it.get("type") != "function" for it in own) or not (
        _RUN_BY_PROVIDERS.isdisjoint(request.extra_params)
    )


_RUN_BY_PROVIDERS = frozenset(
    {
        "tools",  # of any API, in its own form
        "web_search_options",  # https://platform.openai.com/docs/guides/tools-web-search
        "plugins",  # https://openrouter.ai/docs/features/web-search
        "search_parameters",  # https://docs.x.ai/docs/guides/live-search
        "enable_search",  # https://www.alibabacloud.com/help/en/model-studio/web-search
        "mcp_servers",  # https://docs.claude.com/en/docs/agents-and-tools/mcp-connector
        "compound_custom",  # https://console.groq.com/docs/compound
    }
)
"""Parameters of vendors' own that have a provider do something on its side."""
