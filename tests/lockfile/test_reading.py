from __future__ import annotations

import json
import os
import socket
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from llmring.exceptions import (
    ConfigurationError,
    LockfileError,
    LockfileNotFoundError,
    LockfileParseError,
    LockfileVersionError,
)
from llmring.lockfile import Binding, ProviderSettings, load, split_reference
from llmring.lockfile.files import plain

Write = Callable[..., Path]


def test_says_what_the_file_says(write: Write, plain: str) -> None:
    path = write(
        plain
        + """
[extends]
packages = ["somelib"]

[providers.groq]
sdk = "openai"
base_url = "https://api.groq.com/openai/v1"
api_key_env = "GROQ_API_KEY"
api = "chat"
headers = { X-Team = "blue" }
region = "eu"
"""
    )
    lockfile = load(path)
    assert lockfile.path == path
    assert list(lockfile.profiles) == ["default", "dev"]
    assert lockfile.profile() is lockfile.profile("default")
    assert lockfile.profile().bindings["chatbot"] == Binding(
        "chatbot", ("anthropic:claude-haiku-4-5", "openai:gpt-5-mini"), {"temperature": 0.3}
    )
    assert lockfile.profile("dev").bindings["chatbot"].models == ("ollama:llama3.2",)
    assert lockfile.extends == ("somelib",)
    assert lockfile.providers == {
        "groq": ProviderSettings(
            sdk="openai",
            base_url="https://api.groq.com/openai/v1",
            api_key_env="GROQ_API_KEY",
            api="chat",
            headers={"X-Team": "blue"},
            extra={"region": "eu"},
        )
    }
    assert lockfile.data["providers"]["groq"]["region"] == "eu"


def test_loads_what_llmring_1_wrote_as_toml(write: Write) -> None:
    lockfile = load(
        write("""\
version = "1.0"
created_at = "2025-08-20T10:00:52.134398+00:00"
updated_at = "2025-08-20T10:00:52.142349+00:00"
default_profile = "default"

[metadata]

[profiles.default]
name = "default"
[[profiles.default.bindings]]
alias = "deep"
provider = "anthropic"
model = "claude-3-opus-20240229"

[[profiles.default.bindings]]
alias = "short"
model = "openai:gpt-4"

[[profiles.default.bindings]]
alias = "both"
provider = "openai"
model = "openai:gpt-4"

[[profiles.default.bindings]]
alias = "now"
models = ["openai:gpt-4o"]
owner = "us"

[profiles.default.bindings.constraints]
max_cost = 3

[profiles.prod]
name = "prod"
bindings = []

[profiles.default.registry_versions]
openai = 14

[profiles.prod.registry_versions]
""")
    )
    bindings = lockfile.profile().bindings
    assert {alias: binding.models for alias, binding in bindings.items()} == {
        "deep": ("anthropic:claude-3-opus-20240229",),
        "short": ("openai:gpt-4",),
        "both": ("openai:gpt-4",),
        "now": ("openai:gpt-4o",),
    }
    assert bindings["deep"].extra == {}
    assert bindings["now"].constraints == {"max_cost": 3}
    assert bindings["now"].extra == {"owner": "us"}
    assert lockfile.profile("prod").bindings == {}
    assert lockfile.data["profiles"]["default"]["registry_versions"] == {"openai": 14}


@pytest.mark.parametrize("name", ["llmring.lock", "llmring.lock.json"])
def test_loads_what_llmring_1_wrote_as_json(write: Write, name: str) -> None:
    data = {
        "version": "1.0",
        "created_at": "2025-01-19T00:00:00.000000+00:00",
        "metadata": None,
        "extends": None,
        "profiles": {
            "default": {
                "name": "default",
                "bindings": [
                    {"alias": "fast", "provider": "openai", "model": "gpt-4o-mini", "constraints": None},
                    {"alias": "deep", "models": ["anthropic:claude-opus-4-1"], "constraints": {"max_cost": 1}},
                ],
                "registry_versions": {},
            }
        },
        "default_profile": "default",
    }
    lockfile = load(write(json.dumps(data, indent=2), name))
    assert lockfile.profile().bindings["fast"] == Binding("fast", ("openai:gpt-4o-mini",))
    assert lockfile.profile().bindings["deep"].constraints == {"max_cost": 1}
    assert lockfile.data == data


@pytest.mark.parametrize(
    ("text", "profiles"),
    [
        ('version = "1.0"', ["default"]),
        ('version = "1"\ndefault_profile = "prod"', ["prod"]),
        ('version = "1.0.0"\n[profiles]', ["default"]),
        ('version = "1.0"\n[profiles.dev]', ["dev", "default"]),
        ('\ufeffversion = "1.0"', ["default"]),
        ('\ufeff{"version": "1.0"}', ["default"]),
        ('version = "1.0"\r\n[profiles.dev]\r\n', ["dev", "default"]),
    ],
)
def test_little_is_enough(write: Write, text: str, profiles: list[str]) -> None:
    lockfile = load(write(text))
    assert list(lockfile.profiles) == profiles
    assert lockfile.profile().bindings == {}


HEAD = 'version = "1.0"\n'
BINDINGS = HEAD + "[[profiles.default.bindings]]\n"
BOUND = BINDINGS + 'alias = "a"\nmodels = ["x:y"]\n'

FIELDS = {
    *("version", "default_profile", "profiles", "bindings", "alias", "models", "provider", "params", "constraints"),
    *("providers", "sdk", "base_url", "api", "api_key_env", "think_tags", "tools", "headers", "extends", "packages"),
}
"""A message begins with a capital, or with the name of the field that it is about, as the file has it."""


@pytest.mark.parametrize(
    ("content", "line", "column", "says"),
    [
        # syntax
        ('version = "1.0"\nalias = \n', 2, 9, "not valid TOML: Invalid value"),
        ('version = "1.0"\r\n[profiles\r\n', 2, 10, "not valid TOML"),
        ('version = "1.0', 1, 15, "not valid TOML"),
        ('version = "1.0"\nversion = "1.0"\n', 2, 16, "not valid TOML: Cannot overwrite"),
        ('{\n  "version": "1.0"\n  "a": 1}', 3, 3, "not valid JSON"),
        ('{"version": "1.0"', 1, 18, "not valid JSON"),
        ('{"version": "1.0",\n "version": "1.0"}', 2, 2, 'The key "version" stands here twice'),
        # the whole
        ("", 1, 1, "The file is empty"),
        ("\ufeff \n", 1, 1, "The file is empty"),
        (b'version = "1.0"\n# caf\xe9\n', 2, 6, "not UTF-8"),
        (HEAD.encode("utf-16"), 1, 1, "not UTF-8"),
        # version
        ("default_profile = 'x'", 1, 1, "The file names no version"),
        ("\n\nversion = 1.0", 3, 11, "version must be a string, not a number"),
        ('{"version": 1}', 1, 13, "version must be a string, not a number"),
        ('version = "one"', 1, 11, '"one" is no version'),
        ('{"version": 1}', 1, 13, 'Write: "version": "1.0"'),
        ('{"a": 1}', 1, 1, 'Begin it with: "version": "1.0"'),
        ('{"version": "1.0",\n"providers": {"g": {"api_key": "x"}}}', 2, 32, 'as in "api_key_env": "GROQ_API_KEY"'),
        # profiles
        (HEAD + "default_profile = 'prod'\n[profiles.dev]\n[profiles.test]", 2, 19, "the profiles are: dev, test"),
        (HEAD + "default_profile = 3", 2, 19, "default_profile must be the name"),
        (HEAD + "default_profile = ''", 2, 19, "default_profile must be the name"),
        (HEAD + "profiles = []", 2, 12, "profiles must be a table, not a list"),
        (HEAD + "profiles.dev = 'x'", 2, 16, "profiles.dev must be a table, not a string"),
        (HEAD + "[profiles.'my dev']", 2, 1, 'The profile\'s name "my dev"'),
        (HEAD + "[profiles.dev.bindings]\na = 1", 2, 1, "bindings must be a list, not a table. In TOML each binding"),
        (HEAD + "[profiles.'p.1'.bindings]", 2, 1, 'two brackets: [[profiles."p.1".bindings]]'),
        (HEAD + "[profiles.dev]\nbindings = 'a'", 3, 12, "bindings must be a list, not a string"),
        ('{"version": "1.0",\n"profiles": {"dev": {"bindings": null}}}', 2, 34, "bindings must be a list, not null"),
        # bindings
        (HEAD + "[profiles.dev]\nbindings = ['a']", 3, 13, "A binding must be a table, not a string"),
        (BINDINGS + "models = ['x:y']", 2, 1, "This binding has no alias"),
        (BINDINGS + "alias = 1\nmodels = ['x:y']", 3, 9, "alias must be a string, not a number"),
        (BINDINGS + "alias = ''\nmodels = ['x:y']", 3, 9, 'The alias "" is empty'),
        (BINDINGS + "models = ['x:y']\nalias = 'a b'", 4, 9, 'The alias "a b" is empty or holds white space'),
        (BOUND + BOUND.removeprefix(HEAD), 6, 9, 'The alias "a" is bound twice in the profile "default"'),
        (BINDINGS + "alias = 'a'", 2, 1, 'The alias "a" has no models. Write: models = ["provider:model"]'),
        (BINDINGS + "alias = 'a'\nmodels = []", 4, 10, "models is empty"),
        (BINDINGS + "alias = 'a'\nmodels = 'x:y'", 4, 10, 'models must be a list. Write: models = ["x:y"]'),
        (BINDINGS + "alias = 'a'\nmodels = { x = 'y' }", 4, 10, "models must be a list, not a table"),
        (BINDINGS + "alias = 'a'\nmodels = [\n 'x:y',\n 3]", 6, 2, "A model must be a string, not a number"),
        (BINDINGS + "alias = 'a'\nmodels = ['gpt-5']", 4, 11, '"gpt-5" names no provider. Write it as provider:'),
        (BINDINGS + "alias = 'a'\nmodel = 'gpt-5'", 4, 9, "names no provider"),
        (BINDINGS + "alias = 'a'\nmodel = ['x:y']", 4, 9, 'is called models. Write: models = ["provider:model"]'),
        (BINDINGS + "alias = 'a'\nmodel = 'gpt-5'\nprovider = true", 5, 12, "provider must be a string, not a boo"),
        (BOUND + "params = 3", 5, 10, "params must be a table, not a number"),
        (BOUND + "params = 2024-01-01", 5, 10, "params must be a table, not a date or a time"),
        (BOUND + "tools = []", 5, 9, "tools must be a string, not a list"),
        (BOUND + "constraints = []", 5, 15, "constraints must be a table, not a list"),
        (
            HEAD + "[profiles.d]\nbindings = [{alias='a', models=['x:y']},\n {alias='b', models=['x:']}]",
            4,
            22,
            "no model",
        ),
        ('{"version": "1.0", "profiles": {"d":\n {"bindings": [{"alias": "a", "models": [""]}]}}}', 2, 42, "is empty"),
        ('{"version": "1.0", "profiles": {"d":\n {"bindings": [{}]}}}', 2, 16, 'no alias. Add: "alias": "NAME"'),
        # the other tables
        (HEAD + "[[providers]]", 2, 1, "providers must be a table, not a list"),
        (HEAD + "[providers]\ngroq = 'x'", 3, 8, "providers.groq must be a table"),
        (HEAD + "[providers.'a:b']", 2, 1, 'The provider\'s name "a:b"'),
        (HEAD + "[providers.groq]\nsdk = 1", 3, 7, "sdk must be a string"),
        (HEAD + "[providers.groq]\nbase_url = 'localhost:8000'", 3, 12, "base_url must begin with http"),
        (HEAD + "[providers.groq]\nheaders = 'x'", 3, 11, "headers must be a table"),
        (
            HEAD + 'providers.g.base_url = "https://gw/\\u001b]0;x"',
            2,
            24,
            'base_url holds a character that cannot be seen: "https://gw/\\x1b]0;x"',
        ),
        (HEAD + 'providers.g.sdk = "open\\nai"', 2, 19, "sdk holds a character"),
        (HEAD + 'providers.g.api = "\\u009b"', 2, 19, "api holds a character"),
        (HEAD + 'providers.g.api = "response"', 2, 19, 'api is "response". Write: api = "chat" or api = "responses"'),
        (HEAD + 'providers.g.api = ""', 2, 19, 'api is "". Write'),
        ('{"version": "1.0",\n"providers": {"g": {"api": ""}}}', 2, 28, 'Write: "api": "chat" or "api": "responses"'),
        (HEAD + 'providers.g.api_key_env = "A\\tB"', 2, 27, "api_key_env holds a character"),
        (HEAD + "providers.g.tools = true", 2, 21, "tools must be a string, not a boolean"),
        (HEAD + 'providers.g.think_tags = "no"', 2, 26, "think_tags must be a boolean, not a string"),
        (HEAD + 'providers.g.headers."x\\n" = "y"', 2, 29, "name of a header holds a character"),
        (HEAD + 'providers.g.headers.x = "a\\r\\nb: c"', 2, 25, 'header "x" holds a character'),
        (HEAD + "[providers.groq.headers]\nX-A = 1", 3, 7, 'The header "X-A" must be a string'),
        (HEAD + "extends = ['somelib']", 2, 11, "extends must be a table, not a list"),
        (HEAD + "[extends]\npackages = 'somelib'", 3, 12, "packages must be a list"),
        (HEAD + "[extends]\npackages = ['a', 'b c']", 3, 18, '"b c" cannot name a package'),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    write: Write, content: str | bytes, line: int, column: int, says: str
) -> None:
    path = write(content)
    with pytest.raises(LockfileParseError) as caught:
        load(path)
    assert says in str(caught.value)
    said = str(caught.value).removeprefix(f"{path}:{line}:{column}: ")
    assert said[0].isupper() or said.split()[0].partition(".")[0] in FIELDS or said[0] == '"', said
    assert (caught.value.path, caught.value.line, caught.value.column) == (path, line, column)


def test_a_suffix_says_json_where_the_content_does_not(write: Write) -> None:
    with pytest.raises(LockfileParseError, match="not valid JSON"):
        load(write('version = "1.0"', "llmring.json"))
    with pytest.raises(LockfileParseError, match="is an object, not a list"):
        load(write("[]", "llmring.json"))


@pytest.mark.parametrize("version", ["2.0", "1.1", "0.9", "10"])
def test_another_version_is_not_read(write: Write, version: str) -> None:
    path = write(f'# old\nversion = "{version}"\n[profiles]\nanything = 1\n')
    with pytest.raises(LockfileVersionError, match="take the newest llmring") as caught:
        load(path)
    assert (caught.value.path, caught.value.line, caught.value.column) == (path, 2, 11)
    assert str(caught.value).startswith(f'{path}:2:11: The file has version "{version}"; ')


def test_nesting_without_end_is_an_error_and_no_crash(write: Write) -> None:
    for text in (f"{HEAD}a = {'[' * 5000}{']' * 5000}", f'{{"version": "1.0", "a": {"[" * 5000}{"]" * 5000}}}'):
        with pytest.raises(LockfileParseError, match=r"nested too deeply|not valid"):
            load(write(text))


def test_a_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "llmring.lock"
    with pytest.raises(LockfileNotFoundError, match="llmring lock init") as caught:
        load(path)
    assert isinstance(caught.value, FileNotFoundError)
    assert caught.value.path == path
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", str(path))
    with pytest.raises(LockfileNotFoundError, match="LLMRING_LOCKFILE_PATH names it"):
        load(path)


def test_a_file_that_cannot_be_read(tmp_path: Path, write: Write, plain: str) -> None:
    with pytest.raises(LockfileParseError, match="it is a folder"):
        load(tmp_path)
    path = write(plain)
    path.chmod(0)
    if sys.platform != "win32" and os.geteuid() != 0:
        with pytest.raises(LockfileParseError, match="Permission denied"):
            load(path)


def test_an_unknown_profile_names_those_there_are(write: Write, plain: str) -> None:
    with pytest.raises(ConfigurationError, match=r'No profile "prod" in .*There are: default, dev'):
        load(write(plain)).profile("prod")


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("anthropic:claude-haiku-4-5", ("anthropic", "claude-haiku-4-5")),
        ("ollama:llama3.2:3b", ("ollama", "llama3.2:3b")),
        ("openrouter:meta-llama/llama-3:free", ("openrouter", "meta-llama/llama-3:free")),
        ("vllm:/models/llama", ("vllm", "/models/llama")),
    ],
)
def test_a_reference_splits_at_its_first_colon(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("gpt-5", "names no provider"),
        (":gpt-5", "names no provider before the colon"),
        ("openai:", "names no model after the colon"),
        ("", "is empty"),
        ("openai: gpt-5", "white space"),
        ("openai:gpt-5\n", "white space"),
        ("meta-llama/llama-3:free", "names no provider"),
    ],
)
def test_a_malformed_reference_says_how_to_write_it(reference: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{says}.*provider:model") as caught:
        split_reference(reference)
    assert not isinstance(caught.value, LockfileError)


def made_pipe(path: Path) -> None:
    os.mkfifo(path)


def made_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def made_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 16 * 1024 * 1024 + 1)


@pytest.mark.skipif(sys.platform == "win32", reason="there are none of these")
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (made_pipe, "it is a pipe"),
        (made_socket, "it is a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
        (Path.mkdir, "it is a folder"),
        (made_large, "it is larger than 16 MiB"),
    ],
)
def test_what_is_no_plain_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], kind: str
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    make(Path("llmring.lock"))
    with pytest.raises(
        LockfileParseError, match=rf"{kind}, as no lockfile is.*Move it away.*LLMRING_LOCKFILE_PATH=PATH"
    ):
        load("llmring.lock")


@pytest.mark.skipif(not os.path.exists("/proc/self/mounts"), reason="there is no file that is longer than it says")
def test_no_more_is_read_than_a_lockfile_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows while it is read, or does not know its size, has a bound too."""
    monkeypatch.setattr("llmring.lockfile.files.LARGEST", 10)
    with pytest.raises(LockfileParseError, match="is larger than"):
        load("/proc/self/mounts")


@pytest.mark.parametrize("as_json", [False, True])
def test_a_merge_that_ended_in_conflict_is_said_to_be_one(write: Write, plain: str, as_json: bool) -> None:
    text = plain if not as_json else '{\n"version": "1.0"\n}\n'
    first, rest = text.split("\n", 1)
    path = write(f"{first}\n<<<<<<< HEAD\n{rest}=======\n{rest}>>>>>>> other\n")
    with pytest.raises(
        LockfileParseError,
        match=rf'{path}:2:1: A merge of "HEAD" and "other" ended in conflict.*git checkout --ours .*--theirs ',
    ) as caught:
        load(path)
    assert (caught.value.line, caught.value.column) == (2, 1)
    path.write_text(f"{first}\r\n<<<<<<<\r\n{rest}")
    with pytest.raises(LockfileParseError, match=rf"{path}:2:1: A merge ended in conflict"):
        load(path)


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="a pipe is to have a name")
def test_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some files of the system pass for plain ones, and have their reader wait."""
    handle, other = os.pipe()
    os.set_blocking(handle, False)
    monkeypatch.setattr("llmring.lockfile.files._refuse", lambda _: None)
    with pytest.raises(OSError, match="it is a pipe"):
        plain(Path(f"/dev/fd/{handle}"))
    os.close(handle)
    os.close(other)


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """However large one may be: it is read with every edit, and twice where it is young."""
    path = tmp_path / "llmring.lock"
    path.write_bytes(b"#" * 1000)
    tracemalloc.start()
    try:
        assert len(plain(path)) == 1000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
