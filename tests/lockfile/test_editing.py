"""Edits of files as people write them: the whole text before and after."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmring.exceptions import AliasNotFoundError, ConfigurationError, LockfileNotFoundError, LockfileParseError
from llmring.lockfile import (
    Lockfile,
    add_profile,
    bind,
    copy_profile,
    create,
    load,
    remove_profile,
    replace_models,
    unbind,
)

Write = Callable[..., Path]
Edit = Callable[[Path], Lockfile]


def changed(before: str, after: str) -> list[str]:
    """The lines that went (`-`) and came (`+`)."""
    import difflib

    lines = difflib.ndiff(before.splitlines(keepends=True), after.splitlines(keepends=True))
    return [line for line in lines if line[0] in "+-"]


def edit(path: Path, function: Edit) -> list[str]:
    before = path.read_bytes().decode()
    lockfile = function(path)
    after = path.read_bytes().decode()
    assert lockfile.data == load(path).data
    return changed(before, after)


def test_rebinding_changes_one_line_and_keeps_what_else_is_on_it(write: Write, plain: str) -> None:
    path = write(plain)
    assert edit(path, lambda path: bind(path, "chatbot", ["openai:gpt-5"])) == [
        '- models = ["anthropic:claude-haiku-4-5", "openai:gpt-5-mini"]   # first serves\n',
        '+ models = ["openai:gpt-5"]   # first serves\n',
    ]
    assert load(path).profile().bindings["chatbot"].params == {"temperature": 0.3}


def test_rebinding_in_another_profile(write: Write, plain: str) -> None:
    assert edit(write(plain), lambda path: bind(path, "chatbot", ["openai:gpt-5"], profile="dev")) == [
        '- models = ["ollama:llama3.2"]\n',
        '+ models = ["openai:gpt-5"]\n',
    ]


def test_binding_what_is_bound_so_writes_nothing(write: Write, plain: str) -> None:
    path = write(plain)
    before = path.stat()
    bind(path, "chatbot", ["anthropic:claude-haiku-4-5", "openai:gpt-5-mini"], params={"temperature": 0.3})
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_a_new_alias_goes_below_its_profile(write: Write, plain: str) -> None:
    path = write(plain)
    assert edit(path, lambda path: bind(path, "sum.up:1", ["a:b", "c:d"], params={"top_p": 0.5, "stop": ["\n"]})) == [
        "+ [[profiles.default.bindings]]\n",
        '+ alias = "sum.up:1"\n',
        "+ models = [\n",
        '+     "a:b",\n',
        '+     "c:d",\n',
        "+ ]\n",
        '+ params = { top_p = 0.5, stop = ["\\n"] }\n',
        "+ \n",
    ]
    assert path.read_text().index("sum.up:1") < path.read_text().index("[profiles.dev]")


def test_a_new_profile_goes_below_the_others(write: Write, plain: str) -> None:
    path = write(plain + '\n[providers.groq]\nsdk = "openai"\n')
    assert edit(path, lambda path: bind(path, "a", ["x:y"], profile="p.1")) == [
        '+ [profiles."p.1"]\n',
        '+ name = "p.1"\n',
        "+ \n",
        '+ [[profiles."p.1".bindings]]\n',
        '+ alias = "a"\n',
        "+ models = [\n",
        '+     "x:y",\n',
        "+ ]\n",
        "+ \n",
    ]
    assert path.read_text().endswith('[providers.groq]\nsdk = "openai"\n')


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# below\n\n[x]\n", "# below\n\nNEW\n[x]\n"),
        ("# below\n# too\n", "# below\n# too\n\nNEW"),
        ("# of x\n[x]\n", "\nNEW\n# of x\n[x]\n"),
        ("[x]\n", "\nNEW\n[x]\n"),
        ("\n\n\n# of x\n[x]\n", "\nNEW\n\n\n# of x\n[x]\n"),
        ("[profiles.default.registry_versions]\nx = 1\n", "\nNEW\n[profiles.default.registry_versions]\nx = 1\n"),
        ("  [profiles.default.bindings.params]\n\n", "  [profiles.default.bindings.params]\n\nNEW\n"),
        ("", "\nNEW"),
    ],
)
def test_where_a_new_binding_goes(write: Write, before: str, after: str) -> None:
    head = 'version = "1.0"\n  [[profiles.default.bindings]]\n  alias = "a"\n  models = ["x:y"]'
    new = '  [[profiles.default.bindings]]\n  alias = "b"\n  models = [\n      "x:y",\n  ]\n'
    path = write(f"{head} # y\n{before}")
    bind(path, "b", ["x:y"])
    assert path.read_text() == f"{head} # y\n{after.replace('NEW', new, 1)}"
    path = write(head)
    bind(path, "b", ["x:y"])
    assert path.read_text() == f"{head}\n\n{new}"


SEVERAL_LINES = """\
version = "1.0"
[[profiles.default.bindings]]
alias = "a"
models = [  # as of spring
    # best first

    'x:1',  # cheap
    # never in the EU
    "x:2"   # slow
    ,
    "x:3",
    # last resort
]
"""


def test_comments_beside_models_go_where_the_models_go(write: Write) -> None:
    path = write(SEVERAL_LINES)
    assert edit(path, lambda path: bind(path, "a", ["x:1", "x:9", "x:3", "x:4"])) == [
        '+     "x:9",\n',
        "-     # never in the EU\n",
        '-     "x:2"   # slow\n',
        "-     ,\n",
        '+     "x:4",\n',
    ]
    assert edit(path, lambda path: bind(path, "a", ["x:1", "x:9"])) == ['-     "x:3",\n', '-     "x:4",\n']
    assert edit(path, lambda path: bind(path, "a", ["x:5", "x:1"])) == ['+     "x:5",\n', '-     "x:9",\n']
    assert edit(path, lambda path: bind(path, "a", ["x:8"])) == [
        '-     "x:5",\n',
        '+     "x:8",\n',
        "-     'x:1',  # cheap\n",
    ]


def test_models_that_change_places_take_their_comments_along(write: Write) -> None:
    path = write(SEVERAL_LINES)
    bind(path, "a", ["x:3", "x:2", "x:1"])
    assert (
        path.read_text().partition("models = ")[2]
        == """\
[  # as of spring
    # best first

    "x:3",
    # never in the EU
    "x:2",   # slow
    'x:1',  # cheap
    # last resort
]
"""
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('["x:1",  # one\n          "x:2"]  # all', '[\n          "x:2",\n          "x:1"  # one\n]  # all'),
        ('[\n  "x:1", "x:2", # two\n]', '[\n  "x:2", # two\n  "x:1",\n]'),
        ('[ # all\n    "x:1" # one\n  , "x:2" # two\n]', '[ # all\n  "x:2", # two\n    "x:1" # one\n]'),
        ('[\n  # one\n  "x:1",\n\n  # two\n  "x:2",\n]', '[\n  # two\n  "x:2",\n\n  # one\n  "x:1",\n]'),
        ('[\n  # all\n  "x:1",\n  "x:2",\n]', '[\n  # all\n  "x:2",\n  "x:1",\n]'),
    ],
)
def test_lists_of_every_shape_can_be_turned_round(write: Write, before: str, after: str) -> None:
    head = 'version = "1.0"\n[[profiles.default.bindings]]\nalias = "a"\nmodels = '
    for newline in ("\n", "\r\n"):
        path = write(f"{head}{before}\n".replace("\n", newline))
        bind(path, "a", ["x:2", "x:1"])
        assert path.read_bytes().decode() == f"{head}{after}\n".replace("\n", newline)


def test_what_takes_the_place_of_a_model_inherits_its_comments(write: Write) -> None:
    path = write(SEVERAL_LINES)
    assert edit(path, lambda path: replace_models(path, {"x:1": "x:new", "x:2": "x:3"})) == [
        "-     'x:1',  # cheap\n",
        '+     "x:new",  # cheap\n',
        '-     "x:2"   # slow\n',
        '+     "x:3",   # slow\n',
        "-     ,\n",
        '-     "x:3",\n',
    ]


@pytest.mark.parametrize(
    ("written", "after"),
    [
        ("params = { temperature = 0.3, top_k = 4 } # warm", "params = { top_p = 1 } # warm"),
        ("params.temperature = 0.3\nparams.top_k = 4", "params.top_p = 1"),
        (
            "[profiles.default.bindings.params]\ntemperature = 0.3\ntop_k = 4",
            "[profiles.default.bindings.params]\ntop_p = 1",
        ),
        ("[profiles.default.bindings.params.temperature]\nlow = 1", "params = { top_p = 1 }"),
    ],
)
def test_params_in_every_form(write: Write, written: str, after: str) -> None:
    head = 'version = "1.0"\n\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["x:y"]\n'
    tail = '\n# next\n[[profiles.default.bindings]]\nalias = "b"\nmodels = ["x:y"]\n'
    path = write(f"{head}{written}\n{tail}")
    bind(path, "a", ["x:z"])
    assert path.read_text() == f"{head}{written}\n{tail}".replace("x:y", "x:z", 1)
    bind(path, "a", ["x:y"], params=load(path).profile().bindings["a"].params)
    assert path.read_text() == f"{head}{written}\n{tail}"
    bind(path, "a", ["x:y"], params={"top_p": 1})
    assert path.read_text() == f"{head}{after}\n{tail}"
    bind(path, "a", ["x:y"], params={})
    assert path.read_text() == f"{head}{tail}"


def test_new_params_keep_the_comments_around_the_old_ones(write: Write) -> None:
    head = 'version = "1.0"\n\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["x:y"]\n'
    params = "# as measured in spring\n[profiles.default.bindings.params]\n"
    path = write(f"{head}{params}temperature = 0.3\n")
    bind(path, "a", ["x:y"], params={"top_p": 1})
    assert path.read_text() == f"{head}{params}top_p = 1\n"
    bind(path, "a", ["x:y"], params={})
    assert path.read_text() == f"{head}# as measured in spring\n"


PARAMS = """\
  [profiles.default.bindings.params] # ours
  # legal wants it calm
  temperature = 0.5  # not more
  "seed" = 1 # any
  stop = [
    "a", # first
    "b",
  ]
  extra.a = 1 # one
  extra.b = 2 # two
  [profiles.default.bindings.params.metadata] # who
  team = "x" # y
"""


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        ({"seed": 2}, '"seed" = 1', '"seed" = 2'),
        ({"seed": 1.0}, '"seed" = 1', '"seed" = 1.0'),
        ({"seed": None}, '  "seed" = 1 # any\n', ""),
        ({"temperature": None}, "  temperature = 0.5  # not more\n", ""),
        ({"top_p": 1}, "# two\n", "# two\n  top_p = 1\n"),
        ({"stop": ["b", "a"]}, '    "a", # first\n    "b",\n', '    "b",\n    "a", # first\n'),
        ({"stop": "a"}, '[\n    "a", # first\n    "b",\n  ]', '"a"'),
        ({"extra": {"a": 1, "b": 3}}, "b = 2", "b = 3"),
        ({"extra": {"a": 1}}, "  extra.b = 2 # two\n", ""),
        ({"extra": {"a": 1, "b": 2, "c d": 3}}, "# two\n", '# two\n  extra."c d" = 3\n'),
        ({"extra": 5}, "  extra.a = 1 # one\n  extra.b = 2 # two\n", "  extra = 5\n"),
        ({"metadata": {"team": "z"}}, '"x" # y', '"z" # y'),
        ({"metadata": {"team": "x", "a": 1}}, "# y\n", "# y\n  a = 1\n"),
        ({"metadata": {"team": "x", "deep": {"a": {"b": 2}}}}, "# y\n", "# y\n  deep = { a = { b = 2 } }\n"),
        ({"metadata": {"a": 1}}, 'team = "x" # y\n', "a = 1\n"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_params_in_a_table_change_key_by_key(
    write: Write, change: dict[str, Any], before: str, after: str, newline: str
) -> None:
    head = 'version = "1.0"\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["x:y"]\n'
    path = write((head + PARAMS).replace("\n", newline))
    params = {**load(path).profile().bindings["a"].params, **change}
    bind(path, "a", ["x:y"], params={key: value for key, value in params.items() if value is not None})
    assert path.read_bytes().decode() == (head + PARAMS.replace(before, after)).replace("\n", newline)


def test_params_whose_own_header_is_not_written_are_replaced(write: Write) -> None:
    head = 'version = "1.0"\n[[profiles.default.bindings]]\nalias = "a"\nmodels = ["x:y"]\n'
    path = write(f"{head}[profiles.default.bindings.params.metadata]\nteam = 1\n")
    bind(path, "a", ["x:y"], params={"metadata": {"team": 1}, "seed": 1})
    assert path.read_text() == f"{head}params = {{ metadata = {{ team = 1 }}, seed = 1 }}\n"


def test_new_params_are_one_line_wherever_the_binding_is_copied_to(write: Write, plain: str) -> None:
    path = write(plain)
    bind(path, "a", ["x:y"], profile="new", params={"metadata": {"a b": [1, {}]}})
    copy_profile(path, "new", "copy")
    line = 'params = { metadata = { "a b" = [1, {}] } }\n'
    assert path.read_text().count(line) == 2


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1E400", "-1e999"])
def test_json_with_a_number_that_is_not_finite_is_refused(write: Write, number: str) -> None:
    text = f'{{\n  "version": "1.0", "note": "{number}",\n  "odd": [1e5, {number}]\n}}\n'
    path = write(text)
    with pytest.raises(LockfileParseError, match=f":3:16: {number} is no finite number"):
        bind(path, "a", ["x:y"])
    assert path.read_text() == text


def test_params_in_an_inline_table_with_dotted_keys(write: Write) -> None:
    bindings = 'bindings = [{ alias = "a", params.x = 1, params.y = 2, models = ["x:y"] }]'
    text = f'version = "1.0"\n[profiles.default]\n{bindings}\n'
    path = write(text)
    bind(path, "a", ["x:y"], params={"z": 3})
    assert path.read_text() == text.replace("params.x = 1, params.y = 2, ", "").replace(
        "] }]", "], params = { z = 3 } }]"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("bindings = []", 'bindings = [\n    { alias = "n", models = ["x:y"] },\n]'),
        ("bindings = [ # none yet\n]", 'bindings = [ # none yet\n    { alias = "n", models = ["x:y"] },\n]'),
        (
            'bindings = [{ alias = "a", models = ["a:b"] }]',
            'bindings = [{ alias = "a", models = ["a:b"] }, { alias = "n", models = ["x:y"] }]',
        ),
        (
            'bindings = [{ alias = "a", models = ["a:b"] }, ] # all',
            'bindings = [{ alias = "a", models = ["a:b"] }, { alias = "n", models = ["x:y"] }, ] # all',
        ),
        (
            'bindings = [\n\t{ alias = "a", models = ["a:b"] }, # one\n\t# more to come\n]',
            'bindings = [\n\t{ alias = "a", models = ["a:b"] }, # one\n\t{ alias = "n", models = ["x:y"] },\n'
            "\t# more to come\n]",
        ),
        (
            'bindings = [\n  { alias = "a", models = ["a:b"] } # one\n]',
            'bindings = [\n  { alias = "a", models = ["a:b"] }, # one\n  { alias = "n", models = ["x:y"] }\n]',
        ),
        (
            'bindings = [\n  { alias = "a", models = ["a:b"] }\n, { alias = "b", models = ["a:b"] }\n]',
            'bindings = [\n  { alias = "a", models = ["a:b"] }\n'
            ', { alias = "b", models = ["a:b"] }, { alias = "n", models = ["x:y"] }\n]',
        ),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_arrays_of_inline_tables(write: Write, before: str, after: str, newline: str) -> None:
    def text(bindings: str) -> str:
        return f'version = "1.0"\n[profiles.default]\n{bindings}\nname = "default"\n'.replace("\n", newline)

    path = write(text(before))
    bind(path, "n", ["x:y"])
    assert path.read_bytes().decode() == text(after)
    unbind(path, "n")
    assert load(path).data == load(write(text(before), "before.lock")).data


@pytest.mark.parametrize(
    "text",
    [
        'version = "1.0"\nprofiles = { default = { name = "default" } }\n',
        'version = "1.0"\nprofiles = {}\n',
        'version = "1.0"\n[profiles]\ndefault = { bindings = [] }\n',
        'version = "1.0"\nprofiles.default.name = "default"\nother = 1\n\n[providers.x]\nsdk = "openai"\n',
        'version = "1.0"\nprofiles.default.bindings = []\nother = 1\n',
        'version = "1.0"\n[profiles]\n[profiles.default]\n[x]\n[profiles.default.registry_versions]\nopenai = 1\n[y]\n',
        'version = "1.0" # no newline at the end',
        'version = "1.0"\n# a comment at the end, without newline',
        '{"version": "1.0"}',
        '{"version": "1.0", "profiles": {}}',
        '{\n\t"version": "1.0",\n\t"profiles": {\n\t\t"default": {}\n\t}\n}',
    ],
)
def test_a_profile_in_any_form_takes_a_binding(write: Write, text: str) -> None:
    path = write(text)
    before = load(path)
    bind(path, "n", ["x:y"], params={"temperature": 1})
    bind(path, "m", ["x:y"])
    bind(path, "n", ["x:z"], profile="dev")
    lockfile = load(path)
    assert {alias: binding.models for alias, binding in lockfile.profile().bindings.items()} == {
        "n": ("x:y",),
        "m": ("x:y",),
    }
    assert lockfile.profile().bindings["n"].params == {"temperature": 1}
    assert lockfile.profile("dev").bindings["n"].models == ("x:z",)
    unbind(path, "n")
    unbind(path, "m")
    unbind(path, "n", profile="dev")
    remove_profile(path, "dev")
    left, was = dict(load(path).data), dict(before.data)
    assert {**left, "profiles": 0} == {**was, "profiles": 0}
    assert list(load(path).profile().bindings) == []


def test_early_bindings_are_rewritten_when_they_are_bound_anew(write: Write) -> None:
    path = write("""\
version = "1.0"
[[profiles.default.bindings]]
alias = "a"
provider = "openai"
model = "gpt-4" # old
constraints = { max = 1 }
""")
    assert edit(path, lambda path: bind(path, "a", ["openai:gpt-5"])) == [
        '- provider = "openai"\n',
        '- model = "gpt-4" # old\n',
        '+ models = ["openai:gpt-5"] # old\n',
    ]
    bindings = '[{"alias": "a", "models": null, "provider": null, "model": "x:y"}]'
    text = f'{{"version": "1.0", "profiles": {{"default": {{"bindings": {bindings}}}}}}}'
    path = write(text)
    bind(path, "a", ["x:z"])
    assert path.read_text() == text.replace('"models": null, "provider": null, "model": "x:y"', '"models": ["x:z"]')


def test_unbinding_takes_the_binding_and_the_comments_that_touch_it_from_above(write: Write) -> None:
    text = """\
version = "1.0"

# ours
[[profiles.default.bindings]]
alias = "a"
models = ["x:y"]

# theirs
[[profiles.default.bindings]]
alias = "b" # b
models = ["x:y"]
[profiles.default.bindings.params]
temperature = 1
# that was b

[[profiles.default.bindings]]
alias = "c"
models = ["x:y"]
"""
    path = write(text)
    unbind(path, "b")
    assert (
        path.read_text()
        == """\
version = "1.0"

# ours
[[profiles.default.bindings]]
alias = "a"
models = ["x:y"]

# that was b

[[profiles.default.bindings]]
alias = "c"
models = ["x:y"]
"""
    )
    unbind(path, "a")
    unbind(path, "c")
    assert path.read_text() == 'version = "1.0"\n\n[profiles.default]\n\n# that was b\n'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("# far\n\n  # near\n# nearer\nBOUND # beside\n# below\n", "# far\n\n# below\n"),
        ("# near\r\nBOUND\r\n\r\n# far\r\n", "# far\r\n"),
        ('note = """\n# no comment"""\nBOUND\n', 'note = """\n# no comment"""\n'),
        ("x = 1 # of x\nBOUND\n", "x = 1 # of x\n"),
        ("BOUND\n# of params\n[profiles.default.bindings.params]\na = 1\n", ""),
        ("[profiles.default]\nbindings = [ # all\n  # near\n  INLINE, # beside\n]\n", None),
        ("[profiles.default]\nbindings = [\n  # far\n\n  # near\n  INLINE\n  # below\n]\n", None),
    ],
)
def test_which_comments_go_with_a_binding(write: Write, text: str, left: str | None) -> None:
    newline = "\r\n" if "\r" in text else "\n"
    bound = newline.join(["[[profiles.default.bindings]]", 'alias = "a"', 'models = ["x:y"]'])
    head, tail = f'version = "1.0"{newline}', f"{newline}[profiles.dev]{newline}"
    whole = head + text.replace("BOUND", bound).replace("INLINE", '{ alias = "a", models = ["x:y"] }') + tail
    path = write(whole)
    unbind(path, "a")
    after = path.read_bytes().decode()
    for word in ("near", "beside", "of params"):
        assert word not in after
    for word in ("far", "below", "all", "no comment", "of x"):
        assert (word in after) is (word in whole), word
    if left is not None:
        default = f"{newline}[profiles.default]{newline}"
        assert after.replace(default, "").replace(tail, "").split() == (head + left).split()


def test_the_comments_about_a_profile_go_with_it(write: Write, plain: str) -> None:
    about = "# for the laptop\n[profiles.dev]\n"
    path = write(plain.replace("[profiles.dev]\n", about).replace("[[profiles.dev", "# local\n[[profiles.dev"))
    remove_profile(path, "dev")
    assert path.read_text() == plain.partition("\n[profiles.dev]")[0]


def test_unbinding_undoes_binding(write: Write, plain: str) -> None:
    path = write(plain)
    bind(path, "a", ["x:y"])
    bind(path, "a", ["x:y"], profile="dev")
    unbind(path, "a", profile="dev")
    unbind(path, "a")
    assert path.read_text() == plain


@pytest.mark.parametrize(
    ("alias", "left"),
    [
        ("a", "[\n  B,  C, # two\n  D # three\n]"),
        ("b", "[\n  A, # one\n  C, # two\n  D # three\n]"),
        ("c", "[\n  A, # one\n  B,  # two\n  D # three\n]"),
        ("d", "[\n  A, # one\n  B,  C # two\n]"),
    ],
)
def test_unbinding_one_of_several_on_a_line(write: Write, alias: str, left: str) -> None:
    def text(bindings: str) -> str:
        for name in "ABCD":
            bindings = bindings.replace(name, f'{{ alias = "{name.lower()}", models = ["x:y"] }}')
        return f'version = "1.0"\n[profiles.default]\nbindings = {bindings}\n'

    path = write(text("[\n  A, # one\n  B,  C, # two\n  D # three\n]"))
    unbind(path, alias)
    assert path.read_text() == text(left)


def test_a_binding_whose_tables_lie_apart(write: Write) -> None:
    text = """\
version = "1.0"
[[profiles.default.bindings]]
alias = "a"
models = ["x:y"]
[providers.x]
sdk = "openai"
[profiles.default.bindings.params]
temperature = 1
[last]
"""
    path = write(text)
    bind(path, "b", ["x:y"])
    assert list(load(path).profile().bindings) == ["a", "b"]
    assert load(path).profile().bindings["a"].params == {"temperature": 1}
    unbind(path, "a")
    assert "temperature" not in path.read_text()
    assert "[providers.x]\n" in path.read_text()
    unbind(path, "b")
    assert "default" in load(path).data["profiles"]


def test_text_that_only_looks_like_tables_is_left_alone(write: Write) -> None:
    text = '''\
version = "1.0"
note = """
[[profiles.default.bindings]]
alias = "a"
models = ["no:no"]""""
other = \'\'\'[profiles.default]\'\'\'

["profiles" . default]  # spaced
"name" = "default"
[[ "profiles".'default' . bindings ]]
"alias" = 'a'
models   =   ['x:y']
'''
    path = write(text)
    bind(path, "a", ["x:z"])
    assert path.read_text() == text.replace("['x:y']", '["x:z"]')
    bind(path, "b", ["x:y"])
    assert path.read_text().endswith(
        '\n[[ "profiles".\'default\' . bindings ]]\nalias = "b"\nmodels = [\n    "x:y",\n]\n',
    )


def test_line_endings_and_the_byte_order_mark_stay(write: Write, plain: str) -> None:
    text = "\ufeff" + plain.replace("\n", "\r\n")
    path = write(text)
    bind(path, "chatbot", ["x:y"])
    bind(path, "new", ["x:y"], params={"a": 1})
    bind(path, "new", ["x:y"], profile="prod")
    unbind(path, "chatbot")
    copy_profile(path, "default", "copy")
    after = path.read_bytes().decode()
    assert after.startswith("\ufeff")
    assert "\n" not in after.replace("\r\n", "")


@pytest.mark.parametrize("indent", [2, 4, "\t", None])
def test_json_looks_as_it_did(write: Write, indent: int | str | None) -> None:
    def data(*bindings: dict[str, Any], **profiles: Any) -> str:
        profile = {"name": "default", "bindings": list(bindings), "registry_versions": {"é": 1}}
        tables = {"version": "1.0", "profiles": {"default": profile, **profiles}, "default_profile": "default"}
        return json.dumps(tables, indent=indent, ensure_ascii=False) + "\n"

    a, b = {"alias": "a", "models": ["x:1", "x:2"]}, {"alias": "b", "models": ["x:1"], "params": {"top_p": 1}}
    path = write(data())
    bind(path, "a", ["x:1", "x:2"])
    assert path.read_bytes().decode() == data(a)
    bind(path, "b", ["x:1"], params={"top_p": 1})
    assert path.read_bytes().decode() == data(a, b)
    bind(path, "b", ["x:3", "x:4"])
    assert path.read_bytes().decode() == data(a, {**b, "models": ["x:3", "x:4"]})
    bind(path, "b", ["x:1"], params={})
    bind(path, "b", ["x:1"], params={"top_p": 1})
    assert path.read_bytes().decode() == data(a, b)
    bind(path, "a", ["x:1", "x:2"], profile="dev")
    assert path.read_bytes().decode() == data(a, b, dev={"name": "dev", "bindings": [a]})
    remove_profile(path, "dev")
    copy_profile(path, "default", "dev")
    lockfile = load(path)
    assert lockfile.data["profiles"]["dev"] == {**lockfile.data["profiles"]["default"], "name": "dev"}
    remove_profile(path, "dev")
    unbind(path, "a")
    assert path.read_bytes().decode() == data(b)
    unbind(path, "b")
    assert json.loads(path.read_bytes()) == json.loads(data())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"version":"1.0"}', '{"version":"1.0","profiles":{"default":{"name":"default","bindings":[BOUND]}}}'),
        (
            '\ufeff \n{"version": "1.0", "profiles": {"default": {}}}\n\n',
            '\ufeff \n{"version": "1.0", "profiles": {"default": {"bindings": [BOUND]}}}\n\n',
        ),
        (
            '{"version":"1.0",\r\n\t"note": "\\u00e9"}\r\n',
            '{\r\n\t"version": "1.0",\r\n\t"note": "\\u00e9",\r\n\t"profiles": {\r\n\t\t"default": {\r\n'
            '\t\t\t"name": "default",\r\n\t\t\t"bindings": [\r\n\t\t\t\tBOUND\r\n\t\t\t]\r\n\t\t}\r\n\t}\r\n}\r\n',
        ),
        ('{\n"version": "1.0",\n"profiles": {\n"default": {}\n}\n}', None),
    ],
)
def test_json_is_written_anew_in_its_own_layout(write: Write, before: str, after: str | None) -> None:
    path = write(before)
    bind(path, "\xe4", ["x:y"])
    text = path.read_bytes().decode()
    if after is None:
        assert text == json.dumps(load(path).data, indent="", ensure_ascii=False)
        return
    assert re.sub(r'\{\s*"alias":\s*"(?:\xe4|\\u00e4)",\s*"models":\s*\[\s*"x:y"\s*\]\s*\}', "BOUND", text) == after
    assert ("\xe4" in text) is ("\\u" not in before)
    bind(path, "\xe4", ["x:y"], params={})
    assert path.read_bytes().decode() == text


def test_json_that_says_nothing_new_is_not_written(write: Write) -> None:
    text = '{ "version" : "1.0",\n  "profiles": {"default": {"bindings": [{"alias": "a", "models": ["x:y"]}]}} }'
    path = write(text)
    bind(path, "a", ["x:y"])
    replace_models(path, {"x:z": "x:new"})
    assert path.read_text() == text


def test_a_profile_is_made_copied_and_removed(write: Write, plain: str) -> None:
    path = write(plain)
    add_profile(path, "prod")
    assert path.read_text() == plain + '\n[profiles.prod]\nname = "prod"\n'
    remove_profile(path, "prod")
    assert path.read_text() == plain
    copy_profile(path, "default", "prod")
    assert load(path).profile("prod").bindings == load(path).profile().bindings
    assert plain in path.read_text()
    with pytest.raises(ConfigurationError, match=r'a profile "prod" in .* already'):
        add_profile(path, "prod")
    with pytest.raises(ConfigurationError, match=r'a profile "prod" in .* already'):
        copy_profile(path, "dev", "prod")
    with pytest.raises(ConfigurationError, match="There are: default, dev, prod"):
        copy_profile(path, "test", "other")
    with pytest.raises(ConfigurationError, match="There are: default, dev, prod"):
        remove_profile(path, "test")
    with pytest.raises(ConfigurationError, match="is the default profile"):
        remove_profile(path, "default")
    with pytest.raises(ConfigurationError, match="one word"):
        add_profile(path, "my profile")


@pytest.mark.parametrize(
    ("alias", "models", "options", "says"),
    [
        ("", ["x:y"], {}, 'The alias "" is empty'),
        ("a b", ["x:y"], {}, 'The alias "a b" is empty or holds white space'),
        ("a", [], {}, "No model to bind"),
        ("a", ["gpt-5"], {}, "names no provider"),
        ("a", ["x:y", "x:"], {}, "names no model"),
        ("a", ["x:y"], {"profile": ""}, 'The profile "" is empty'),
        ("a", ["x:y"], {"params": {"stop": None}}, "TOML has no value of the type NoneType"),
        ("a", ["x:y"], {"params": {"stop": object()}}, "TOML has no value of the type object"),
        ("a", ["x:y"], {"params": {"api_key": "anything"}}, "holds no secret"),
        ("a", ["x:sk-" + "x" * 40], {}, "holds no secret"),
    ],
)
def test_what_cannot_be_bound(
    write: Write, plain: str, alias: str, models: list[str], options: dict[str, Any], says: str
) -> None:
    path = write(plain)
    with pytest.raises(ConfigurationError, match=says) as caught:
        bind(path, alias, models, **options)
    assert "x" * 40 not in str(caught.value)
    assert path.read_text() == plain


def test_no_malformed_model_takes_the_place_of_one(write: Write, plain: str) -> None:
    path = write(plain)
    with pytest.raises(ConfigurationError, match="names no provider"):
        replace_models(path, {"ollama:llama3.2": "llama4"})
    assert path.read_text() == plain


def test_unbinding_what_is_not_bound_names_the_nearest(write: Write, plain: str) -> None:
    path = write(plain)
    with pytest.raises(AliasNotFoundError, match=r'"chatbto" is not bound .* Did you mean "chatbot"'):
        unbind(path, "chatbto")
    with pytest.raises(ConfigurationError, match="There are: default, dev"):
        unbind(path, "chatbot", profile="prod")


def test_an_edit_needs_a_good_file(write: Write, tmp_path: Path) -> None:
    with pytest.raises(LockfileNotFoundError, match="llmring lock init"):
        bind(tmp_path / "no" / "llmring.lock", "a", ["x:y"])
    with pytest.raises(LockfileParseError, match="folder"):
        bind(tmp_path, "a", ["x:y"])
    path = write("version = ")
    with pytest.raises(LockfileParseError, match="not valid TOML"):
        bind(path, "a", ["x:y"])
    assert path.read_text() == "version = "


def test_a_new_file(tmp_path: Path, plain: str) -> None:
    path = tmp_path / "llmring.lock"
    assert create(path, plain).profile().bindings["chatbot"].models[0] == "anthropic:claude-haiku-4-5"
    assert path.read_text() == plain
    with pytest.raises(ConfigurationError, match="is there already and stays as it is"):
        create(path, 'version = "1.0"')
    assert path.read_text() == plain
    create(path, 'version = "1.0"\r\n', force=True)
    assert path.read_bytes() == b'version = "1.0"\r\n'
    create(tmp_path / "llmring.json", '{"version": "1.0"}')
    with pytest.raises(LockfileParseError, match="names no version"):
        create(tmp_path / "other.lock", "a = 1")
    with pytest.raises(ConfigurationError, match="mkdir -p"):
        create(tmp_path / "no" / "llmring.lock", plain)
    with pytest.raises(ConfigurationError, match="is a folder"):
        create(tmp_path, plain, force=True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["llmring.json", "llmring.lock"]


@pytest.mark.parametrize(
    "binding",
    [
        '[[profiles.default.bindings]]\nalias = "a{}"\nmodels = ["x:1", "x:2"]\n',
        '[[profiles.default.bindings]]\nalias = "a{}"\nmodels = [\n  "x:1",  # one\n  "x:2"\n]\n',
        '[[profiles.default.bindings]]\nalias = "a{}"\nprovider = "x"\nmodel = "1"\n',
        '{{"alias": "a{}", "models": ["x:1", "x:2"]}}',
    ],
)
def test_edits_of_eight_hundred_bindings_do_not_keep_others_waiting(write: Write, binding: str) -> None:
    bindings = [binding.format(number) for number in range(800)]
    if binding.startswith("{"):
        path = write(f'{{"version": "1.0", "profiles": {{"default": {{"bindings": [{", ".join(bindings)}]}}}}}}')
    else:
        path = write("\n".join(['version = "1.0"\n', *bindings]))
    begin = time.process_time()
    copy_profile(path, "default", "copy")
    lockfile = replace_models(path, {"x:1": "x:new"})
    remove_profile(path, "copy")
    assert time.process_time() - begin < 5  # a tenth of it is usual; one scan per binding took twenty times as long
    assert lockfile.profiles["copy"].bindings == lockfile.profile().bindings
    assert {it.models[0] for it in load(path).profile().bindings.values()} == {"x:new"}


def test_a_model_that_is_named_twice_is_bound_once(write: Write, plain: str) -> None:
    path = write(plain)
    bind(path, "chatbot", ["x:1", "x:2", "x:1", "x:2"])
    assert load(path).profile().bindings["chatbot"].models == ("x:1", "x:2")


@pytest.mark.parametrize("name", ["llmring.lock", "llmring.json"])
def test_what_no_file_can_hold_is_refused(write: Write, plain: str, name: str) -> None:
    before = plain if name.endswith("lock") else '{"version": "1.0"}'
    path = write(before, name)
    with pytest.raises(ConfigurationError, match="half of a surrogate pair"):
        bind(path, "chatbot", ["x:1"], params={"stop": ["\ud800"]})
    with pytest.raises(ConfigurationError, match="The params cannot be written"):
        bind(path, "chatbot", ["x:1"], params={"seed": 16**9000})
    if name.endswith("json"):
        with pytest.raises(ConfigurationError, match="The params cannot be written"):
            bind(path, "chatbot", ["x:1"], params={"temperature": float("nan")})
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("before", "new", "after"),
    [
        (  # an item that stood beside the bracket gets the indent of the others
            '["a:1", # one\n  "b:2",\n  # three\n  "c:3"]',
            ["b:2", "a:1"],
            '[\n  "b:2",\n  "a:1" # one\n]',
        ),
        ('[\n "a:1", "b:2",\n]', ["b:2"], '[\n "b:2",\n]'),
        # every line keeps its ending, and a new one gets that of the list
        (
            '[\r\n  "a:1", # one\n  # two\r\n  "b:2",\n  "c:3",\r\n]',
            ["b:2", "c:3", "n:4", "a:1"],
            '[\r\n  # two\r\n  "b:2",\n  "c:3",\r\n  "n:4",\r\n  "a:1", # one\n]',
        ),
    ],
)
@pytest.mark.parametrize("head", ["\n", "\r\n"])
def test_a_list_keeps_its_own_indent_and_line_endings(
    write: Write, before: str, new: list[str], after: str, head: str
) -> None:
    begin = f'version = "1.0"{head}[[profiles.default.bindings]]\nalias = "c"\nmodels = '
    path = write(begin + before + "\n")
    bind(path, "c", new)
    assert path.read_bytes().decode() == begin + after + "\n"
