"""What a lockfile says that models can do: `[models."PATTERN"]`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.exceptions import LockfileParseError
from llmring.lockfile import ModelSettings, bind, convert, fits, load, parse, stated
from llmring.vendors import FACTS

Write = Callable[..., Path]

TABLES = """
[models."*"]                       # what any of them can do
context_window = 8192
tools = false

[models."ollama:*"]
context_window = 16384
images = false

[models."ollama:llama3.2"]   # tried on Monday
images = true
reasoning_efforts = ["low", "high"]
refused_parameters = ["seed"]
colour = "blue"
"""


def test_says_what_the_file_says(write: Write, plain: str) -> None:
    lockfile = load(write(plain + TABLES))
    assert lockfile.models == {
        "*": ModelSettings({"context_window": 8192, "tools": False}),
        "ollama:*": ModelSettings({"context_window": 16384, "images": False}),
        "ollama:llama3.2": ModelSettings(
            {"images": True, "reasoning_efforts": ("low", "high"), "refused_parameters": ("seed",)}, {"colour": "blue"}
        ),
    }


def test_the_more_exact_pattern_counts_for_each_fact(write: Write, plain: str) -> None:
    lockfile = load(write(plain + TABLES))
    efforts = {"reasoning_efforts": ("low", "high"), "refused_parameters": ("seed",)}
    assert stated(lockfile, "ollama:llama3.2") == {"tools": False, "context_window": 16384, "images": True, **efforts}
    assert stated(lockfile, "ollama:qwen3") == {"tools": False, "context_window": 16384, "images": False}
    assert stated(lockfile, "openai:gpt-5-mini") == {"tools": False, "context_window": 8192}
    assert stated(None, "openai:gpt-5-mini") == {}


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_in_the_file_makes_no_difference(order: int) -> None:
    patterns = ["*", "a:*", "a:b*", "a:*cd", "a:bcd"][::order]
    tables = {name: {"context_window": at + 1} for at, name in enumerate(patterns)}
    lockfile = parse(json.dumps({"version": "1.0", "models": tables}).encode())
    assert stated(lockfile, "a:bcd")["context_window"] == patterns.index("a:bcd") + 1
    assert stated(lockfile, "a:bxx")["context_window"] == patterns.index("a:b*") + 1
    assert stated(lockfile, "a:xcd")["context_window"] == patterns.index("a:*cd") + 1
    assert stated(lockfile, "b:xcd")["context_window"] == patterns.index("*") + 1


@given(st.lists(st.text("a.:[]?^$*", max_size=4), min_size=1, max_size=4), st.text("a.:[]?^$", max_size=6))
def test_only_a_star_stands_for_something(parts: list[str], filling: str) -> None:
    plain = [part.replace("*", "") for part in parts]
    assert fits("*".join(plain), filling.join(plain))
    assert fits("".join(plain), "".join(plain))
    assert fits("".join(plain), "".join(plain) + "x") is False


def test_a_pattern_of_many_stars_takes_no_longer_than_others() -> None:
    """Each `*` that tried all that the others may stand for would take years."""
    assert not fits("*" + "a*" * 40 + "b", "ollama:" + "a" * 400)
    assert fits("*" + "a*" * 40 + "b", "ollama:" + "a" * 400 + "b")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('["a:b"]\nimages = "yes"', "images must be a boolean, not a string"),
        ('["a:b"]\ncontext_window = "8k"', "context_window must be a whole number of tokens, 1 or more"),
        ('["a:b"]\ncontext_window = 0', "context_window must be a whole number"),
        ('["a:b"]\ncontext_window = true', "context_window must be a whole number"),
        ('["a:b"]\nmax_output_tokens = 1.5', "max_output_tokens must be a whole number"),
        ('["a:b"]\nmax_output_tokens = inf', "max_output_tokens must be a whole number"),
        ('["a:b"]\nmax_output_tokens = nan', "max_output_tokens must be a whole number"),
        ('["a:b"]\nrefused_parameters = "seed"', "refused_parameters must be a list, not a string"),
        ('["a:b"]\nrefused_parameters = [1]', "An item of refused_parameters must be a string, not a number"),
        (
            '["a:b"]\nreasoning_efforts = ["a\\tb"]',
            "An item of reasoning_efforts holds a character that cannot be seen",
        ),
        ('["a b"]\nimages = true', 'The pattern "a b" is empty or holds white space'),
    ],
)
def test_what_is_of_another_form_is_refused_with_its_place(write: Write, table: str, told: str) -> None:
    path = write(f'version = "1.0"\n\n[models.{table[1:]}\n')
    with pytest.raises(LockfileParseError, match=r"llmring\.lock:[34]:") as raised:
        load(path)
    assert told in str(raised.value)


def test_no_table_at_all_is_refused(write: Write) -> None:
    with pytest.raises(LockfileParseError, match="models must be a table, not a list"):
        load(write('version = "1.0"\nmodels = []\n'))
    with pytest.raises(LockfileParseError, match=r"models\.\"a:b\" must be a table, not a boolean"):
        load(write('version = "1.0"\n[models]\n"a:b" = true\n'))


def test_edits_keep_what_it_says_of_models(write: Write, plain: str) -> None:
    path = write(plain + TABLES)
    bind(path, "chatbot", ["ollama:qwen3"])
    bind(path, "new", ["ollama:qwen3"], profile="another")
    text = path.read_text()
    assert TABLES.strip() in text
    assert load(path).models == load(write(plain + TABLES)).models


def test_a_file_that_is_converted_keeps_what_it_says_of_models(write: Write, plain: str) -> None:
    path = write(plain + TABLES)
    models = load(path).models
    assert convert(path, to_json=True).models == models
    assert convert(path, to_json=False).models == models


def facts() -> st.SearchStrategy[dict[str, Any]]:
    values = {bool: st.booleans(), int: st.integers(1, 10**9), list: st.lists(st.text("ab", max_size=3), max_size=3)}
    return st.fixed_dictionaries({}, optional={name: values[kind] for name, kind in FACTS.items()})


@given(st.dictionaries(st.text("ab:*", min_size=1, max_size=5), facts(), max_size=4), st.text("ab:", max_size=5))
def test_each_fact_is_of_a_pattern_that_fits(tables: dict[str, dict[str, Any]], reference: str) -> None:
    lockfile = parse(json.dumps({"version": "1.0", "models": tables}).encode())
    found = stated(lockfile, reference)
    fitting = [tables[pattern] for pattern in tables if fits(pattern, reference)]
    assert found.keys() == {name for table in fitting for name in table}
    for name, value in found.items():
        assert any(table.get(name) == (list(value) if isinstance(value, tuple) else value) for table in fitting)
    if reference in tables:
        for name, value in tables[reference].items():
            assert found[name] == (tuple(value) if isinstance(value, list) else value)
