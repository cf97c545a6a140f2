"""A provider that is asked by itself, without a service and a lockfile: by the same rules, through the same stream."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn, Self

from .. import breaker, routing, structured
from .. import request as requests
from .. import stream as streams
from ..answer import Call
from ..exceptions import LLMRingError
from ..record import Records
from ..schemas import LLMRequest, LLMResponse
from ..wire.errors import WireError, read_error
from . import reading

if TYPE_CHECKING:
    from .config import ProviderConfig

__all__ = ["Asked"]


class Asked(ABC):
    """What `Provider` does for whoever has one, and no service; and what it says of refusals, and of its models.

    Attributes:
        config: how it is reached.
    """

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self._records = Records()
        self._breakers = breaker.Breakers()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def name(self) -> str:
        """The provider's name, as in `provider:model`."""
        return self.config.name

    @abstractmethod
    async def close(self) -> None:
        """Close the client and its connections."""

    def __reduce__(self) -> NoReturn:
        # Its client has the key in hand, and so would have whatever walks through it.
        raise TypeError(
            f"A provider ({type(self).__name__}) is not copied or pickled: it belongs to its process and event loop. "
            "Make another one."
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._records.closed = True
        await asyncio.gather(*(record.end() for record in self._records.all()))
        await self.close()

    def stream(self, request: LLMRequest) -> streams.ChatStream:
        """The answer as it arrives, without a service: `async for chunk in provider.stream(request)`.

        As with a service, the provider is asked again after what may pass, each wait has its timeout, a model that
        fails again and again is left alone for a while, and what is dropped is closed.

        Args:
            request: what to ask; its `model` with the provider's name before it, or without.
        """
        return streams.ChatStream(self._model_of(request), lambda: self._route(request, stream=True), self._records)

    async def chat(self, request: LLMRequest) -> LLMResponse:
        """The whole answer, without a service; see `stream`.

        Raises:
            InvalidRequestError: no provider could take the request.
            ProviderError: what the provider, or the way to it, did wrong.
        """
        route = partial(self._route, request, stream=False)
        return await streams.ChatStream(self._model_of(request), route, self._records).final_response()

    def _model_of(self, request: LLMRequest) -> str:
        return f"{self.name}:{getattr(request, 'model', '').removeprefix(f'{self.name}:')}"

    def _route(self, request: LLMRequest, *, stream: bool) -> routing.Route:
        """The way of a request whose only candidate is this one."""
        if self._records.closed:
            raise LLMRingError(f"{self.name} is closed; make another one.")
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise LLMRingError(
                f"This {self.name} belongs to the event loop that it was first asked in, with its connections. Make "
                "one for each; LLMRing does so by itself."
            )
        requests.check(request)
        said = request.model_fields_set
        timeout = requests.seconds(request.timeout if "timeout" in said else self.config.timeout, "timeout")
        deadline = requests.seconds(request.deadline, "deadline")
        until = loop.time() + deadline if deadline is not None else None
        reference = self._model_of(request)

        async def call(
            _: str, prepared: LLMRequest, form: structured.AnswerFormat | None
        ) -> tuple[Any, Call, Callable[[], None]]:
            model = reference.removeprefix(f"{self.name}:")
            return self, Call(prepared, model, stream, timeout, form), lambda: None

        retries = self.config.max_retries
        return routing.Route(
            reference, request, [reference], self._breakers, call, lambda *_: None, retries, deadline, until
        )

    def read_error(self, body: bytes, status: int, headers: Mapping[str, str]) -> WireError | None:
        """What the body of a refusal says. The usual forms are known; override it for a vendor's own.

        A body of another form (a proxy's page, nothing at all) may make it stumble, or give `None`: it is then read as
        any vendor's.

        Args:
            body: as it came, without what must not be shown.
            status, headers: of the answer; 200 where a refusal came in place of a stream. What `Retry-After` says, and
                the request's id, are found without it.
        """
        return _usual(body, status)

    def said_of(self, body: bytes, status: int, headers: Mapping[str, str]) -> WireError:
        """What the body of a refusal says, by `read_error`, and by the usual forms where that stumbles."""
        body = self.conceal(body)
        try:
            said = self.read_error(body, status, headers)
        except WireError as error:
            said = error
        except Exception:  # whatever comes of reading what has another form
            said = None
        return said if isinstance(said, WireError) else _usual(body, status)

    @abstractmethod
    def conceal(self, data: bytes) -> bytes:
        """Bytes that came from outside, without what must not be shown."""

    async def describe_model(self, model: str) -> Mapping[str, Any] | None:
        """What a model can do, as `LLMRing.capabilities` asks it of a provider that knows by itself.

        Args:
            model: its name, without the provider.

        Returns:
            Values by the names of `Capabilities` (`{"images": True, "context_window": 8192}`), as far as they are
            known; `None`, as here, has it asked as `vendors.json` says of the vendor.
        """
        return None

    async def list_models(self) -> Sequence[reading.ListedModel] | None:
        """The models that are served now, for `LLMRing.get_available_models`.

        Returns:
            `None`, as here, has the SDK's client asked.
        """
        return None


def _usual(body: bytes, status: int) -> WireError:
    """What any vendor's body says. That all is well, which its status says, is not so."""
    return read_error(body, None if status == HTTPStatus.OK else status)
