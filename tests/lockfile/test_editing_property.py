"""Any lockfile that loads survives an edit with only the edit changed."""

from __future__ import annotations

import copy
import itertools
import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmring.exceptions import LLMRingError
from llmring.lockfile import add_profile, bind, copy_profile, load, remove_profile, unbind
from llmring.lockfile.rendering import toml_key, toml_value

FAST = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

words = st.text(alphabet="abcxyzé0-_.:/'\"\\#[]{}=,😀", min_size=1, max_size=8)
aliases = words
profile_names = st.sampled_from(["default", "dev", "p.1", "pröd", 'q"'])
models = st.builds("{}:{}".format, st.sampled_from(["openai", "ollama", "my-1"]), words)
model_lists = st.lists(models, min_size=1, max_size=3)
new_models = st.lists(models, min_size=1, max_size=3, unique=True)
scalars = st.one_of(
    st.integers(-9, 9),
    st.booleans(),
    st.floats(allow_infinity=True, allow_nan=True),
    st.text(alphabet=" ab\n\t\"'\\#[]=é\x7f", max_size=6),
    st.datetimes().map(lambda moment: moment.replace(fold=0)),
    st.dates(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("abc"), inner, max_size=2)),
    max_leaves=4,
)
params = st.dictionaries(st.sampled_from(["temperature", "top_p", "stop", "x y"]), values, max_size=2)
policies = {
    "deadline": st.sampled_from([30, "1.5h"]),
    "on_refused_param": st.just("drop"),
    "rate": st.sampled_from([{"requests": 600, "per": "minute"}, {"tokens": 5, "per": "day", "x y": [1]}]),
    "budget": st.just({"usd": 0.5, "per": "month", "by": "a b"}),
}
bindings = st.fixed_dictionaries(
    {"models": model_lists}, optional={"params": params, "note": values, "constraints": params, **policies}
)


@dataclass
class Writer:
    """Writes the same thing in one of the many ways that TOML has."""

    draw: st.DrawFn
    lines: list[str] = field(default_factory=list)
    kept: itertools.count[int] = field(default_factory=itertools.count)

    def flip(self) -> bool:
        return self.draw(st.booleans())

    def pick(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def gap(self) -> None:
        """What may stand between sections: blank lines, and comments that every edit keeps."""
        for kind in self.draw(st.lists(st.sampled_from(["", "  ", "#"]), max_size=3)):
            self.lines.append(f"# kept {next(self.kept)} [x] = '\"" if kind else kind)

    def line(self, text: str, *, within: bool = False) -> None:
        indent = self.pick("", "", "  ", "\t")
        comment = self.pick("", "", "  # beside", "# [[beside]] = '")
        self.lines.append(f"{indent}{text}{comment}")
        if within and self.flip():
            self.lines.append(self.pick("", "# within"))

    def key(self, key: str) -> str:
        return str(self.pick(toml_key(key), json.dumps(key, ensure_ascii=False), toml_key(key)))

    def dotted(self, *keys: str) -> str:
        return str(self.pick(".", " . ", ".")).join(map(self.key, keys))

    def models(self, models: list[str], *, inline: bool) -> str:
        if inline or self.flip():
            return toml_value(models)
        first = self.pick("", "  # the models", "\n\n# the models")
        comma, is_noted = self.pick(",", " ,"), self.flip()
        ends = [comma] * (len(models) - 1) + [self.pick("", ",")]
        beside = [f"  {self.note('beside', model)}" if is_noted and self.flip() else "" for model in models]
        is_below = len(models) > 1 and not first and self.flip()  # above the first alone it would be about the list
        above = [f"{self.note('above', model)}\n  " if is_below else "" for model in models]
        items = [f"\n  {a}{toml_value(m)}{e}{b}" for a, m, e, b in zip(above, models, ends, beside, strict=True)]
        return f"[{first}{''.join(items)}\n]"

    def note(self, where: str, model: str) -> str:
        """A comment that goes with a model."""
        return f"# {where} {next(self.kept)} {json.dumps(model, ensure_ascii=False)}"

    def served(self, models: list[str], *, inline: bool) -> dict[str, str]:
        """Who serves a binding, in the form of today or of early 1.x files."""
        if len(models) > 1 or self.pick(True, True, True, False):
            return {"models": self.models(models, inline=inline)}
        provider, _, model = models[0].partition(":")
        forms = [
            {"provider": toml_value(provider), "model": toml_value(model)},
            {"model": toml_value(models[0]), "provider": toml_value(provider)},
            {"model": toml_value(models[0])},
        ]
        return self.draw(st.sampled_from(forms))

    def inline(self, alias: str, binding: dict[str, Any]) -> str:
        served = self.served(binding["models"], inline=True)
        pairs = [f"alias = {toml_value(alias)}", *(f"{key} = {value}" for key, value in served.items())]
        for key, value in binding.items():
            if key == "params" and value and self.flip():
                pairs += [f"params.{toml_key(name)} = {toml_value(inner)}" for name, inner in value.items()]
            elif key != "models":
                pairs.append(f"{self.key(key)} = {toml_value(value)}")
        return f"{{{self.pick(' ', '')}{', '.join(self.draw(st.permutations(pairs)))}{self.pick(' ', '')}}}"

    def about(self, profile: str, alias: str) -> str:
        """A comment that goes with the binding below it."""
        return f"# about {json.dumps([profile, alias])}"

    def array(self, profile: str, table: dict[str, dict[str, Any]]) -> str:
        items = [self.inline(alias, binding) for alias, binding in table.items()]
        if not items:
            return str(self.pick("[]", "[ ]", "[\n]", "[ # kept\n]"))
        style = self.pick("line", "lines", "commas first")
        if style == "line":
            return f"[{', '.join(items)}{self.pick('', ',', ' ')}]"
        if style == "commas first":
            return "[\n    " + "\n  , ".join(items) + "\n]"
        separator = self.pick(",\n  ", ", # beside\n  ", "\n  ,\n  ")
        if self.flip():
            items = [f"{self.about(profile, alias)}\n  {item}" for alias, item in zip(table, items, strict=True)]
        end = self.pick("", ",", ", # beside", " # beside")
        return f"[\n  {separator.join(items)}{end}\n{self.pick('', '# kept', '  ')}\n]"

    def sections(self, profile: str, table: dict[str, dict[str, Any]]) -> list[list[str]]:
        """A profile as blocks of lines that may stand apart."""
        blocks: list[list[str]] = []
        style = self.pick("tables", "tables", "tables", "array", "header of tables only")
        outer, self.lines = self.lines, []
        if style != "header of tables only" or not table:
            self.line(f"[{self.dotted('profiles', profile)}]")
            if self.flip():
                self.line(f"name = {toml_value(profile)}")
            if style == "array":
                self.line(f"bindings = {self.array(profile, table)}")
            blocks.append(self.lines)
        for alias, binding in table.items() if style != "array" else ():
            self.lines = []
            self.binding(profile, alias, binding)
            blocks.append(self.lines)
        if self.flip():
            blocks.append([f"[profiles.{toml_key(profile)}.registry_versions]", "openai = 1"])
        self.lines = outer
        return blocks

    def binding(self, profile: str, alias: str, binding: dict[str, Any]) -> None:
        header = self.dotted("profiles", profile, "bindings")
        if self.flip():
            self.lines.append(self.pick("", "", "  ", "\t") + self.about(profile, alias))
        self.line(f"[[{header}]]", within=True)
        pairs = {"alias": toml_value(alias), **self.served(binding["models"], inline=False)}
        rest = {key: value for key, value in binding.items() if key != "models"}
        below = {key: value for key, value in rest.items() if isinstance(value, dict) and self.flip()}
        for key, value in rest.items():
            if key not in below:
                pairs[key] = toml_value(value)
        for key, written in self.draw(st.permutations(list(pairs.items()))):
            self.line(f"{self.key(key)}{self.pick(' = ', '=')}{written}", within=True)
        for key, value in below.items():
            self.line(f"[{header}.{key}]")
            for name, inner in value.items():
                if key == "params" and self.flip():
                    self.lines.append(f"# of params {next(self.kept)}")
                beside = f"  # says {next(self.kept)}" if key == "params" and self.flip() else ""
                self.lines.append(f"{self.pick('', '  ')}{self.key(name)} = {toml_value(inner)}{beside}")


@st.composite
def toml_files(draw: st.DrawFn) -> str:
    writer = Writer(draw)
    names = draw(st.lists(profile_names, min_size=1, max_size=3, unique=True))
    profiles = {name: draw(st.dictionaries(aliases, bindings, max_size=3)) for name in names}
    writer.gap()
    writer.line('version = "1.0"')
    if writer.flip():
        writer.line(f"default_profile = {toml_value(draw(st.sampled_from(names)))}")
    if writer.flip():
        writer.lines.append('note = """\n[[profiles.default.bindings]]\nalias = "a" \\\n# [x]""""')
    if writer.flip():
        writer.line(f"unknown.{writer.key('a b')} = {toml_value(draw(values))}")
    apart: list[list[list[str]]] = []
    written_inline = [name for name in names if draw(st.integers(0, 5)) == 0]
    if written_inline:
        is_root = writer.flip()
        lines = [] if is_root else ["[profiles]"]
        for name in written_inline:
            body = ", ".join([f"bindings = {writer.array(name, profiles[name])}"] * writer.pick(0, 1) + ["a.b = 1"])
            start = writer.dotted(*(["profiles"] if is_root else []), name)
            lines.append(f"{start} = {{ {body} }}")
        if is_root:
            writer.lines += lines
        else:
            apart.append([lines])
    apart += [writer.sections(name, profiles[name]) for name in names if name not in written_inline]
    for extra in (
        ["[providers.groq]", 'sdk = "openai"'],
        ["[metadata]", 'created_at = "2025-08-20T10:00:52.134398+00:00"'],
        ["[[more]]", "a = 1", "[more.b]", "[[more]]"],
    ):
        if writer.flip():
            apart.append([extra])
    while apart:
        blocks = draw(st.sampled_from(apart))
        writer.gap()
        block = blocks.pop(0)
        if block[0].lstrip().startswith(("[[", "# about")):
            writer.lines.append("")
        writer.lines += block
        apart = [blocks for blocks in apart if blocks]
    writer.gap()
    text = "\n".join(writer.lines) + str(writer.pick("", "\n", "\n\n"))
    return str(writer.pick("", "", "\ufeff")) + (text.replace("\n", "\r\n") if writer.flip() else text)


def is_part(small: str, large: str) -> bool:
    """Whether the small text is left when some characters of the large one are taken out."""
    rest = iter(large)
    return all(char in rest for char in small)


def kept_comments(text: str, *, without: str | None = None) -> list[str]:
    """The comments that have a line of their own, in order."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line.startswith(("# kept", "# about")) and line != without]


def notes(text: str) -> dict[str, str]:
    """The comments about models, and about which; each stands where that model does."""
    found: dict[str, str] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if note := re.search(r"# (beside|above) \d+ (\".*\")$", line):
            model = json.loads(note[2])
            place = number if note[1] == "beside" else number + 1
            assert toml_value(model) in lines[place].replace(note[0], ""), text
            found[note[0]] = model
    return found


def tidy(data: Any) -> Any:
    """Comparable: not-a-number equals itself, types differ, a profile without bindings names none."""
    if isinstance(data, dict):
        return {key: tidy(value) for key, value in data.items() if not (key == "bindings" and value == [])}
    return [tidy(value) for value in data] if isinstance(data, list) else (type(data), repr(data))


def rebound(binding: dict[str, Any], models: list[str], values: dict[str, Any] | None = None) -> None:
    """What binding an alias anew makes of the data of its binding."""
    if binding.get("models") is None:
        binding.pop("model")
        binding.pop("provider", None)
    binding["models"] = models
    if values is not None and tidy(binding.get("params") or {}) != tidy(values):
        binding.pop("params", None)
        binding.update({"params": values} if values else {})


def written(text: str, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """The text as a file, and its data."""
    path = tmp_path / "llmring.lock"
    path.write_bytes(text.encode())
    return path, tomllib.loads(text.removeprefix("\ufeff"))


@FAST
@given(
    text=toml_files(),
    profile=st.one_of(st.none(), profile_names),
    alias=aliases,
    new=new_models,
    values=st.one_of(st.none(), params),
)
def test_a_new_binding_takes_nothing_away(
    tmp_path: Path, text: str, profile: str | None, alias: str, new: list[str], values: dict[str, Any] | None
) -> None:
    path, expected = written(text, tmp_path)
    lockfile = load(path)
    name = profile or lockfile.default_profile
    if name in lockfile.profiles and alias in lockfile.profiles[name].bindings:
        return
    bind(path, alias, new, profile=profile, params=values)
    after = path.read_bytes().decode()
    binding = {"alias": alias, "models": new, **({"params": values} if values else {})}
    raw = expected.setdefault("profiles", {}).setdefault(name, {"name": name})
    raw.setdefault("bindings", []).append(binding)
    assert tidy(load(path).data) == tidy(expected)
    assert is_part(text, after)
    assert kept_comments(after) == kept_comments(text)
    if "\r\n" in text:
        assert "\n" not in after.replace("\r\n", "")


@FAST
@given(text=toml_files(), new=new_models, choice=st.integers(0, 9))
def test_rebinding_changes_the_models_and_nothing_else(tmp_path: Path, text: str, new: list[str], choice: int) -> None:
    path, expected = written(text, tmp_path)
    for name, profile in load(path).profiles.items():
        if not profile.bindings:
            continue
        number = choice % len(profile.bindings)
        before = path.read_bytes().decode()
        binding = expected["profiles"][name]["bindings"][number]
        old = binding.get("models")
        rebound(binding, new)
        bind(path, binding["alias"], new, profile=name)
        after = path.read_bytes().decode()
        assert tidy(load(path).data) == tidy(expected)
        assert kept_comments(after) == kept_comments(before)
        assert after.count("# the models") == before.count("# the models")
        noted, still_noted = notes(before), notes(after)
        assert still_noted.items() <= noted.items()
        for note in noted.keys() - still_noted.keys():
            assert old.count(noted[note]) > new.count(noted[note])
        lines = [
            (one, other) for one, other in zip(before.splitlines(), after.splitlines(), strict=False) if one != other
        ]
        if before.count("\n") == after.count("\n"):
            assert len(lines) <= max(1, len(new))


@FAST
@given(text=toml_files(), data=st.data())
def test_unbinding_adds_nothing(tmp_path: Path, text: str, data: st.DataObject) -> None:
    path, expected = written(text, tmp_path)
    bound = [(name, alias) for name, profile in load(path).profiles.items() for alias in profile.bindings]
    for name, alias in data.draw(st.permutations(bound)):
        before = path.read_bytes().decode()
        unbind(path, alias, profile=name)
        after = path.read_bytes().decode()
        raw = expected["profiles"][name]["bindings"]
        raw[:] = [binding for binding in raw if binding["alias"] != alias]
        assert tidy(load(path).data) == tidy(expected)
        assert kept_comments(after) == kept_comments(before, without=f"# about {json.dumps([name, alias])}")
        if after.count("[") < before.count("["):
            assert is_part(after, before) or f"[profiles.{toml_key(name)}]" in after


@FAST
@given(text=toml_files(), values=params, choice=st.integers(0, 9))
def test_params_are_replaced_in_every_form(tmp_path: Path, text: str, values: dict[str, Any], choice: int) -> None:
    path, expected = written(text, tmp_path)
    for name, profile in load(path).profiles.items():
        if profile.bindings:
            binding = expected["profiles"][name]["bindings"][choice % len(profile.bindings)]
            models = list(profile.bindings[binding["alias"]].models)
            rebound(binding, models, values)
            before = path.read_bytes().decode()
            bind(path, binding["alias"], models, profile=name, params=values)
            assert tidy(load(path).data) == tidy(expected)
            after = path.read_bytes().decode()
            assert kept_comments(after) == kept_comments(before)


some_params = st.dictionaries(st.sampled_from(["temperature", "top_p", "stop", "x y"]), values, min_size=1)


@FAST
@given(old=some_params, new=some_params, newline=st.sampled_from(["\n", "\r\n"]))
def test_params_in_a_table_keep_their_comments(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any], newline: str
) -> None:
    lines = ['version = "1.0"', "[[profiles.default.bindings]]", 'alias = "a"', 'models = ["x:y"]']
    lines.append("[profiles.default.bindings.params] # all")
    for number, (key, value) in enumerate(old.items()):
        lines += [f"# above {number}", f"{toml_key(key)} = {toml_value(value)}  # beside {number}"]
    path, data = written(newline.join([*lines, ""]), tmp_path)
    rebound(data["profiles"]["default"]["bindings"][0], ["x:y"], new)
    bind(path, "a", ["x:y"], params=new)
    assert tidy(load(path).data) == tidy(data)
    after = path.read_bytes().decode()
    for number, key in enumerate(old):
        assert f"{newline}# above {number}{newline}" in after
        about = [line for line in after.splitlines() if line.endswith(f"  # beside {number}")]
        assert [line.startswith(f"{toml_key(key)} = ") for line in about] == ([True] if key in new else [])
    assert "params] # all" in after


json_values = st.recursive(
    st.one_of(
        st.integers(), st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=4)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)


@FAST
@given(
    table=st.dictionaries(aliases, bindings.map(lambda b: {"models": b["models"]}), max_size=3),
    extra=st.dictionaries(st.text(max_size=3), json_values, max_size=2),
    indent=st.sampled_from([None, 1, 2, "\t"]),
    alias=aliases,
    new=new_models,
)
def test_json_survives(
    tmp_path: Path,
    table: dict[str, dict[str, Any]],
    extra: dict[str, Any],
    indent: int | str | None,
    alias: str,
    new: list[str],
) -> None:
    raw = {"name": "default", "bindings": [{"alias": key, **value, **extra} for key, value in table.items()], **extra}
    data = {**extra, "version": "1.0", "profiles": {"default": raw}}
    path = tmp_path / "llmring.lock"
    path.write_bytes(json.dumps(data, indent=indent, ensure_ascii=False).encode())
    load(path)
    bind(path, alias, new)
    expected = copy.deepcopy(data)
    bound: list[dict[str, Any]] = expected["profiles"]["default"]["bindings"]
    known = next((binding for binding in bound if binding["alias"] == alias), None)
    if known is None:
        bound.append({"alias": alias, "models": new})
    else:
        known["models"] = new
    assert path.read_bytes().decode() == json.dumps(expected, indent=indent, ensure_ascii=False)
    for binding in list(bound):
        unbind(path, binding["alias"])
        bound.remove(binding)
        assert tidy(json.loads(path.read_bytes())) == tidy(expected)


def as_json(data: dict[str, Any], indent: int | str | None) -> str:
    return json.dumps(data, indent=indent, ensure_ascii=False)


json_bindings = st.fixed_dictionaries(
    {"alias": aliases},
    optional={
        "params": st.one_of(st.none(), st.dictionaries(st.text(max_size=3), json_values, max_size=2)),
        "constraints": st.none(),
        "note": json_values,
    },
).flatmap(
    lambda binding: st.one_of(
        st.builds(lambda listed: {**binding, "models": listed}, model_lists),
        st.builds(lambda model: {**binding, "provider": "openai", "model": model, "models": None}, words),
    )
)
json_profiles = st.fixed_dictionaries(
    {},
    optional={"name": profile_names, "bindings": st.lists(json_bindings, max_size=3, unique_by=lambda b: b["alias"])},
)
json_files = st.builds(
    as_json,
    st.fixed_dictionaries(
        {"version": st.just("1.0"), "profiles": st.dictionaries(profile_names, json_profiles, max_size=3)},
        optional={"metadata": st.none(), "extends": st.none(), "registry_versions": json_values, "$schema": words},
    ),
    st.sampled_from([None, 2, "\t"]),
)
edits = st.one_of(
    st.tuples(st.just(bind), profile_names, aliases, new_models, st.one_of(st.none(), st.just({"top_p": 1}))),
    st.tuples(st.just(unbind), profile_names, st.integers(0, 3)),
    st.tuples(st.just(add_profile), profile_names),
    st.tuples(st.just(copy_profile), profile_names, profile_names),
    st.tuples(st.just(remove_profile), profile_names),
)


def meant(data: dict[str, Any], function: Any, *arguments: Any) -> tuple[Any, ...] | None:
    """The data as an edit is to leave it, and the edit's arguments; `None` for an edit that must be refused."""
    name, *rest = arguments
    default = data.get("default_profile", "default")
    profiles = data.setdefault("profiles", {})
    bound = profiles.get(name, {}).get("bindings", [])
    if function is bind:
        alias, models, values = rest
        known = [binding for binding in bound if binding["alias"] == alias]
        if known:
            rebound(known[0], models, values)
        else:
            raw = profiles.setdefault(name, {"name": name})
            binding = {"alias": alias, "models": models, **({"params": values} if values else {})}
            raw.setdefault("bindings", []).append(binding)
        return (alias, models), {"profile": name, "params": values}
    if function is unbind:
        if not bound:
            return None
        alias = bound.pop(rest[0] % len(bound))["alias"]
        return (alias,), {"profile": name}
    if function is add_profile:
        if name in profiles or name == default:
            return None
        profiles[name] = {"name": name}
    elif function is copy_profile:
        if rest[0] in profiles or rest[0] == default or (name not in profiles and name != default):
            return None
        profiles[rest[0]] = {**copy.deepcopy(profiles.get(name, {})), "name": rest[0]}
    elif name == default or name not in profiles:
        return None
    else:
        del profiles[name]
    return arguments, {}


@FAST
@given(text=st.one_of(toml_files(), json_files), changes=st.lists(edits, min_size=1, max_size=5))
def test_edits_of_every_kind_do_what_they_are_meant_to_and_nothing_else(
    tmp_path: Path, text: str, changes: list[tuple[Any, ...]]
) -> None:
    path = tmp_path / "llmring.lock"
    path.write_bytes(text.encode())
    expected = copy.deepcopy(dict(load(path).data))
    for change in changes:
        before = path.read_bytes()
        given = meant(expected, *change)
        if given is None:
            with pytest.raises(LLMRingError):
                unbind(path, "nobody", profile=change[1]) if change[0] is unbind else change[0](path, *change[1:])
            assert path.read_bytes() == before
            continue
        arguments, options = given
        change[0](path, *arguments, **options)
        assert {"profiles": {}, **tidy(load(path).data)} == {"profiles": {}, **tidy(expected)}
        if change[0] in (add_profile, copy_profile):
            assert is_part(before.decode(), path.read_bytes().decode())


@pytest.mark.parametrize("indent", [None, 2])
def test_json_that_escapes_is_read_and_edited(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "llmring.lock"
    alias = 'caf\u00e9/"'
    binding = {"alias": alias, "models": ["x:y"]}
    path.write_text(json.dumps({"version": "1.0", "profiles": {"default": {"bindings": [binding]}}}, indent=indent))
    bind(path, alias, ["x:z"])
    assert load(path).profile().bindings[alias].models == ("x:z",)
