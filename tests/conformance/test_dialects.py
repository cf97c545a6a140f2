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
WITH_WAYS = [name for name, vendor in VENDORS.items() if vendor.chat is not None or name in PLAYED]
WITHOUT = [name for name, vendor in VENDORS.items() if vendor.sdk == "openai" and name not in WITH_WAYS]


def subject(name: str) -> Subject:
    """A vendor, where the practice server plays it."""
    vendor = VENDORS[name]
    # One that is no provider by itself, or one of another SDK, as a package of somebody's would have it.
    dialect = vendor if vendor.sdk == "openai" else replace(vendor, sdk="openai", api=None)
    path = f"/{PLAYED[name]}/v1" if name in PLAYED else "/v1"
    lacks = {"thinking": "it does not tell of it in Chat Completions"} if name in SILENT else {}
    return Subject(dialect, "openai-chat", lacks, name=name, path=path)


class TestVendorsWithWays(Conformance, AnswerTests, CallTests):
    """Answers, and calls with their second turn."""

    @pytest.fixture(params=WITH_WAYS)
    def conformance(self, request: pytest.FixtureRequest) -> Subject:
        return subject(request.param)


class TestOtherVendors(Conformance, CallTests):
    """Those that are spoken to as any host is."""

    @pytest.fixture(params=WITHOUT)
    def conformance(self, request: pytest.FixtureRequest) -> Subject:
        return subject(request.param)
