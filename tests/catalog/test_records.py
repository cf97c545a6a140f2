"""What the SDKs' files say is read without an import, and their silence is no error."""

import re
from datetime import date

import pytest

from llmring import catalog
from llmring.catalog import records

from ..conftest import Say


@pytest.mark.parametrize(
    ("package", "file", "text", "model", "day"),
    [
        (
            "anthropic",
            "_data/deprecated_models.py",
            "from typing import Dict\n\nDEPRECATED_MODELS: Dict[str, str] = {\n"
            '    "claude-old-1": "June 1st, 2026",\n    "claude-old-2": "November 30th, 2026",\n}\n',
            "claude-old-2",
            date(2026, 11, 30),
        ),
        (
            "openai",
            "types/shared/chat_model.py",
            'ChatModel = str\n"""Deprecated values:\n\n- "gpt-old", "gpt-old-1",\n  "gpt-older":'
            '\n  Announced shutdown date: 2026-12-11. See there.\n- "gpt-odd": Not a model.\n"""\n',
            "gpt-older",
            date(2026, 12, 11),
        ),
    ],
)
def test_retirement_is_read_from_the_installed_sdk(
    sdk_says: Say, package: str, file: str, text: str, model: str, day: date
) -> None:
    sdk_says(package, file, text)
    info = catalog.model_info(f"{package}:{model}")
    assert (info.retires, info.deprecated) == (day, True)


@pytest.mark.parametrize("text", [None, "", "DEPRECATED_MODELS = {", "DEPRECATED_MODELS = {'a': f()}"])
def test_an_sdk_that_says_nothing_is_no_error(sdk_says: Say, text: str | None) -> None:
    sdk_says("anthropic", "_data/deprecated_models.py", text)
    assert catalog.model_info("anthropic:claude-haiku-4-5").retires is None


@pytest.mark.latest
@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_the_installed_sdks_are_understood(provider: str) -> None:
    package, file, _ = records._ENDS[provider]
    text = records._text(package, file)
    assert text, f"the file of {provider} that lists what ends is elsewhere now"
    found = records.announced_ends(provider)
    assert found or not re.search(r"\b20\d\d\b", text), f"the file of {provider} that lists what ends has another form"
    assert all(isinstance(day, date) for day in found.values())


@pytest.mark.latest
@pytest.mark.parametrize("provider", ["anthropic", "openai", "google"])
def test_every_model_that_an_sdk_lists_is_known(provider: str) -> None:
    listed = records.listed_models(provider)
    assert listed, f"the file of {provider} that lists its models has another form now"
    for name in listed:
        assert catalog.known(f"{provider}:{name}")
