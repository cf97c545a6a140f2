"""The adapters of the other SDKs pass what authors of providers are asked to pass."""

from __future__ import annotations

import pytest

from llmring.providers.anthropic import AnthropicProvider
from llmring.providers.google import GoogleProvider
from llmring.providers.ollama import OllamaProvider
from llmring.testing.conformance import Subject, TestConformance

__all__ = ["TestConformance"]

SUBJECTS = [
    Subject(AnthropicProvider, "anthropic"),
    Subject(GoogleProvider, "gemini"),
    Subject(OllamaProvider, "ollama"),
]


@pytest.fixture(params=SUBJECTS, ids=lambda it: it.wire)
def conformance(request: pytest.FixtureRequest) -> Subject:
    subject: Subject = request.param
    return subject
