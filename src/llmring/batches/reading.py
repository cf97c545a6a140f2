"""Answers of a batch, read as those of requests by themselves: by the same decoders, against the same forms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import breaker, record, routing
from .. import stream as streams
from ..answer import Call
from ..providers.errors import Refused
from ..schemas import LLMRequest, LLMResponse, Message

if TYPE_CHECKING:
    from ..answer import Adapter
    from ..providers.batching import Result
    from ..structured import AnswerFormat

__all__ = ["Reader", "kept_of"]

_FIELDS = ("tools", "tool_choice", "json_response")
"""Of a request: what has a say in how its answer is read, beside its form."""


def kept_of(request: LLMRequest, form: AnswerFormat | None, tools: str | None) -> dict[str, Any]:
    """What is noted of a request, so that its answer can be read without its row.

    Args:
        request, form: as they are prepared.
        tools: how they are told to the model, as `Call` has it.
    """
    fields = request.model_dump(mode="json", include={*_FIELDS}, exclude_none=True, exclude_defaults=True)
    if request.response_format is not None:
        fields["response_format"] = request.response_format
        if form is not None and form.schema is not None:
            # Not as it is sent: what is no object is wrapped there.
            name = request.response_format["json_schema"]["name"]
            fields["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": name, "schema": form.schema},
            }
    return {"request": fields, "tools": tools, "again": request.retries_on_misfit > 0}


class Reader:
    """Reads the answers of one batch.

    Args:
        provider: whose they are.
        reference: the `provider:model` that was asked.
        kept: as `kept_of` gives it.
        max_bytes: that an answer may have.

    Attributes:
        request: what stands for the requests.
        asks_again: whether one that does not have its form is to be asked again.
    """

    def __init__(self, provider: Adapter, reference: str, kept: Mapping[str, Any], max_bytes: int) -> None:
        self._provider = provider
        self._reference = reference
        self._tools = kept.get("tools")
        self.asks_again = bool(kept.get("again"))
        self._max_bytes = max_bytes
        self._records = record.Records()
        asked = [Message(role="user", content="-")]
        self.request = LLMRequest(model=reference, messages=asked, **kept.get("request", {}))

    async def response(self, result: Result) -> LLMResponse:
        """The answer of one request that was asked.

        Raises:
            ProviderError: as the request by itself would.
        """
        given: Any = _Given(self._provider, result)
        model = self._reference.partition(":")[2]

        async def call(_: str, request: LLMRequest, form: AnswerFormat | None) -> Any:
            made = Call(request, model, False, None, form, max_bytes=self._max_bytes, tools=self._tools)
            return given, made, lambda: None

        def route() -> routing.Route:
            reference, breakers = self._reference, breaker.Breakers(0)
            return routing.Route(reference, self.request, [reference], breakers, call, lambda *_: None, 0, None, None)

        return await streams.ChatStream(self._reference, route, self._records).final_response()


class _Given:
    """A provider whose answer is here already.

    It may pose as one since `answer` has bytes go to and from a provider by `render` and `send` alone: nothing goes to
    the real one but what is read and how it is said.
    """

    def __init__(self, provider: Adapter, result: Result) -> None:
        self._provider = provider
        self._result = result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def render(self, _: Call) -> dict[str, Any]:
        return {}

    async def send(self, call: Call, body: bytes) -> _Body:
        if self._result.is_refusal:
            raise Refused(self._result.status, {}, self._result.body)
        return _Body(self._result.body)


class _Body:
    """A body, as it comes from the network."""

    headers: Mapping[str, str] = {}

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        yield self._body

    async def aclose(self) -> None:
        await asyncio.sleep(0)  # thousands are read in a row: others have their turn in between
