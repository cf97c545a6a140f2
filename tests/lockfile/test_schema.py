"""The JSON Schema: it accepts what the parser accepts, and refuses what it refuses as far as a schema can."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from llmring.exceptions import LockfileError
from llmring.lockfile import (
    Binding,
    Budget,
    Lockfile,
    Policy,
    Profile,
    ProviderSettings,
    Rate,
    Split,
    StateSettings,
    parse,
)
from llmring.lockfile.model import DEFAULT_PROFILE, VERSION
from llmring.lockfile.parsing import APIS
from llmring.lockfile.policy import MOVES, PERIODS
from llmring.lockfile.rendering import json_schema, rendered
from llmring.schemas import LLMRequest

from .test_editing_property import toml_files

VALIDATOR = Draft202012Validator(json_schema())
FAST = settings(max_examples=300, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def parses(data: Any) -> bool:
    try:
        parse(json.dumps(data).encode())
    except LockfileError:
        return False
    return True


def test_it_is_a_schema_and_what_is_printed_is_all_of_it() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert json.loads(rendered()) == json_schema()
    assert rendered().endswith("}\n")


@FAST
@given(toml_files())
def test_whatever_is_written_as_toml_fits(text: str) -> None:
    parse(text.encode())
    VALIDATOR.validate(tomllib.loads(text.removeprefix("\ufeff")))


words = st.sampled_from(
    ["", "a", "é", "a b", "a:b", "a:b:c", "/a:b", "a/b:c", ":", "a:", ":b", "a.b", "-a", "1.0", "1"]
)
odd = st.one_of(st.none(), st.booleans(), st.integers(-1, 1), words, st.just([]), st.just({}), st.just(["a:b"]))


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 7).flatmap(lambda roll: good if roll else odd)


def tables(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return mostly(st.fixed_dictionaries({}, optional={name: mostly(field) for name, field in fields.items()}))


references = mostly(st.sampled_from(["a:b", "openai:x:y", "a:b/c"]))
lengths = mostly(st.sampled_from([0.5, 30, "10m", "1.5h", "300ms"]))
periods = mostly(st.sampled_from(["second", "minute", "hour", "day"]))
policies = {
    "split": tables(weights=st.lists(st.sampled_from([0, 1, 9.5]), max_size=3), by=words, generation=st.integers(0, 2)),
    "sticky": lengths,
    "hedge_after": st.one_of(lengths, st.just("p95")),
    "deadline": lengths,
    "move_on": st.lists(mostly(st.sampled_from([*MOVES])), max_size=2),
    "on_refused_param": st.sampled_from(["error", "drop"]),
    "rate": tables(requests=st.sampled_from([1, 600.0]), tokens=st.just(400_000), per=periods),
    "budget": tables(usd=st.sampled_from([25, 0.5]), per=st.just("day"), by=words, unpriced=st.just("allow")),
}
own = tables(model=references, params=st.just({"temperature": 1}))
bindings = st.one_of(
    st.fixed_dictionaries(
        {
            "alias": st.sampled_from(["a", "b"]),
            "models": st.lists(st.one_of(references, own), min_size=1, max_size=3),
        },
        optional={name: mostly(form) for name, form in policies.items()},
    ),
    st.fixed_dictionaries(
        {"alias": st.sampled_from(["a", "b"]), "models": st.lists(references, min_size=1, max_size=2)}
    ),
    st.fixed_dictionaries({"alias": st.sampled_from(["a", "b"]), "model": words}, optional={"provider": words}),
    tables(
        alias=words,
        models=st.lists(references, max_size=2),
        model=words,
        provider=words,
        params=st.just({"temperature": 1}),
        constraints=st.just({}),
    ),
)
files = st.fixed_dictionaries(
    {"version": mostly(st.sampled_from(["1.0", "1", "1.00", "1.0.0.0"]))},
    optional={
        "default_profile": st.sampled_from(["default", "default", "a b", None]),
        "profiles": mostly(
            st.dictionaries(
                st.sampled_from(["default", "é", "a b", ""]), tables(bindings=st.lists(bindings, max_size=2))
            )
        ),
        "state": tables(
            url_env=st.sampled_from(["A_B", "1a"]), on_failure=st.sampled_from(["open", "closed"]), url=odd
        ),
        "extends": tables(packages=st.lists(mostly(st.sampled_from(["a", "é.b", "a-b"])), max_size=2)),
        "providers": mostly(
            st.dictionaries(
                st.sampled_from(["groq", "é", "a:b", "a/b", "a b", ""]),
                tables(
                    sdk=words, base_url=st.sampled_from(["http://a", "https://b", "ftp://c"]), headers=tables(a=words)
                ),
                max_size=1,
            )
        ),
        "$schema": words,
    },
)


@settings(FAST, max_examples=2000)
@given(files)
def test_what_the_parser_accepts_the_schema_accepts(data: Any) -> None:
    if parses(data):
        VALIDATOR.validate(data)


def good(**changes: Any) -> dict[str, Any]:
    profiles = {"default": {"name": "default", "bindings": [{"alias": "a", "models": ["b:c"]}]}}
    return {"version": "1.0", "default_profile": "default", "profiles": profiles, **changes}


def bound(**binding: Any) -> dict[str, Any]:
    return good(profiles={"default": {"bindings": [binding]}})


def two(**binding: Any) -> dict[str, Any]:
    return bound(**{"alias": "a", "models": ["b:c", "b:d"], **binding})


@pytest.mark.parametrize(
    "data",
    [
        good(),
        {"version": "1"},
        good(extends=None, note=[1]),
        good(extends={"packages": ["some-lib", "some.lib.inner", "bücher"], "more": 1}),
        bound(alias="lib:a", models=["ollama:llama3.2:3b"], params=None, constraints=None, extra=1),
        bound(alias="a", models=None, model="b:c", provider=None),
        bound(alias="a", model="c", provider="b"),
        bound(alias="a", models=["b:c"], model=1, provider=[]),
        two(models=["b:c", {"model": "b:d", "params": None, "note": 1}]),
        two(split={"weights": [90, 10.5], "by": "user", "generation": 0}),
        two(split={"weights": [0, 1], "by": None, "generation": None, "note": 1}),
        two(sticky="10m", hedge_after=0.5, deadline="1.5h", move_on=[*MOVES], on_refused_param="drop"),
        two(sticky="300ms", hedge_after="p95", deadline=1, move_on=[], on_refused_param=None),
        two(split=None, sticky=None, hedge_after=None, deadline=None, move_on=None, rate=None, budget=None),
        two(rate={"requests": 600, "per": "second"}, budget={"usd": 25, "per": "month"}),
        two(rate={"tokens": 600.0, "requests": None, "per": "day"}, budget={"usd": 0.5, "per": "hour", "by": "user"}),
        good(state={"url_env": "LLMRING_STATE_URL", "on_failure": "closed", "more": 1}),
        good(state={"url_env": None, "on_failure": None}),
        good(state=None),
        good(providers={"groq": {"sdk": None, "base_url": "https://x", "headers": None, "other": 1}}),
    ],
)
def test_both_accept(data: Any) -> None:
    assert parses(data)
    VALIDATOR.validate(data)


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        good(version=1.0),
        good(version="2.0"),
        good(version="1.1"),
        good(version="1."),
        good(default_profile=""),
        good(default_profile=None),
        good(profiles=[]),
        good(profiles=None),
        good(profiles={"default": []}),
        good(profiles={"default": {}, "a b": {}}),
        good(profiles={"default": {"bindings": {}}}),
        good(profiles={"default": {"bindings": None}}),
        bound(models=["b:c"]),
        bound(alias="a"),
        bound(alias="a b", models=["b:c"]),
        bound(alias="", models=["b:c"]),
        bound(alias=1, models=["b:c"]),
        bound(alias="a", models="b:c"),
        bound(alias="a", models=[]),
        bound(alias="a", models=[1]),
        bound(alias="a", models=["gpt"]),
        bound(alias="a", models=["b:"]),
        bound(alias="a", models=[":c"]),
        bound(alias="a", models=["b: c"]),
        bound(alias="a", models=["b/x:c"]),
        bound(alias="a", models=None),
        bound(alias="a", model="c"),
        bound(alias="a", model=["b:c"]),
        bound(alias="a", model="c", provider=1),
        bound(alias="a", model="c", provider=""),
        bound(alias="a", models=["b:c"], params=[]),
        bound(alias="a", models=["b:c"], constraints=1),
        two(models=["b:c", {}]),
        two(models=["b:c", {"model": "b"}]),
        two(models=["b:c", {"model": "b:d", "params": []}]),
        two(split=[1, 1]),
        two(split={}),
        two(split={"weights": None}),
        two(split={"weights": [1, -1]}),
        two(split={"weights": [True, 1]}),
        two(split={"weights": [1, 1], "by": ""}),
        two(split={"weights": [1, 1], "generation": 1.5}),
        two(split={"weights": [1, 1], "generation": -1}),
        two(sticky=0),
        two(sticky="10 m"),
        two(sticky=True),
        two(hedge_after="p99"),
        two(deadline=-1),
        two(move_on=["refusal"]),
        two(move_on="empty"),
        two(on_refused_param="ask"),
        two(rate={"per": "minute"}),
        two(rate={"requests": 1}),
        two(rate={"requests": 0, "per": "minute"}),
        two(rate={"requests": 1.5, "per": "minute"}),
        two(rate={"requests": 1, "per": "month"}),
        two(budget={"usd": 1}),
        two(budget={"per": "day"}),
        two(budget={"usd": 0, "per": "day"}),
        two(budget={"usd": 1, "per": "minute"}),
        two(budget={"usd": 1, "per": "day", "by": ""}),
        two(budget={"usd": 1, "per": "day", "unpriced": "ask"}),
        good(state=[]),
        good(state={"url_env": "redis://x"}),
        good(state={"url_env": 1}),
        good(state={"url": "redis://x"}),
        good(state={"on_failure": "half"}),
        good(extends=[]),
        good(extends={"packages": "lib"}),
        good(extends={"packages": [1]}),
        good(extends={"packages": ["../lib"]}),
        good(extends={"packages": [""]}),
        good(providers=[]),
        good(providers={"a:b": {}}),
        good(providers={"a/b": {}}),
        good(providers={"a": 1}),
        good(providers={"a": {"sdk": 1}}),
        good(providers={"a": {"api": []}}),
        good(providers={"a": {"api": "response"}}),
        good(providers={"a": {"api": "Chat"}}),
        good(providers={"a": {"base_url": "api.groq.com"}}),
        good(providers={"a": {"headers": []}}),
        good(providers={"a": {"headers": {"x": 1}}}),
    ],
)
def test_both_refuse(data: Any) -> None:
    assert not parses(data)
    assert not VALIDATOR.is_valid(data)


def test_it_names_all_that_the_model_has() -> None:
    schema = json_schema()
    forms = schema["$defs"]
    of_policy = {it.name for it in fields(Policy)} - {"params"}
    assert set(forms["binding"]["properties"]) == ({it.name for it in fields(Binding)} | of_policy) - {
        "extra",
        "policy",
    }
    for name, form in {"split": Split, "rate": Rate, "budget": Budget}.items():
        assert set(forms[name]["properties"]) == {it.name for it in fields(form)}
    assert set(forms["state"]["properties"]) == {it.name for it in fields(StateSettings)} | {"url"}
    assert forms["binding"]["properties"]["move_on"]["items"]["enum"] == [*MOVES]
    assert forms["rate"]["properties"]["per"]["enum"] == [*PERIODS]
    assert set(forms["provider"]["properties"]) == {it.name for it in fields(ProviderSettings)} - {"extra"}
    assert set(forms["profile"]["properties"]) == {it.name for it in fields(Profile)}
    assert set(schema["properties"]) == {"version", *(it.name for it in fields(Lockfile))} - {"path", "is_json", "data"}
    assert forms["provider"]["properties"]["api"]["enum"] == [*APIS, None]
    assert schema["properties"]["version"]["default"] == VERSION
    assert schema["properties"]["default_profile"]["default"] == DEFAULT_PROFILE


def test_the_params_that_it_offers_are_those_of_a_request() -> None:
    offered = json_schema()["$defs"]["binding"]["properties"]["params"]["properties"]
    assert set(offered) <= set(LLMRequest.model_fields)


def test_its_patterns_mean_the_same_to_an_editor() -> None:
    """Editors take patterns as JavaScript or Rust does: nothing of Python's own in them, such as (?P<...>) or \\Z."""
    for pattern in re.findall(r'"pattern": "((?:\\.|[^"\\])*)"', rendered()):
        assert not re.search(r"\(\?|\\[ZApPdwbB]", json.loads(f'"{pattern}"')), pattern
