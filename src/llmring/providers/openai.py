"""Adapter of the `openai` SDK: OpenAI itself, and every server that speaks one of its two formats."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import openai

from .. import tool_dialects
from ..credentials import first_set
from ..dialects import ChatDialect
from ..vendors import VENDORS
from ..wire import chat_requests, openai_chat, openai_responses, told_calls
from ..wire.base import Decoder
from .base import Call, ProviderConfig
from .posting import PostingProvider

if TYPE_CHECKING:
    from ..tool_dialects import ToolDialect

__all__ = ["OpenAIProvider"]

# Headers that the SDK sends with what these variables hold, also if that is nothing.
_HEADERS = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}


def _of_environment() -> dict[str, Any]:
    """Headers in the place of the SDK's own: of variables that are empty, none."""
    return {
        header: first_set([variable]) or openai.Omit()
        for variable, header in _HEADERS.items()
        if variable in os.environ
    }


class _Elsewhere(openai.AsyncOpenAI):
    """The SDK's client for a host that is not OpenAI's: what the environment says of OpenAI is not for it."""

    def __init__(
        self,
        *,
        default_headers: Mapping[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
        admin_api_key: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(default_headers=default_headers, **options)
        self._custom_headers = default_headers or {}
        self.organization, self.project, self.admin_api_key = organization, project, admin_api_key


class OpenAIProvider(PostingProvider):
    """OpenAI through its Responses API, other hosts through Chat Completions, unless `api` or their dialect says so."""

    sdk = "openai"

    def __init__(self, config: ProviderConfig) -> None:
        if config.name == self.sdk:
            super().__init__(config, openai.AsyncOpenAI, openai.AsyncStream[object], _of_environment())
        else:
            super().__init__(config, _Elsewhere, openai.AsyncStream[object])
        self.responses = (config.api or self._api_here()) == "responses"
        self.tells_tools = not self.responses

    def _api_here(self) -> str | None:
        """What the vendor speaks whose place this is."""
        known, url = self.config.dialect, self.client.base_url
        if known is not None and known.is_at(str(url)):
            return known.api
        return next((vendor.api for vendor in VENDORS.values() if vendor.has_host(url.host)), None)

    @cached_property
    def _ways(self) -> ChatDialect:
        return chat_requests.dialect_of(self.client.base_url.host, self.config.name, self._registered)

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        if self.responses:
            return openai_responses.render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)
        request, prompt = call.request, self._tools(call)[0]
        if prompt is not None:
            request = told_calls.request_in_words(request, prompt, "openai_chat", self.issuer)
        return openai_chat.render_request(
            request,
            call.model,
            stream=call.stream,
            issuer=self.issuer,
            dialect=self._ways,
        )

    def _tools(self, call: Call) -> tuple[ToolDialect | None, ToolDialect | None]:
        """How tools are told in the prompt, and how calls are read out of text; `None` where they are not."""
        said = call.tools or self.config.tools
        return tool_dialects.tool_mode(said) if said else (None, None)

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        model = f"{self.name}:{call.model}"
        if self.responses:
            return openai_responses.ResponsesDecoder(model)
        text = self._tools(call)[1]
        return openai_chat.ChatDecoder(
            model,
            think_tags=self.config.think_tags,
            reader=told_calls.reader_of(call.request, text) if text is not None else None,
            dialect=self._ways,
        )

    @property
    def wire(self) -> str:
        """What requests are sent in."""
        return "openai-responses" if self.responses else "openai-chat"

    @property
    def path(self) -> str:
        """Where requests are posted, below the base URL."""
        return "/responses" if self.responses else "/chat/completions"
