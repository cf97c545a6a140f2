"""Adapter of the `openai` SDK: OpenAI itself, and every server that speaks one of its two formats."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import openai

from ..credentials import first_set
from ..wire import chat_requests, openai_chat, openai_responses, told_calls
from ..wire.base import Decoder
from .base import Call, ProviderConfig
from .posting import PostingProvider

__all__ = ["OpenAIProvider"]

_OFFICIAL_HOST = "api.openai.com"

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
    """OpenAI through its Responses API, other hosts through Chat Completions, unless `api` says otherwise."""

    sdk = "openai"

    def __init__(self, config: ProviderConfig) -> None:
        if config.name == self.sdk:
            super().__init__(config, openai.AsyncOpenAI, openai.AsyncStream[object], _of_environment())
        else:
            super().__init__(config, _Elsewhere, openai.AsyncStream[object])
        host = self.client.base_url.host
        self.official = host == _OFFICIAL_HOST
        self.responses = config.api == "responses" or (config.api is None and self.official)
        self.tells_tools = not self.responses

    @cached_property
    def _dialect(self) -> chat_requests.ChatDialect:
        return chat_requests.dialect_of(self.client.base_url.host, self.config.name)

    def render(self, call: Call) -> dict[str, Any]:
        """The body to send."""
        if self.responses:
            return openai_responses.render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)
        request, mode = call.request, self.tool_mode(call)
        if mode is not None and mode.prompt is not None:
            request = told_calls.request_in_words(request, mode.prompt, "openai_chat", self.issuer)
        return openai_chat.render_request(
            request,
            call.model,
            stream=call.stream,
            issuer=self.issuer,
            dialect=self._dialect,
        )

    def decoder(self, call: Call) -> Decoder:
        """A decoder for the answer."""
        model = f"{self.name}:{call.model}"
        if self.responses:
            return openai_responses.ResponsesDecoder(model)
        own, mode = self.config.think_tags, self.tool_mode(call)
        return openai_chat.ChatDecoder(
            model,
            think_tags=self._dialect.think_tags if own is None else own,
            reader=told_calls.reader_of(call.request, mode.text) if mode is not None else None,
        )

    @property
    def path(self) -> str:
        """Where requests are posted, below the base URL."""
        return "/responses" if self.responses else "/chat/completions"
