"""`llmring lock diff`: against real repositories, as people and programs read it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmring import catalog
from llmring.cli.facts import percent, price, tokens

from .conftest import LOCKFILE, RETIRING, Command, Run

OLD, NEW = "anthropic:claude-haiku-4-5", "openai:gpt-6-luna"
Git = Callable[..., str]


@pytest.fixture
def git(bare: Path) -> Git:
    """Runs git in the working directory, as somebody."""

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *who, *arguments], capture_output=True, text=True, check=True).stdout.strip()

    return git


@pytest.fixture
def committed(project: Path, git: Git) -> Path:
    """The lockfile of a repository with one commit."""
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    return project


def compared(run: Run, *args: str) -> dict[str, Any]:
    result = run("lock", "diff", *args, "--json")
    assert result.exit_code == 0, result.stderr
    said: dict[str, Any] = json.loads(result.stdout)
    return said


def lines(text: str) -> list[str]:
    """Of a table with columns, without the padding."""
    return [re.sub(r" {2,}", " | ", line.strip()) for line in text.splitlines()]


def test_no_change_is_no_output(committed: Path, run: Run) -> None:
    committed.write_text(f"# a remark\n{LOCKFILE}")
    result = run("lock", "diff", "--exit-code")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{committed} says the same as HEAD (" in result.stderr
    said = compared(run)
    assert (said["profiles"], said["settings"]) == ([], [])
    assert "No change" in run("lock", "diff", "--markdown").stdout


def test_another_model_is_compared_in_price_and_window(committed: Path, run: Run) -> None:
    committed.write_text(LOCKFILE.replace(f'"{OLD}", "openai:gpt-5-mini"', f'"{NEW}", "openai:gpt-5-mini"'))
    old, new = catalog.model_info(OLD), catalog.model_info(NEW)
    result = run("lock", "diff")
    assert (result.exit_code, result.stderr) == (0, "")
    first, blank, profile, *rest = lines(result.stdout)
    assert re.fullmatch(r"llmring\.lock since HEAD \([0-9a-f]{10}\)", first)
    assert (blank, profile) == ("", "profile default")
    assert rest == [
        "~ chatbot",
        f"model | {OLD} → {NEW}",
        f"input | {price(old.input_price)} → {price(new.input_price)} ({percent(old.input_price, new.input_price)})",
        f"output | {price(old.output_price)} → {price(new.output_price)} "
        f"({percent(old.output_price, new.output_price)})",
        f"window | {tokens(old.context_window)} → {tokens(new.context_window)} "
        f"({percent(old.context_window, new.context_window)})",
    ]
    assert "(-90%)" in rest[2]
    ((profile_data,),) = [compared(run)["profiles"]]
    assert profile_data["aliases"][0]["input_price"] == {
        "before": old.input_price,
        "after": new.input_price,
        "percent": -90.0,
    }
    assert profile_data["aliases"][0]["context_window"]["after"] == new.context_window
    assert profile_data["aliases"][0]["before"]["models"] == [OLD, "openai:gpt-5-mini"]


def test_stand_bys_and_params_are_named(committed: Path, run: Run) -> None:
    committed.write_text(
        LOCKFILE.replace(', "openai:gpt-5-mini"', "").replace("temperature = 0.3", "temperature = 0.7, top_p = 0.9")
    )
    assert lines(run("lock", "diff").stdout)[3:] == [
        "~ chatbot",
        "stand-bys | openai:gpt-5-mini → none",
        "temperature | 0.3 → 0.7",
        "top_p | none → 0.9",
    ]


def test_aliases_and_profiles_come_and_go(committed: Path, run: Run) -> None:
    run("bind", "fast", NEW)
    run("bind", "night", "ollama:llama3.2", "--profile", "night")
    text = committed.read_text()
    committed.write_text(text.replace("profiles.dev", "profiles.test").replace('name = "dev"', 'name = "test"'))
    shown = lines(run("lock", "diff").stdout)
    for line in ("+ fast", f"model | {NEW}", "+ profile night", "+ profile test", "- profile dev", "- chatbot"):
        assert line in shown
    assert shown[shown.index("+ night") + 1 :][:4] == [
        "model | ollama:llama3.2",
        "input | no price",
        "output | no price",
        "window | unknown",
    ]
    changes = {profile["name"]: profile["change"] for profile in compared(run)["profiles"]}
    assert changes == {"default": "changed", "night": "added", "test": "added", "dev": "removed"}


def test_a_price_that_is_not_known_says_so(committed: Path, run: Run) -> None:
    committed.write_text(LOCKFILE.replace(OLD, "acme:rocket-1"))
    shown = run("lock", "diff").stdout
    assert f"{price(catalog.model_info(OLD).input_price)} → unknown\n" in shown
    assert compared(run)["profiles"][0]["aliases"][0]["input_price"]["percent"] is None


def test_a_model_that_ends_is_remarked(committed: Path, ends: None, run: Run) -> None:
    committed.write_text(LOCKFILE.replace(OLD, RETIRING))
    assert "remark | retires 2086-05-01" in lines(run("lock", "diff").stdout)
    assert f"- `chatbot`: `{RETIRING}` retires 2086-05-01\n" in run("lock", "diff", "--markdown").stdout


def test_settings_are_compared_too(committed: Path, run: Run) -> None:
    committed.write_text(
        LOCKFILE.replace('default_profile = "default"', 'default_profile = "dev"')
        + '[extends]\npackages = ["somelib"]\n[providers.groq]\nsdk = "openai"\nheaders = { "x.team" = "web" }\n'
    )
    assert lines(run("lock", "diff").stdout)[2:] == [
        "settings",
        '~ default_profile: "default" → "dev"',
        '+ extends.packages: ["somelib"]',
        '+ providers.groq.sdk: "openai"',
        '+ providers.groq.headers."x.team": "web"',
    ]
    assert compared(run)["settings"][0] == {
        "place": ["default_profile"],
        "change": "changed",
        "before": "default",
        "after": "dev",
    }


def test_markdown_for_a_pull_request(committed: Path, run: Run) -> None:
    committed.write_text(LOCKFILE.replace(OLD, NEW).replace("temperature = 0.3", "temperature = 0.7"))
    run("bind", "a|`b`", "ollama:llama3.2")
    result = run("lock", "diff", "main", "--markdown")
    assert result.stdout.startswith("### `llmring.lock` since `main`\n\n**Profile `default`**\n\n| alias |")
    table = [line for line in result.stdout.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {6}, "as many cells in every row"
    assert table[2].startswith(f"| `chatbot` | `{OLD}` → `{NEW}` | $1.00 → $0.10 (-90%) |")
    assert table[3] == "| `` a\\|`b` `` (new) | `ollama:llama3.2` | no price | no price | unknown |"
    assert "- `chatbot`: temperature `0.3` → `0.7`\n" in result.stdout
    assert "US dollars for a million tokens" in result.stdout


def test_exit_code_says_whether_anything_changed(committed: Path, command: Command) -> None:
    assert command("lock", "diff", "--exit-code").returncode == 0
    committed.write_text(LOCKFILE.replace(OLD, NEW))
    for form in ((), ("--json",), ("--markdown",)):
        assert command("lock", "diff", *form).returncode == 0
        assert command("lock", "diff", "--exit-code", *form).returncode == 1


def test_any_revision_will_do(committed: Path, git: Git, run: Run) -> None:
    committed.write_text(LOCKFILE.replace(OLD, NEW))
    git("commit", "-qam", "second")
    assert compared(run)["profiles"] == []
    first = git("rev-parse", "HEAD~1")
    for revision in ("HEAD~1", first, first[:9], ":/first", "main~"):
        said = compared(run, revision)
        assert [alias["alias"] for alias in said["profiles"][0]["aliases"]] == ["chatbot"]
        assert said["since"] == {"file": "llmring.lock", "revision": revision, "commit": first}


def test_a_lockfile_below_the_top_and_one_that_was_moved(
    committed: Path, git: Git, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = committed.parent / "app dir"
    folder.mkdir()
    git("mv", "llmring.lock", "app dir/llmring.lock")
    moved = folder / "llmring.lock"
    moved.write_text(f"{LOCKFILE}# moved\n")
    git("add", ".")
    monkeypatch.chdir(folder)
    said = compared(run)
    assert (said["profiles"], said["since"]["file"]) == ([], "llmring.lock")
    git("commit", "-qam", "moved")
    moved.write_text(LOCKFILE.replace(OLD, NEW))
    (folder / "deeper").mkdir()
    monkeypatch.chdir(folder / "deeper")
    assert compared(run)["since"]["file"] == "app dir/llmring.lock"
    assert compared(run, "HEAD~1")["since"]["file"] == "llmring.lock"
    assert compared(run, "HEAD~1:llmring.lock")["profiles"][0]["aliases"][0]["after"]["models"][0] == NEW


def test_a_file_that_was_not_there_is_all_new(committed: Path, git: Git, run: Run) -> None:
    git("rm", "-q", "--cached", "llmring.lock")
    git("commit", "-q", "-m", "without")
    result = run("lock", "diff")
    assert result.exit_code == 0
    assert "llmring.lock was not there at HEAD" in result.stderr
    assert lines(result.stdout)[2:5] == ["+ profile default", "+ chatbot", f"model | {OLD}"]
    assert compared(run)["since"]["file"] is None


def test_another_file(project: Path, run: Run) -> None:
    other = project.with_name("other.lock")
    other.write_text(LOCKFILE.replace(OLD, NEW))
    said = compared(run, "other.lock")
    assert said["since"] == {"file": "other.lock", "revision": None, "commit": None}
    alias = said["profiles"][0]["aliases"][0]
    assert (alias["before"]["models"][0], alias["after"]["models"][0]) == (NEW, OLD)
    other.write_text(json.dumps({"version": "1.0"}))
    assert {profile["name"] for profile in compared(run, str(other))["profiles"]} == {"default", "dev"}


def test_a_name_that_is_both_is_not_guessed(committed: Path, run: Run) -> None:
    committed.with_name("main").write_text(LOCKFILE.replace(OLD, NEW))
    result = run("lock", "diff", "main")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "llmring lock diff ./main" in result.stderr
    assert compared(run, "main^0")["profiles"] == []
    assert len(compared(run, "./main")["profiles"]) == 1


@pytest.mark.parametrize(
    ("older", "words"),
    [
        ("version = ", [":1:11:", "TOML"]),
        ('version = "9.0"', ["9.0"]),
        (f'version = "1.0"\n# s{"k-"}{"a" * 30}\n', [":2:3:", "looks like an API key"]),
    ],
)
def test_a_file_that_was_broken_then_says_where(
    committed: Path, git: Git, run: Run, older: str, words: list[str]
) -> None:
    committed.write_text(older)
    git("commit", "-qam", "broken")
    committed.write_text(LOCKFILE)
    result = run("lock", "diff")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: The older lockfile cannot be read. HEAD:llmring.lock")
    for word in (*words, "llmring lock diff REV"):
        assert word in result.stderr
    assert "aaaa" not in result.stderr
    assert compared(run, "HEAD~1")["profiles"] == []


@pytest.mark.parametrize("revision", ["nope", "-x", "--output=/dev/null", "", "HEAD~7", "x" * 5000])
def test_what_is_no_revision_is_an_error(committed: Path, command: Command, revision: str) -> None:
    done = command("lock", "diff", "--", revision)
    assert (done.returncode, done.stdout) == (1, "")
    assert "git knows no revision" in done.stderr


def test_outside_of_a_repository_a_file_can_be_named(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(project.parent.parent))
    result = run("lock", "diff")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "not a git repository" in result.stderr
    assert "llmring lock diff FILE" in result.stderr


def test_without_a_lockfile_the_next_step_is_named(bare: Path, run: Run) -> None:
    result = run("lock", "diff")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "llmring lock init" in result.stderr


def test_a_header_with_a_secret_is_not_printed(committed: Path, git: Git, command: Command) -> None:
    """Of neither side: the file of a revision is refused as the one that is there is."""
    committed.write_text(f'{LOCKFILE}\n[providers.groq.headers]\nX-Token = "hunter2"\n')
    git("commit", "-aqm", "second")
    committed.write_text(LOCKFILE)
    for args in ([], ["--markdown"], ["--json"]):
        done = command("lock", "diff", *args)
        assert "hunter2" not in done.stdout + done.stderr
        assert (done.returncode, "X-Token looks like a secret" in done.stderr) == (1, True)


def test_params_that_json_cannot_say_are_null(committed: Path, run: Run) -> None:
    committed.write_text(LOCKFILE.replace("temperature = 0.3", "temperature = nan"))
    said = json.loads(run("lock", "diff", "--json").stdout, parse_constant=pytest.fail)
    assert "0.3" in json.dumps(said)
