"""Any lockfile says the same in the other format, and as the other way round again."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.exceptions import ConfigurationError
from llmring.lockfile import parse
from llmring.lockfile.rendering import converted, json_text

from .test_editing_property import FAST, tidy, toml_files

keys = st.text(max_size=4)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), keys),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=12,
)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


@FAST
@given(text=toml_files())
def test_from_toml(text: str) -> None:
    lockfile = parse(text.encode())
    try:
        there = converted(lockfile.data, to_json=True)
    except ConfigurationError as error:
        assert "JSON cannot say" in str(error)  # noqa: PT017
        return
    assert json.loads(there.text) == there.data
    back = converted(parse(there.text.encode()).data, to_json=False)
    assert tidy(tomllib.loads(back.text)) == tidy(there.data)
    if not there.changes:
        assert tidy(there.data) == tidy(lockfile.data)
        assert parse(back.text.encode()).profiles == lockfile.profiles


@pytest.mark.parametrize("other", [1, "\0", {"params": "\0"}, {"params": {}}])
def test_params_of_a_binding_that_stands_on_one_line(other: Any) -> None:
    binding = {"alias": "a", "provider": "openai", "model": "m", "params": {"seed": 1}}
    data = {"version": "1.0", "profiles": {"default": {"bindings": [binding], "a": other}}}
    text = converted(data, to_json=False).text
    assert tomllib.loads(text) == data
    assert "params = { seed = 1 }" in text


@FAST
@given(more=st.dictionaries(keys, values, max_size=4))
def test_from_json(more: dict[str, Any]) -> None:
    data = {**more, "version": "1.0"}
    try:
        there = converted(data, to_json=False)
    except ConfigurationError as error:
        assert "TOML" in str(error)  # noqa: PT017
        return
    assert tidy(tomllib.loads(there.text)) == tidy(without_nulls(data)) == tidy(there.data)


def test_letters_stay_letters_and_half_of_one_is_refused() -> None:
    assert '"caf\xe9": 1' in converted({"version": "1.0", "caf\xe9": 1}, to_json=True).text
    with pytest.raises(ConfigurationError, match=r"^The file holds half of a surrogate pair"):
        converted({"version": "1.0", "half": "\ud800"}, to_json=False)


@pytest.mark.parametrize(
    ("text", "is_escaped"),
    [
        ("caf\xe9", True),
        ("\x7f", True),
        ("\x01\x1f", False),
        ("\\u00e9", False),
        ("\\\\u00e9", False),
        ("\\\xe9", True),
        ("plain", False),
    ],
)
def test_json_escapes_letters_where_it_did(text: str, is_escaped: bool) -> None:
    like = json.dumps({"text": text})
    assert json_text({"text": text}, like) == like
    assert json_text({"new": "\xe9"}, like) == json.dumps({"new": "\xe9"}, ensure_ascii=is_escaped)
