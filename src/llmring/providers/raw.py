"""What the adapters share whose SDKs give the HTTP response in public: `with_streaming_response.create(...)`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from ..credentials import reveal
from .base import Call, HTTPResponse, Provider, ProviderConfig
from .exchange import Exchange, keep_at_home
from .transport import http_options

__all__ = ["RawProvider"]


class RawProvider(Provider):
    """An adapter of such an SDK.

    Args:
        config: how to reach the provider.
        make: makes the SDK's client.
        http: makes the HTTP client underneath.
        headers: to be sent with every request, unless the config has others.
    """

    def __init__(
        self,
        config: ProviderConfig,
        make: Callable[..., Any],
        http: Callable[..., Any],
        headers: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config)
        ours = http(**http_options(config.limits))
        self.client = make(
            # Without one, the SDK would take the environment's, which is not for whatever host this is.
            api_key=reveal(config.key) or "none",
            base_url=config.base_url,
            default_headers={**(headers or {}), **config.sent_headers},
            timeout=config.timeout,
            max_retries=config.max_retries,
            http_client=ours,
        )
        keep_at_home(ours, str(self.client.base_url), self.client.default_headers)
        self._once: Any = None

    @abstractmethod
    def create(self, client: Any, call: Call) -> Any:
        """The SDK's raw-response call, with next to nothing to send.

        Args:
            client: the SDK's, which does not try again.
            call: what it is for.
        """

    async def send(self, call: Call, body: bytes) -> HTTPResponse:
        """Send through the SDK's raw-response path, with the rendered body in place of its own."""
        if self._once is None:
            self._once = self.client.with_options(max_retries=0)
        async with Exchange(body, call.until):
            answer = await self.create(self._once, call).__aenter__()
        response: HTTPResponse = answer.http_response
        return response

    async def close(self) -> None:
        """Close the client and its connections."""
        await self.client.close()
