"""What the policies of aliases get wrong: own params, limits that nothing fits into, what a stand-by cannot take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .. import catalog
from ..exceptions import ConfigurationError, LLMRingError, ProviderNotFoundError
from ..lockfile import Binding, split_reference
from ..lockfile.policy import each
from ..policy import own_params, runs_tools
from ..providers.endpoints import endpoint
from ..references import escaped, shown
from ..request import seconds, with_params
from ..schemas import LLMRequest
from .findings import Finding, Spot

if TYPE_CHECKING:
    from ..lockfile import Lockfile
    from .text import Text

__all__ = ["misled"]


def misled(text: Text) -> Iterator[Finding]:
    """What is wrong with the policies of a lockfile, or looks so."""
    for profile in text.lockfile.profiles.values():
        for alias, binding in profile.bindings.items():
            one = _One(text, profile.name, alias, binding)
            yield from one.own()
            yield from one.foreign()
            if binding.policy is not None:
                yield from one.unpriced()
                yield from one.narrow()
                yield from one.idle()


class _One:
    """One binding, and where its parts stand."""

    def __init__(self, text: Text, profile: str, alias: str, binding: Binding) -> None:
        self._text = text
        self._profile = profile
        self._alias = alias
        self._binding = binding

    @property
    def _lockfile(self) -> Lockfile:
        return self._text.lockfile

    def _spot(self, *place: str | int) -> Spot:
        return self._text.spot_in_binding(self._profile, self._alias, *place)

    def own(self) -> Iterator[Finding]:
        """Params of a model alone with which no request can be made."""
        for index, model in enumerate(self._binding.models):
            if self._binding.policy is None or model not in self._binding.policy.params:
                continue
            try:
                own = own_params(LLMRequest(model=self._alias, messages=[]), self._binding, model)
                seconds(own.get("timeout"), "timeout")
            except LLMRingError as error:
                message = f"No request of {shown(self._alias)} can be made to {shown(model)}: {escaped(str(error))}"
                step = f"Correct its params, or take them out, in {self._text.path}."
                yield Finding("params-invalid", "error", self._spot("models", index, "params"), message, step)

    def foreign(self) -> Iterator[Finding]:
        """Parameters of one vendor's API that go to the models of another, too."""
        binding = self._binding
        if binding.policy is not None and binding.policy.on_refused_param == "drop":
            return
        wires: dict[str, str] = {}
        for model in binding.models:
            if (wire := _wire(self._lockfile, model)) is not None:
                wires.setdefault(wire, model)
        if len(wires) < 2:
            return
        for name in binding.params:
            if name not in LLMRequest.model_fields:
                others = " and ".join(shown(it) for it in wires.values())
                message = (
                    f"{shown(name)} is no field of requests: it goes as it is to {others}, whose APIs differ, and one "
                    "may refuse it."
                )
                step = (
                    f"Give it to its model alone: models = [{{ model = ..., params = {{ {name} = ... }} }}, ...], or "
                    'write: on_refused_param = "drop"'
                )
                yield Finding("params-foreign", "warning", self._spot("params", name), message, step)

    def unpriced(self) -> Iterator[Finding]:
        """Models without a price under a budget, which are refused."""
        policy = self._binding.policy
        if policy is None or policy.budget is None or policy.budget.unpriced == "allow":
            return
        for index, model in enumerate(self._binding.models):
            settings = self._lockfile.providers.get(model.partition(":")[0])
            info = catalog.model_info(model, base_url=settings.base_url if settings is not None else None)
            if not info.own_host and (info.input_price is None or info.output_price is None):
                message = f"{shown(self._alias)} has a budget, and {shown(model)} no known price: it is never asked."
                step = 'Bind another model, or write in the budget: unpriced = "allow"'
                yield Finding("budget-unpriced", "error", self._spot("models", index), message, step)

    def narrow(self) -> Iterator[Finding]:
        """A rate that the answer that its params ask for does not fit into."""
        policy = self._binding.policy
        most = self._binding.params.get("max_tokens")
        if policy is None or policy.rate is None or policy.rate.tokens is None or not isinstance(most, int):
            return
        if most > policy.rate.tokens:
            message = (
                f"The params of {shown(self._alias)} ask for answers of up to {most:,} tokens, and its rate is "
                f"{policy.rate.tokens:,} {each(policy.rate.per)}."
            )
            yield Finding("rate-narrow", "warning", self._spot("rate"), message, "Raise the rate, or lower max_tokens.")

    def idle(self) -> Iterator[Finding]:
        """Hedging that never comes, for its requests have their provider run tools."""
        policy = self._binding.policy
        if policy is None or policy.hedge_after is None:
            return
        try:
            request = with_params(LLMRequest(model=self._alias, messages=[]), self._binding)
        except ConfigurationError:  # which is another finding
            return
        if runs_tools(request):
            message = (
                f"hedge_after does nothing for {shown(self._alias)}: its params have the provider run tools, and what "
                "they do is not done twice."
            )
            step = "Take one of the two out."
            yield Finding("hedge-idle", "warning", self._spot("hedge_after"), message, step)


def _wire(lockfile: Lockfile, reference: str) -> str | None:
    """Whose API a model is asked by; `None` where there is no such provider, which is another finding."""
    try:
        name, _ = split_reference(reference)
        return endpoint(name, lockfile.providers.get(name), others=lockfile.providers).sdk.package
    except (ConfigurationError, ProviderNotFoundError):
        return None
