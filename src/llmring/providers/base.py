"""What the adapters of all SDKs share: an open answer, and the road of one request to it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from .. import concealment
from ..addresses import shown
from ..answer import Call
from ..credentials import reveal
from ..dialects import Dialect
from ..exceptions import LLMRingError, ModelCapabilityError, ProviderError
from ..unpacking import HTTPResponse
from ..vendors import VENDORS
from ..wire.base import Decoder
from ..wire.errors import CannotCarry, WireError
from . import errors
from .asked import Asked
from .config import ProviderConfig

__all__ = ["Call", "HTTPResponse", "Provider", "ProviderConfig"]


class Provider(Asked):
    """An adapter of one official SDK: it owns the client, renders, sends, and names errors.

    Attributes:
        client: the SDK's async client, to use for whatever llmring does not cover.
        tells_tools: whether it knows `tools`: can tell a model of them in the prompt, and read calls out of text.
    """

    sdk: ClassVar[str] = ""
    """The SDK's own package, as pip knows it; empty where there is none."""
    dialect: ClassVar[Dialect | None] = None
    """What is known of the vendor: where it is, which variables hold its key, what its words mean. A class that is
    registered says it here; of a built-in provider it is a row of `vendors.json`."""

    finds_credentials: ClassVar[bool] = True
    """Whether its SDK may find credentials by itself, beside the key that it is given: a profile, a file, a token of
    the machine. A command then asks its user before it goes to an address that a lockfile chose."""

    client: Any
    tells_tools: bool = False

    def __init__(self, config: ProviderConfig) -> None:
        # Of what a function makes, only its name may be known.
        if self.dialect is not None and config.dialect in (None, Dialect(config.name)):
            config = replace(config, dialect=self.dialect)
        if config.base_url is None and config.dialect is not None:
            config = replace(config, base_url=config.dialect.base_url)
        super().__init__(config)

    @property
    def issuer(self) -> str:
        """Whose what is kept of an answer is: the provider and its address. It goes back to no other."""
        return f"{self.name} {shown(self.config.address or self.config.base_url)}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    @abstractmethod
    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""

    @abstractmethod
    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""

    @abstractmethod
    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """Send, and give the answer with its body still to be read. Raises what the SDK raises.

        Args:
            call: what to send.
            body: what `render` made of it, as JSON.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the client and its connections."""

    def error(self, error: Exception, call: Call, headers: Mapping[str, str] | None = None) -> LLMRingError:
        """The error to raise for what `send` raised, the network, or the wire; `headers` are those of the answer."""
        if isinstance(error, LLMRingError):
            if isinstance(error, ProviderError):
                self._hide_key(error)
            return error
        if isinstance(error, CannotCarry):
            return ModelCapabilityError(
                f"{self.name}:{call.model} cannot take this request: {error}.", provider=self.name, model=call.model
            )
        original, own = None, self._registered
        if isinstance(error, errors.Refused):
            headers, original = error.headers, error.__cause__
            if error.target is not None:
                raised: ProviderError = errors.error_of_redirect(error, self.name, call.model, own)
            else:
                error = self.said_of(error.body, error.status, error.headers)
        elif isinstance(error, WireError) and own is not None:
            # What was said inside an answer has no status but that of its words.
            error.status = next((own.statuses[it] for it in error.codes if it in own.statuses), error.status)
        if isinstance(error, WireError):
            # Before its words are cut: half a key would not be found.
            self._hide_key(error)
            raised = errors.error_of_answer(
                error,
                provider=self.name,
                model=call.model,
                key_source=self.config.key_source,
                headers=headers,
                sent=frozenset(k for k in call.request.model_fields_set if getattr(call.request, k) is not None),
                extra=call.request.extra_params,
                original=original,
                address=self.config.address,
                own=own,
                row=self.config.dialect,
            )
        elif not isinstance(error, errors.Refused):
            raised = errors.error_of_network(
                error,
                provider=self.name,
                model=call.model,
                timeout=call.timeout,
                address=self.config.address or self.config.base_url,
                row=self.config.dialect,
            )
        self._hide_key(raised)
        return raised

    @property
    def _registered(self) -> Dialect | None:
        """What is known of the vendor where that is not built in, and so is known to nobody else."""
        known = self.config.dialect
        return None if known is None or VENDORS.get(known.name) is known else known

    def conceal(self, data: bytes) -> bytes:
        """Bytes that came from outside, to be shown to people: servers repeat what they were sent, the key too."""
        for secret in self._secrets():
            data = data.replace(secret.encode(), b"[key]")
        return data

    def _secrets(self) -> list[str]:
        """What must not be seen, the longest first: one may be part of another."""
        known = set(map(reveal, [self.config.key, *self.config.secrets]))
        return sorted((it for it in known if len(it) >= concealment.SHORTEST), key=len, reverse=True)

    def _hide_key(self, error: WireError | ProviderError) -> None:
        """Take the key out of what an error of ours says."""
        secrets = self._secrets()
        concealment.clean(error, secrets)
        if isinstance(error, WireError):
            error.message = concealment.without(secrets, error.message)
