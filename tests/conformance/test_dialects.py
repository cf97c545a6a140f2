"""Each vendor of Chat Completions with ways of its own is spoken to in them, and takes what it is sent.

The practice server plays those that it knows; the others take what most hosts take.
"""

from __future__ import annotations

import pytest

from llmring.providers.openai import OpenAIProvider
from llmring.testing.conformance import AnswerTests, CallTests, Conformance, Subject
from llmring.vendors import of_vendors

PLAYED = {
    "azure": "openai",
    "google": "gemini",
    **{it: it for it in ("openai", "deepseek", "mistral", "moonshot", "openrouter", "vllm")},
}
"""Whom the practice server plays for each; any host for those that are not here."""
SILENT = ("openai", "azure", "google")
VENDORS = sorted({*of_vendors("chat"), *PLAYED})


@pytest.fixture(params=VENDORS)
def conformance(request: pytest.FixtureRequest) -> Subject:
    vendor = request.param
    path = f"/{PLAYED[vendor]}/v1" if vendor in PLAYED else "/v1"
    lacks = {"thinking": "it does not tell of it in Chat Completions"} if vendor in SILENT else {}
    return Subject(OpenAIProvider, "openai-chat", lacks, name=vendor, path=path)


class TestDialects(Conformance, AnswerTests, CallTests):
    """Answers, and calls with their second turn."""
