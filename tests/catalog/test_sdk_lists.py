"""What the SDKs' files say is read without an import, and their silence is no error."""

import sys
from datetime import date
from pathlib import Path

import pytest

from llmring import catalog
from llmring.catalog import sdk_lists


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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, file: str, text: str, model: str, day: date
) -> None:
    (tmp_path / package / file).parent.mkdir(parents=True)
    (tmp_path / package / "__init__.py").write_text("raise AssertionError('an SDK was imported')")
    (tmp_path / package / file).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, package, raising=False)
    sdk_lists.announced_ends.cache_clear()
    info = catalog.model_info(f"{package}:{model}")
    sdk_lists.announced_ends.cache_clear()
    assert (info.retires, info.deprecated) == (day, True)


@pytest.mark.parametrize("text", [None, "", "DEPRECATED_MODELS = {", "DEPRECATED_MODELS = {'a': f()}"])
def test_an_sdk_that_says_nothing_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    folder = tmp_path / "anthropic" / "_data"
    folder.mkdir(parents=True)
    (tmp_path / "anthropic" / "__init__.py").touch()
    if text is not None:
        (folder / "deprecated_models.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "anthropic", raising=False)
    sdk_lists.announced_ends.cache_clear()
    assert catalog.model_info("anthropic:claude-haiku-4-5").retires is None
    sdk_lists.announced_ends.cache_clear()


def test_the_installed_sdks_are_understood() -> None:
    for provider in ("anthropic", "openai"):
        found = sdk_lists.announced_ends(provider)
        assert found, f"the file of {provider} that lists what ends has another form now"
        assert all(isinstance(day, date) for day in found.values())


def test_every_name_that_an_sdk_lists_is_known() -> None:
    for provider in ("anthropic", "openai", "google"):
        listed = sdk_lists.listed_models(provider)
        assert len(listed) > 10, f"the file of {provider} that lists its models has another form now"
        for name in listed:
            assert catalog.known(f"{provider}:{name}")
