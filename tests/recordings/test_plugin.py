"""The pytest plugin, as a project has it that installed llmring."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

LOCK = """version = "1.0"
default_profile = "default"
[profiles.default]
name = "default"
[[profiles.default.bindings]]
alias = "chatbot"
models = ["ollama:llama3.2"]
[profiles.test]
name = "test"
[[profiles.test.bindings]]
alias = "chatbot"
models = ["record:tests/chat.jsonl+ollama:llama3.2"]
[profiles.own]
name = "own"
[[profiles.own.bindings]]
alias = "chatbot"
models = ["acme:one"]
[providers.acme]
sdk = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key_env = "ACME_SECRET"
"""
HEAD = """
import os
import pytest
from llmring import LLMRequest, Message
from llmring.sync import LLMRing

def ask(text):
    with LLMRing(max_retries=0) as service:
        return service.chat(LLMRequest(model="chatbot", messages=[Message(role="user", content=text)])).content
"""


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tests").mkdir()
        (folder / "llmring.lock").write_text(LOCK)
        (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\nfilterwarnings = error\n")

    def write(self, text: str, name: str = "test_it.py") -> None:
        (self.folder / "tests" / name).write_text(HEAD + text)

    def run(self, *options: str, **environ: str) -> str:
        """What pytest prints, in short."""
        # Other packages' plugins take longer than all of this.
        ours = ["-p", "llmring.recordings.plugin", "-p", "xdist"]
        alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ours, *options],
            cwd=self.folder,
            env={**os.environ, **alone, **environ},
            capture_output=True,
            text=True,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.stdout

    @property
    def recorded(self) -> list[dict[str, object]]:
        path = self.folder / "tests" / "chat.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def project(bare: Path) -> Project:
    return Project(bare)


def outcome(output: str) -> str:
    found = re.findall(r"\d+ (?:passed|failed|error)s?", output)
    return ", ".join(found)


ASKS = """
@pytest.mark.llmring(profile="test")
@pytest.mark.parametrize("text", ["Hi", "Ho"])
def test_asks(text):
    assert ask(text).startswith("You said: ")
"""


def test_recorded_once_and_replayed_from_then_on(project: Project, server: object) -> None:
    """In any order, in parallel, and with nobody there any more."""
    project.write(ASKS)
    assert outcome(project.run()) == "2 failed"
    assert outcome(project.run("--llmring-record=missing")) == "2 passed"
    assert [it["test"] for it in project.recorded] == [f"tests/test_it.py::test_asks[{it}]" for it in ("Hi", "Ho")]
    before = project.recorded
    nobody = {"OLLAMA_HOST": "http://127.0.0.1:9"}
    for options in (["-n", "2"], ["-k", "Ho"]):
        assert outcome(project.run(*options, **nobody)).endswith("passed"), options
    assert project.recorded == before
    assert outcome(project.run("--llmring-record=all")) == "2 passed"
    assert len(project.recorded) == 2


def test_what_is_not_asked_for_fails_the_test(project: Project, server: object) -> None:
    both = '@pytest.mark.llmring(profile="test")\ndef test_it():\n    ask("Hi")\n    ask("Ho")\n'
    project.write(both)
    assert outcome(project.run("--llmring-record=missing")) == "1 passed"
    project.write(both.replace('    ask("Ho")\n', ""))
    output = project.run()
    assert outcome(output) == "1 failed"
    assert "1 of what this test has recorded was not asked for" in output
    assert "Ho" in output
    project.write(both.replace('    ask("Ho")\n', "").replace('    ask("Hi")\n', "    pass\n"))
    assert "2 of what this test has recorded were not asked for" in project.run()
    # Who prunes runs the tests to learn of it, and not to hear that they fail.
    assert outcome(project.run(LLMRING_REPLAY_USED=str(project.folder / "used"))) == "1 passed"
    # What is recorded anew is all that there is.
    assert outcome(project.run("--llmring-record=all")) == "1 passed"
    assert project.recorded == []


def test_what_was_never_recorded_fails_the_test_that_swallows_it(project: Project) -> None:
    project.write(
        '@pytest.mark.llmring(profile="test")\n'
        "def test_it():\n    try:\n        ask('Hi')\n    except Exception:\n        pass\n"
    )
    output = project.run()
    assert outcome(output) == "1 failed"
    assert "Asked for what was not recorded" in output


def test_no_key_is_there_unless_that_is_asked_for(project: Project) -> None:
    names = ["OPENAI_API_KEY", "GROQ_API_KEY", "GEMINI_API_KEY", "ACME_SECRET", "ANTHROPIC_API_KEY"]
    project.write(
        f"@pytest.mark.parametrize('name', {names})\n"
        "@pytest.mark.parametrize('fixture', ['llmring_replay', 'llmring_lockfile', 'llmring_server'])\n"
        "def test_it(request, name, fixture):\n"
        "    request.getfixturevalue(fixture)\n"
        "    assert 'real' not in os.environ.get(name, '')\n"
        "def test_without(): assert os.environ['OPENAI_API_KEY'] == 'real'\n"
    )
    real = dict.fromkeys(names, "real")
    assert outcome(project.run(**real)) == f"{len(names) * 3 + 1} passed"
    assert outcome(project.run("--llmring-live", **real)) == "13 failed, 3 passed"


def test_the_server_is_where_the_environment_points(project: Project) -> None:
    project.write(
        "def test_it(llmring_server, llmring_lockfile):\n"
        "    llmring_server.reply('Hello')\n"
        "    assert ask('Hi') == 'Hello'\n"
        "def test_unasked(llmring_server):\n"
        "    llmring_server.reply('Nobody asks')\n"
    )
    output = project.run()
    assert outcome(output) == "1 failed, 1 passed"
    assert "never asked for; the first is 'Nobody asks'" in output


def test_the_lockfile_is_the_tests_own(project: Project) -> None:
    project.write(
        "def test_it(llmring_server, llmring_lockfile):\n"
        "    with LLMRing() as service:\n"
        "        service.bind_alias('chatbot', 'openai:gpt-5-mini')\n"
        "    assert ask('Hi') == 'You said: Hi'\n"
        "    assert 'openai' in llmring_lockfile.read_text()\n"
    )
    assert outcome(project.run()) == "1 passed"
    assert (project.folder / "llmring.lock").read_text() == LOCK
    (project.folder / "llmring.lock").unlink()
    assert outcome(project.run()) == "1 passed"


def test_a_marker_that_is_wrong_says_what_it_takes(project: Project) -> None:
    project.write('@pytest.mark.llmring(profil="test")\ndef test_it(): pass\n')
    assert "takes profile=..., repeat=..." in project.run()


def test_it_costs_nothing_where_it_is_not_used(project: Project) -> None:
    """Nothing of llmring is imported but what the plugin stands in, and no extra; and pytest finds it by itself."""
    (project.folder / "tests" / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    own = {it for it in sys.modules if it.startswith('llmring.')}\n"
        "    assert own == {'llmring.lazy', 'llmring.recordings', 'llmring.recordings.plugin'}\n"
        "    assert not {'h11', 'pydantic', 'openai', 'typer'} & sys.modules.keys()\n"
    )
    assert outcome(project.run()) == "1 passed"
    (found,) = [it for it in metadata.entry_points(group="pytest11") if it.name == "llmring"]
    assert found.value == "llmring.recordings.plugin"


def test_without_the_extra_its_server_says_what_to_install(project: Project) -> None:
    project.write("def test_it(llmring_server): pass\n")
    (project.folder / "conftest.py").write_text("import sys\nsys.modules['h11'] = None\n")
    assert "pip install h11" in project.run()


def test_a_fault_bends_what_is_replayed(project: Project, server: object) -> None:
    project.write(
        "from llmring.testing import Fault\n"
        '@pytest.mark.llmring(profile="test")\n'
        "def test_it(llmring_replay):\n"
        "    if llmring_replay.mode == 'none':\n"
        "        llmring_replay.fault = Fault.hang_up()\n"
        "        with pytest.raises(Exception, match='hung up|broke|connection'): ask('Hi')\n"
        "    else:\n"
        "        ask('Hi')\n"
    )
    assert outcome(project.run("--llmring-record=missing")) == "1 passed"
    assert outcome(project.run()) == "1 passed"
