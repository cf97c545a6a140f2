"""A vendor as data: what may be said of one, and what is said of what may not."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmring.dialects import PARAMETERS, ChatDialect, Dialect, Words
from llmring.exceptions import ConfigurationError
from llmring.vendors import VENDORS, load
from llmring.wire.chat_requests import dialect_of

ACME: dict[str, Any] = {
    "source": "https://acme.example/docs",
    "sdk": "openai",
    "base_url": "https://api.acme.example/v1",
    "key_variables": ["ACME_API_KEY"],
    "hosts": ["eu.acme.example"],
    "chat": {"source": "the same", "max_tokens": "most", "call_id": "[a-z]{9}", "refuses": ["seed"]},
    "words": [{"means": "no_model", "source": "seen", "codes": ["gone"], "words": ["no such * here"]}],
    "statuses": {"busy": 529},
    "parameters": {"max_tokens": ["most"]},
    "sources": {"statuses": "seen", "parameters": "the same"},
}


def test_code_and_a_file_say_the_same() -> None:
    said = Dialect(
        "acme",
        source="https://acme.example/docs",
        sdk="openai",
        base_url="https://api.acme.example/v1",
        key_variables=["ACME_API_KEY"],
        hosts=["eu.acme.example"],
        chat=ChatDialect(source="the same", max_tokens="most", call_id="[a-z]{9}", refuses=["seed"]),
        words=[Words("no_model", source="seen", codes=["gone"], words=["no such * here"])],
        statuses={"busy": 529},
        parameters={"max_tokens": ["most"]},
        sources={"statuses": "seen", "parameters": "the same"},
    )
    read = Dialect.from_data("acme", json.loads(json.dumps(ACME)))
    assert said == read
    assert hash(said) == hash(read)
    assert pickle.loads(pickle.dumps(said)) == said == deepcopy(said)
    assert replace(said, base_url="https://other.example") != said


def test_what_is_not_said() -> None:
    plain = Dialect("acme")
    assert (plain.sdk, plain.base_url, plain.key_variables, plain.needs_key) == (None, None, (), False)
    assert Dialect("acme", key_variables=["A_KEY"]).needs_key is True
    assert Dialect("acme", key_variables=["A_KEY"], needs_key=False).needs_key is False


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("https://api.acme.example/v1", True),
        ("https://api.acme.example/other", True),
        ("https://eu.acme.example", True),
        ("https://deep.eu.acme.example/v1", True),
        ("http://eu.acme.example", False),
        ("http://api.acme.example/v1", False),
        ("https://acme.example", False),
        ("https://api.acme.example.evil.example", False),
        ("https://evil.example/api.acme.example", False),
        ("", False),
        (None, False),
    ],
)
def test_whose_place_an_address_is(address: str | None, own: bool) -> None:
    assert Dialect.from_data("acme", ACME).is_at(address) is own


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a field that is none": ({"base_ulr": "https://x.example"}, 'no field "base_ulr". Did you mean base_url?'),
    "one of chat that is none": (
        {"chat": {"max_token": "x"}},
        'chat has no field "max_token". Did you mean max_tokens?',
    ),
    "one of words that is none": ({"words": [{"means": "no_model", "word": ["x"]}]}, 'words has no field "word"'),
    "chat that is no table": ({"chat": "x"}, 'chat is "x"; it takes a table'),
    "words that mean nothing": ({"words": [{"words": ["x"]}]}, "words must say 'means'"),
    "words that mean something else": ({"words": [{"means": "sad", "words": ["x"]}]}, 'words mean "sad"'),
    "words that are none": ({"words": [{"means": "no_model"}]}, "name codes or words"),
    "words in capitals": ({"words": [{"means": "no_model", "words": ["No Model"]}]}, 'holds "No Model"'),
    "words of everything": ({"words": [{"means": "no_model", "words": ["*"]}]}, 'holds "*"'),
    "words for a good status": ({"words": [{"means": "no_model", "words": ["x"], "statuses": [200]}]}, 'holds "200"'),
    "text for a list": ({"key_variables": "ACME_API_KEY"}, 'key_variables is "ACME_API_KEY"; it takes a list'),
    "a variable that is none": ({"key_variables": ["ACME API KEY"]}, "cannot name an environment variable"),
    "a key for its variable": (
        {"key_variables": ["sk-" + "a1" * 20]},
        "(a secret, not shown) cannot name an environment variable",
    ),
    "no variable for a key": ({"needs_key": True}, "it needs a key, and key_variables names no variable"),
    "an address that is none": ({"base_url": "api.acme.example"}, "base_url is no URL to ask"),
    "an address with a password": ({"base_url": "https://me:secret@acme.example"}, "or holds a password"),
    "a host with a scheme": ({"hosts": ["https://acme.example"]}, "write a host in lower case"),
    "an api that is none": ({"api": "messages"}, 'api is "messages"; it takes chat or responses'),
    "a status that is none": ({"statuses": {"fine": 200}}, 'statuses holds "200"'),
    "a word in capitals": ({"statuses": {"BUSY": 529}}, 'statuses holds "BUSY"; write it as text in lower case'),
    "a parameter that is none": ({"parameters": {"heat": ["heat"]}}, 'parameters holds "heat", which is none of'),
    "a parameter's word that is no list": ({"parameters": {"seed": "random"}}, "parameters.seed is"),
    "no expression": ({"chat": {"call_id": "["}}, "chat.call_id is no regular expression"),
    "a length of nothing": ({"chat": {"id_length": 0}}, "chat.id_length"),
    "a word for yes": ({"chat": {"schemas": "yes"}}, 'chat.schemas is "yes"; it is true or false'),
    "a word for no": ({"local": "no"}, 'local is "no"; it is true or false'),
    "a number for text": ({"start": 3}, 'start is "3"; it takes text'),
    "a word for a port": ({"port": "http"}, "port a number"),
    "a status of a number": ({"statuses": {5: 500}}, 'statuses holds "5"'),
    "a number for a name": ({"chat": {"seed": 3}}, 'chat.seed is "3"; it takes text'),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said(wrong: str) -> None:
    row, said = WRONG[wrong]
    with pytest.raises(ConfigurationError) as found:
        Dialect.from_data("acme", row)
    assert said in str(found.value)
    assert "'acme'" in str(found.value)
    assert "secret@" not in str(found.value)


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "a b", " a", "a\n", 3, None])
def test_a_name_that_is_none(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a provider"):
        Dialect(name)


def test_parts_of_other_kinds_are_refused_where_they_are_given() -> None:
    with pytest.raises(ConfigurationError, match=r"chat is .*Dialect\.from_data"):
        Dialect("acme", chat={"max_tokens": "most"})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"words holds .*Dialect\.from_data"):
        Dialect("acme", words=[{"means": "no_model"}])  # type: ignore[list-item]


_VALUES = st.recursive(st.none() | st.integers() | st.text(), st.lists)


@given(st.dictionaries(st.sampled_from([*(it.name for it in fields(Dialect)), "x"]), _VALUES))
def test_whatever_is_in_a_file_it_is_read_or_said_what_is_wrong(row: dict[str, Any]) -> None:
    said: list[object] = []
    for _ in range(2):
        try:
            said.append(Dialect.from_data("acme", row))
        except ConfigurationError as error:
            said.append(str(error))
    assert said[0] == said[1]
    assert "'acme'" in str(said[0])


@pytest.mark.parametrize(
    ("base_url", "host", "own"),
    [
        ("https://api.acme.example/v1", "api.acme.example", True),
        ("https://api.acme.example:8443/v1", "api.acme.example", True),
        ("https://api.acme.example/v1", "eu.api.acme.example", True),
        ("https://api.acme.example/v1", "acme.example", False),
        ("http://127.0.0.1:8000/v1", "127.0.0.1", False),
        ("http://[::1]:8000/v1", "::1", False),
        ("http://[fd00::2]:8000/v1", "fd00::2", True),
        (None, "api.acme.example", False),
    ],
)
def test_whose_host_it_is(base_url: str | None, host: str, own: bool) -> None:
    """This machine is nobody's own: several servers share it."""
    assert Dialect("acme", base_url=base_url).has_host(host) is own


def test_ways_are_found_by_host_before_the_name() -> None:
    acme = Dialect.from_data("acme", ACME)
    assert dialect_of("eu.acme.example", "x", acme) == acme.chat
    assert dialect_of("gateway.example", "x", acme) == acme.chat, "at an address that is nobody's, too"
    mistral = VENDORS["mistral"]
    assert dialect_of("api.mistral.ai", "acme", acme) == mistral.chat
    assert acme.chat is not None
    at_home_alone = replace(acme, chat=replace(acme.chat, by_name=False))
    assert dialect_of("gateway.example", "x", at_home_alone) == ChatDialect()


def test_the_parameters_are_those_of_requests() -> None:
    from llmring.schemas import LLMRequest

    assert {*PARAMETERS} <= {*LLMRequest.model_fields}


def test_each_row_is_read_by_the_code_of_all() -> None:
    for name in load("vendors.json"):
        assert VENDORS[name].name == name
