"""The adapter of OpenAI's SDK passes, on both of its wires, what authors of providers are asked to pass."""

from __future__ import annotations

from dataclasses import replace

from llmring.providers.base import Provider, ProviderConfig
from llmring.providers.openai import OpenAIProvider
from llmring.testing.conformance import ProviderConformance


class TestChatCompletions(ProviderConformance):
    provider = OpenAIProvider
    wire = "openai-chat"


class TestResponses(ProviderConformance):
    wire = "openai-responses"

    def provider(self, config: ProviderConfig) -> Provider:
        return OpenAIProvider(replace(config, api="responses"))
