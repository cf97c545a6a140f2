"""What changed from one lockfile to another."""

from __future__ import annotations

from llmring.cli.comparison import AliasChange, ProfileChange, SettingChange, compare
from llmring.lockfile import parse

BEFORE = """\
version = "1.0"
default_profile = "default"
note = "kept"

[profiles.default]
name = "default"
registry_versions = { openai = 3 }

[[profiles.default.bindings]]
alias = "chatbot"
models = ["anthropic:claude-haiku-5-5", "openai:gpt-6-luna"]
params = { temperature = 0.3 }

[[profiles.default.bindings]]
alias = "old"
models = ["ollama:llama3.2"]

[profiles.dev]
name = "dev"

[providers.groq]
sdk = "openai"
base_url = "https://api.groq.com/openai/v1"
"""


def test_a_file_and_itself_differ_in_nothing() -> None:
    same = compare(parse(BEFORE.encode()), parse(BEFORE.encode()))
    assert not same
    assert (same.profiles, same.settings) == ((), ())


def test_comments_order_and_layout_are_no_change() -> None:
    binding = '[[profiles.default.bindings]]\nalias = "old"\nmodels = ["ollama:llama3.2"]\n\n'
    moved = BEFORE.replace(binding, "").replace("[[profiles.default", f"# first\n{binding}[[profiles.default", 1)
    assert moved != BEFORE
    assert not compare(parse(BEFORE.encode()), parse(moved.encode()))
    implied = BEFORE.replace('default_profile = "default"\n', "")
    assert not compare(parse(BEFORE.encode()), parse(implied.encode()))


def test_every_part_of_a_binding_counts() -> None:
    before = parse(BEFORE.encode())
    for old, new in (
        ('"anthropic:claude-haiku-5-5", "openai:gpt-6-luna"', '"openai:gpt-6-luna", "anthropic:claude-haiku-5-5"'),
        ('"anthropic:claude-haiku-5-5", "openai:gpt-6-luna"', '"anthropic:claude-haiku-5-5"'),
        ("temperature = 0.3", "temperature = 0.4"),
        ("params = { temperature = 0.3 }", ""),
        ("params = { temperature = 0.3 }", "params = { temperature = 0.3 }\nowner = 'web'"),
    ):
        after = parse(BEFORE.replace(old, new).encode())
        (profile,) = compare(before, after).profiles
        assert (profile.name, profile.kind) == ("default", "changed")
        (change,) = profile.aliases
        assert change == AliasChange(
            "chatbot", before.profile().bindings["chatbot"], after.profile().bindings["chatbot"]
        )
        assert change.kind == "changed"


def test_aliases_and_profiles_come_and_go() -> None:
    before = parse(BEFORE.encode())
    after = parse(
        BEFORE.replace('"old"', '"new"').replace("profiles.dev", "profiles.night").replace('"dev"', '"night"').encode()
    )
    default, night, dev = compare(before, after).profiles
    assert [(change.alias, change.kind) for change in default.aliases] == [("new", "added"), ("old", "removed")]
    assert night == ProfileChange("night", "added", ())
    assert dev == ProfileChange("dev", "removed", ())
    (back, *_) = compare(after, before).profiles
    assert [(change.alias, change.kind) for change in back.aliases] == [("old", "added"), ("new", "removed")]


def test_every_other_setting_is_named_by_its_place() -> None:
    after = (
        BEFORE.replace('default_profile = "default"', 'default_profile = "dev"')
        .replace("openai = 3", "openai = 4")
        .replace('note = "kept"\n', "")
        .replace("/openai/v1", "/v2")
        + 'api = "chat"\n[extends]\npackages = ["somelib"]\n'
    )
    changed = compare(parse(BEFORE.encode()), parse(after.encode()))
    assert changed.profiles == ()
    assert set(map(repr, changed.settings)) == {
        repr(SettingChange(*parts))
        for parts in (
            (("default_profile",), "default", "dev"),
            (("profiles", "default", "registry_versions", "openai"), 3, 4),
            (("note",), "kept", None),
            (("providers", "groq", "base_url"), "https://api.groq.com/openai/v1", "https://api.groq.com/v2"),
            (("providers", "groq", "api"), None, "chat"),
            (("extends", "packages"), None, ["somelib"]),
        )
    }
    assert {change.place[-1]: change.kind for change in changed.settings}["note"] == "removed"


def test_a_file_that_was_not_there_is_all_new() -> None:
    new = compare(None, parse(BEFORE.encode()))
    assert {profile.kind for profile in new.profiles} == {"added"}
    assert {change.kind for profile in new.profiles for change in profile.aliases} == {"added"}
    assert {change.kind for change in new.settings} == {"added"}
    assert [change.alias for change in new.profiles[0].aliases] == ["chatbot", "old"]
