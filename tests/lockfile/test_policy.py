"""The keys of a binding that say how it is served: read, refused with the place and the reason, kept by every edit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmring.exceptions import ConfigurationError, LockfileParseError
from llmring.lockfile import (
    Budget,
    Lockfile,
    Policy,
    Rate,
    Split,
    StateSettings,
    bind,
    copy_profile,
    load,
    parse,
    replace_models,
)
from llmring.lockfile.rendering import converted

Write = Callable[..., Path]

HEAD = 'version = "1.0"\n[[profiles.default.bindings]]\nalias = "a"\n'
ONE, TWO = HEAD + 'models = ["x:y"]\n', HEAD + 'models = ["x:y", "x:z"]\n'
ALL = (
    HEAD
    + """\
models = ["x:y", { model = "x:z", params = { reasoning_effort = "low" } }]
params = { temperature = 0.3 }
split = { weights = [90, 10], by = "user" }
sticky = "10m"
hedge_after = 2.5
deadline = 30
move_on = ["content_filter", "empty", "context_length"]
on_refused_param = "drop"
rate = { requests = 600, tokens = 400_000, per = "minute" }
budget = { usd = 25.0, per = "day" }

[state]
url_env = "LLMRING_STATE_URL"
on_failure = "closed"
"""
)


def policy(text: str) -> Policy | None:
    return parse(text.encode()).profile().bindings["a"].policy


def test_every_key_is_read() -> None:
    lockfile = parse(ALL.encode())
    assert lockfile.profile().bindings["a"].models == ("x:y", "x:z")
    found = policy(ALL)
    assert found == Policy(
        params={"x:z": {"reasoning_effort": "low"}},
        split=Split((90.0, 10.0), "user"),
        sticky=600.0,
        hedge_after=2.5,
        deadline=30.0,
        move_on=("content_filter", "empty", "context_length"),
        on_refused_param="drop",
        rate=Rate(600, 400_000, "minute"),
        budget=Budget(25.0, "day"),
    )
    assert found is not None
    assert all(getattr(found, it.name) != getattr(Policy(), it.name) for it in fields(Policy))
    assert lockfile.state == StateSettings("LLMRING_STATE_URL", "closed")
    assert lockfile.profile().bindings["a"].extra == {}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('split = { weights = [1, 0], generation = 3, note = "x" }', Policy(split=Split((1.0, 0.0), None, 3))),
        ('sticky = "90s"', Policy(sticky=90.0)),
        ('sticky = "250ms"', Policy(sticky=0.25)),
        ('sticky = "1.5h"', Policy(sticky=5400.0)),
        ('sticky = "2d"', Policy(sticky=172800.0)),
        ("sticky = 7", Policy(sticky=7.0)),
        ('hedge_after = "p95"', Policy(hedge_after="p95")),
        ('hedge_after = "500ms"', Policy(hedge_after=0.5)),
        ('move_on = ["empty", "empty"]', Policy(move_on=("empty",))),
        ('rate = { tokens = 5.0, per = "day" }', Policy(rate=Rate(None, 5, "day"))),
        (
            'budget = { usd = 1, per = "month", by = "team", unpriced = "allow" }',
            Policy(budget=Budget(1.0, "month", "team", "allow")),
        ),
        ('on_refused_param = "error"', None),
        ("move_on = []", None),
        ("constraints = { max_cost = 1 }", None),
    ],
)
def test_each_form_of_a_value(said: str, expected: Policy | None) -> None:
    assert policy(TWO + said) == expected


def test_shares_are_parts_of_one() -> None:
    assert Split((90.0, 10.0)).shares == (0.9, 0.1)
    assert Rate(1, None, "hour").seconds == 3600.0


@pytest.mark.parametrize(
    ("constraints", "rate"),
    [
        ("{ rate = { requests = 5, per = 'minute' } }", Rate(5, None, "minute")),
        ("{ rate_limit = { tokens = 7, per = 'day' }, max_cost = 3 }", Rate(None, 7, "day")),
        ("{ requests_per_minute = 60, tokens_per_minute = 900 }", Rate(60, 900, "minute")),
        ("{ rpm = 60 }", Rate(60, None, "minute")),
        ("{ tpd = 1_000_000 }", Rate(None, 1_000_000, "day")),
        # 1.x never said what may stand there, so nothing in it is an error.
        ("{ rpm = 'many', tpm = 0 }", None),
        ("{ rate = 'high', rate_limit = 3 }", None),
        ("{ rate = { requests = -1 } }", None),
        ("{ temperature = 0.2, max_tokens = 500 }", None),
        ("{}", None),
    ],
)
def test_the_constraints_of_early_files_are_read_as_a_rate(constraints: str, rate: Rate | None) -> None:
    found = policy(f"{ONE}constraints = {constraints}")
    assert (found.rate if found is not None else None) == rate


def test_a_rate_of_its_own_counts_before_early_constraints() -> None:
    found = policy(ONE + "constraints = { rpm = 3 }\nrate = { requests = 4, per = 'hour' }")
    assert found == Policy(rate=Rate(4, None, "hour"))


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        (HEAD + "models = [{}]", 4, 11, 'This model has no name. Write: { model = "provider:model", params'),
        (HEAD + "models = ['x:y', { model = 'z' }]", 4, 28, "names no provider"),
        (HEAD + "models = ['x:y', { model = 'x:z', params = 1 }]", 4, 44, "params must be a table, not a number"),
        (HEAD + "models = ['x:y', 3]", 4, 18, "A model must be a string, not a number"),
        (HEAD + "models = ['x:y', { model = 'x:y', params = { seed = 1 } }]", 4, 18, '"x:y" stands here twice'),
        (HEAD + "models = ['x:y', 'x:y']\nsplit.weights = [1, 1]", 4, 18, '"x:y" stands here twice'),
        (TWO + "split = [9, 1]", 5, 9, "split must be a table, not a list"),
        (TWO + "split = {}", 5, 9, "split has no weights. Write one for each model, as in: weights = [90, 10]"),
        (TWO + "split = { weights = 9 }", 5, 21, "weights must be a list, not a number"),
        (TWO + "split = { weights = [9] }", 5, 21, "split has 1 weight for 2 models. Write one for each"),
        (ONE + "split = { weights = [9, 1] }", 5, 21, "split has 2 weights for 1 model. Write one for each"),
        (ONE + "split = { weights = [9] }", 5, 21, "this alias has one. Add another, or take it out"),
        (TWO + "split = { weights = [9, -1] }", 5, 25, "A weight must be a number, 0 or more"),
        (TWO + "split = { weights = [9, true] }", 5, 25, "A weight must be a number, 0 or more"),
        (TWO + "split = { weights = [9, nan] }", 5, 25, "A weight must be a number, 0 or more"),
        (TWO + "split = { weights = [0, 0.0] }", 5, 21, "The weights must have a sum above 0"),
        (TWO + "split = { weights = [1e308, 1e308] }", 5, 21, "The weights must have a sum above 0"),
        (TWO + "split = { weights = [1, 1], by = 3 }", 5, 34, "by must be a string, not a number"),
        (TWO + "split = { weights = [1, 1], by = '' }", 5, 34, "by is empty. Write a key of the requests' metadata"),
        (TWO + "split = { weights = [1, 1], generation = 0.5 }", 5, 42, "generation must be a whole number"),
        (TWO + "sticky = '10 minutes'", 5, 10, 'sticky is "10 minutes". Write seconds above 0, or a time as in "30s"'),
        (TWO + "sticky = 0", 5, 10, 'sticky is "0". Write seconds above 0'),
        (TWO + "sticky = false", 5, 10, "sticky is a boolean. Write seconds above 0"),
        (TWO + "sticky = inf", 5, 10, 'sticky is "inf". Write seconds above 0'),
        (TWO + "sticky = '0s'", 5, 10, "Write seconds above 0"),
        (ONE + "sticky = 1", 5, 10, "sticky needs a stand-by, and this alias has one model"),
        (ONE + "hedge_after = 'p95'", 5, 15, "hedge_after needs a stand-by, and this alias has one model"),
        (ONE + "move_on = ['empty']", 5, 11, "move_on needs a stand-by, and this alias has one model"),
        (TWO + "hedge_after = 'p99'", 5, 15, 'as in "30s", "10m", "1h", or "p95"'),
        (TWO + "hedge_after = 30\ndeadline = '30s'", 5, 15, "hedge_after (30 s) would never come before the deadline"),
        (ONE + "deadline = []", 5, 12, "deadline is a list. Write seconds above 0"),
        (ONE + "deadline = 3\nparams = { deadline = 4 }", 5, 12, "deadline stands in params, too. Keep one"),
        (TWO + "move_on = 'empty'", 5, 11, "move_on must be a list, not a string"),
        (TWO + "move_on = ['empty', 'refusal']", 5, 21, 'It may name: "content_filter", "empty", "context_length"'),
        (TWO + "move_on = [[]]", 5, 12, "move_on names a list"),
        (ONE + "on_refused_param = true", 5, 20, 'is a boolean. Write: on_refused_param = "error" or'),
        (ONE + "on_refused_param = 'warn'", 5, 20, 'is "warn". Write: on_refused_param = "error" or on_refused_'),
        (ONE + "rate = 5", 5, 8, "rate must be a table, not a number"),
        (ONE + "rate = { per = 'minute' }", 5, 8, "rate bounds nothing. Write requests, tokens or both"),
        (ONE + "rate = { requests = 5 }", 5, 8, 'rate does not say in which time. Write: per = "second" or per ='),
        (ONE + "rate = { requests = 0, per = 'day' }", 5, 21, "requests must be a whole number, 1 or more"),
        (ONE + "rate = { tokens = 1.5, per = 'day' }", 5, 19, "tokens must be a whole number, 1 or more"),
        (ONE + "rate = { tokens = 5, per = 'month' }", 5, 28, 'per is "month". Write: per = "second" or'),
        (ONE + "budget = 5", 5, 10, "budget must be a table, not a number"),
        (ONE + "budget = { per = 'day' }", 5, 10, "budget names no sum. Write US dollars, as in: usd = 25.0"),
        (ONE + "budget = { usd = 0, per = 'day' }", 5, 18, "usd must be a number of US dollars above 0"),
        (ONE + "budget = { usd = 1 }", 5, 10, 'budget does not say in which time. Write: per = "hour" or per = "day"'),
        (ONE + "budget = { usd = 1, per = 'minute' }", 5, 27, 'per is "minute". Write: per = "hour"'),
        (ONE + "budget = { usd = 1, per = 'day', unpriced = 'ok' }", 5, 45, 'unpriced is "ok". Write: unpriced = "ref'),
        ('version = "1.0"\nstate = 1', 2, 9, "state must be a table, not a number"),
        ('version = "1.0"\n[state]\nurl = "redis://h"', 3, 7, "The address of a store may hold a password, and is not"),
        ('version = "1.0"\n[state]\nurl_env = "redis://h"', 3, 11, "it is the name of an environment variable"),
        ('version = "1.0"\n[state]\non_failure = "shut"', 3, 14, 'on_failure is "shut". Write: on_failure = "open" or'),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(text: str, line: int, column: int, says: str) -> None:
    with pytest.raises(LockfileParseError) as caught:
        parse(text.encode())
    assert says in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_file_without_such_keys_does_not_load_their_module(tmp_path: Path) -> None:
    path = tmp_path / "llmring.lock"
    path.write_text(TWO)
    code = (
        "import sys; from llmring.lockfile import load, resolve; resolve(load(sys.argv[1]), 'a'); "
        "print('llmring.lockfile.policy' in sys.modules)"
    )
    found = []
    for text in (TWO, TWO + "sticky = 5"):
        path.write_text(text)
        found.append(subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True).stdout.strip())
    assert found == [b"False", b"True"]


def test_edits_keep_all_of_it(write: Write) -> None:
    path = write(ALL)
    before = path.read_text()
    bind(path, "a", ["x:z", "x:new"])
    assert path.read_text() == before.replace(
        'models = ["x:y", { model = "x:z", params = { reasoning_effort = "low" } }]',
        'models = [{ model = "x:z", params = { reasoning_effort = "low" } }, "x:new"]',
    )
    replace_models(path, {"x:z": "x:z2"})
    assert 'models = [{ model = "x:z2", params = { reasoning_effort = "low" } }, "x:new"]' in path.read_text()
    copy_profile(path, "default", "dev")
    lockfile = load(path)
    assert lockfile.profile("dev").bindings == lockfile.profile().bindings
    assert 'rate = { requests = 600, tokens = 400000, per = "minute" }' in path.read_text()


def test_models_on_lines_of_their_own_keep_what_is_said_about_them(write: Write) -> None:
    listed = """models = [
    "x:y",  # the first
    { model = "x:z", params = { seed = 1 } },  # the second
]
"""
    path = write(HEAD + listed)
    bind(path, "a", ["x:z", "x:y", "x:new"])
    assert path.read_text() == HEAD + (
        'models = [\n    { model = "x:z", params = { seed = 1 } },  # the second\n    "x:y",  # the first\n'
        '    "x:new",\n]\n'
    )
    replace_models(path, {"x:z": "x:w"})
    assert '    { model = "x:w", params = { seed = 1 } },  # the second\n' in path.read_text()


@pytest.mark.parametrize(
    ("said", "models", "says"),
    [
        ("split.weights = [9, 1]", ["x:y"], "split has 2 weights for 1 model"),
        ("split.weights = [9, 1]", ["x:y", "x:z", "x:w"], "split has 2 weights for 3 models"),
        ("hedge_after = 2", ["x:z"], "hedge_after needs a stand-by"),
        ("sticky = 2", ["x:z"], "sticky needs a stand-by"),
    ],
)
def test_an_edit_that_would_make_no_sense_is_told_why(write: Write, said: str, models: list[str], says: str) -> None:
    path = write(TWO + said)
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=says) as caught:
        bind(path, "a", models)
    assert str(caught.value).startswith(f'The binding of "a" in {path} would make no sense after this edit')
    assert path.read_bytes() == before


def test_weights_are_bound_changed_and_taken_away(write: Write) -> None:
    path = write(f'{TWO}split = {{ weights = [9, 1], by = "user" }}  # a canary\n')
    bind(path, "a", ["x:y", "x:z", "x:w"], weights=[8, 1, 1])
    assert path.read_text() == TWO.replace('"x:z"]', '"x:z", "x:w"]') + (
        'split = { weights = [8, 1, 1], by = "user" }  # a canary\n'
    )
    bind(path, "a", ["x:y"], weights=())
    assert path.read_text() == ONE
    bind(path, "a", ["x:y", "x:z"], weights=[1, 2.5])
    assert policy(path.read_text()) == Policy(split=Split((1.0, 2.5)))
    bind(path, "b", ["x:y", "x:z"], weights=[1, 1])
    assert load(path).profile().bindings["b"].policy == Policy(split=Split((1.0, 1.0)))
    with pytest.raises(ConfigurationError, match=r"split has 1 weight for 2 models.*--split none"):
        bind(path, "b", ["x:y", "x:z"], weights=[1])


def test_an_edit_of_models_that_collapse_is_told_why(write: Write) -> None:
    path = write(TWO + "split.weights = [9, 1]")
    with pytest.raises(ConfigurationError, match="split has 2 weights for 1 model"):
        replace_models(path, {"x:z": "x:y"})


def test_a_model_that_takes_the_place_of_one_with_params_keeps_its_own_form(write: Write) -> None:
    path = write(HEAD + 'models = ["x:y", { model = "x:z", params = { seed = 1 } }]\n')
    replace_models(path, {"x:z": "x:y"})
    assert path.read_text() == HEAD + 'models = ["x:y"]\n'


names = st.sampled_from(["x:a", "x:b", "y:c", "y:d"])
params = st.dictionaries(st.sampled_from(["seed", "top_p", "x y"]), st.integers(0, 3), max_size=2)
items = st.one_of(
    names,
    st.builds(lambda name, own: {"model": name, "params": own}, names, params),
    names.map(lambda it: {"model": it}),
)


def name_of(item: Any) -> str:
    return str(item["model"] if isinstance(item, dict) else item)


lists = st.lists(items, min_size=1, max_size=4, unique_by=name_of)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    listed=lists, new=st.lists(names, min_size=1, max_size=4, unique=True), airy=st.booleans(), to_json=st.booleans()
)
def test_own_params_go_where_their_model_goes(
    tmp_path: Path, listed: list[Any], new: list[str], airy: bool, to_json: bool
) -> None:
    data = {"version": "1.0", "profiles": {"default": {"bindings": [{"alias": "a", "models": listed, "sticky": None}]}}}
    path = tmp_path / "llmring.lock"
    written = converted(data, to_json=to_json)
    text = written.text
    if airy and not to_json:
        text = re.sub(r"^models = \[(.*)\]$", r"models = [ # all\n    \1 # last\n]", text, flags=re.MULTILINE)
    path.write_text(text)
    before = load(path)
    bind(path, "a", new)
    after = load(path).profile().bindings["a"]
    assert after.models == tuple(new)
    own: dict[str, Any] = {name_of(it): it["params"] for it in listed if isinstance(it, dict) and it.get("params")}
    assert dict(after.policy.params if after.policy else {}) == {name: own[name] for name in new if name in own}
    bind(path, "a", list(before.profile().bindings["a"].models))
    kept = {name: own[name] for name in map(name_of, listed) if name in own and name in new}
    again = load(path).profile().bindings["a"]
    assert dict(again.policy.params if again.policy else {}) == kept


@settings(max_examples=50, deadline=None, derandomize=True)
@given(listed=lists)
def test_it_is_the_same_in_both_formats(listed: list[Any]) -> None:
    raw = {**json.loads(json.dumps(parse(ALL.encode()).data["profiles"]["default"]["bindings"][0]))}
    if len(listed) > 1:
        raw |= {"models": listed, "split": {"weights": [1] * len(listed)}}
    data = {"version": "1.0", "profiles": {"default": {"bindings": [raw]}}}
    files: list[Lockfile] = [parse(converted(data, to_json=it).text.encode()) for it in (True, False)]
    assert files[0] == files[1]
    assert files[0].data == files[1].data == data
