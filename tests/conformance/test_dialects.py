"""Each vendor of Chat Completions is spoken to in its own ways, and takes what it is sent.

The practice server plays those that it knows; the others take what most hosts take.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmring.testing.conformance import AnswerTests, CallTests, Conformance, Subject
from llmring.vendors import VENDORS

PLAYED = {
    "azure": "openai",
    "google": "gemini",
    **{it: it for it in ("openai", "deepseek", "mistral", "moonshot", "openrouter", "vllm")},
}
"""Whom the practice server plays for each; any host for those that are not here."""
SILENT = ("openai", "azure", "google")
SPOKEN_TO = [name for name, vendor in VENDORS.items() if vendor.chat is not None or vendor.sdk == "openai"]


@pytest.fixture(params=SPOKEN_TO)
def conformance(request: pytest.FixtureRequest) -> Subject:
    name: str = request.param
    vendor = VENDORS[name]
    # One that is no provider by itself, or one of another SDK, as a package of somebody's would have it.
    dialect = vendor if vendor.sdk == "openai" or name == "openai" else replace(vendor, sdk="openai", api=None)
    path = f"/{PLAYED[name]}/v1" if name in PLAYED else "/v1"
    lacks = {"thinking": "it does not tell of it in Chat Completions"} if name in SILENT else {}
    return Subject(dialect, "openai-chat", lacks, name=name, path=path)


class TestDialects(Conformance, AnswerTests, CallTests):
    """Answers, and calls with their second turn."""
