"""The example of a package that brings a provider: installed into an environment of its own, it serves and passes."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from llmring.testing import Reply
from llmring.testing.conformance import ScriptServer

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parents[1] / "examples" / "provider-package"
ASK = """
import asyncio
from llmring import LLMRequest, LLMRing, Message

async def main():
    async with LLMRing() as service:
        request = LLMRequest(model="helper", messages=[Message(role="user", content="Who are you?")])
        async for chunk in service.chat_stream(request):
            print(chunk.delta, end="|")
        print(chunk.model, chunk.finish_reason, chunk.usage["total_tokens"])
        print((await service.chat(request)).content)

asyncio.run(main())
"""
MUTE = """
import sys, llmring
from llmring.cli import main
from llmring.providers import Provider
from llmring_larkspur import Larkspur

class Mute(Larkspur):
    list_models = Provider.list_models

llmring.register("mute", Mute)
sys.argv = ["llmring", *{arguments!r}]
main()
"""
LOCKFILE = """
version = "1.0"
default_profile = "default"

[[profiles.default.bindings]]
alias = "helper"
models = ["larkspur:lark-2"]

[providers.larkspur]
base_url = "{url}/v2"
"""


@dataclass(frozen=True)
class Installed:
    """An environment in which the example is installed, beside what is in ours, and a copy of its folder."""

    bin: Path
    folder: Path

    def run(self, *command: str, cwd: Path, **variables: str) -> str:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "PYTHON", "VIRTUAL"))}
        done = subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=cwd,
            env={**kept, "PYTHONWARNINGS": "error", "NO_PROXY": "127.0.0.1", **variables},
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Offline: what it needs, its build backend too, is in our environment, which the new one looks into."""
    place = tmp_path_factory.mktemp("example")
    folder = place / "package"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", ".*_cache", "dist"))
    made = place / "env"
    uv = shutil.which("uv")
    venv.create(made, with_pip=uv is None)
    bin = made / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(bin / "python")
    where = sysconfig.get_path("purelib", vars={"base": str(made), "platbase": str(made)})
    ours = sysconfig.get_path("purelib")
    Path(where, "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    offline = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, *offline, str(folder)], check=True, cwd=place, timeout=300)
    return Installed(bin, folder)


@pytest.fixture
def larkspur() -> ModuleType:
    """The module with the example's server."""
    spec = importlib.util.spec_from_file_location("larkspur", EXAMPLE / "tests" / "larkspur.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(bare: Path, larkspur: ModuleType) -> Iterator[Path]:
    """A project whose alias is served by the example, of which a scripted server is the vendor."""
    with ScriptServer(larkspur.LarkspurServer()) as server:
        server.default = Reply(chunks=["I am", " a lark."])
        (bare / "llmring.lock").write_text(LOCKFILE.format(url=server.url))
        yield bare
        assert {request.headers.get("x-larkspur-key") for request in server.requests} <= {"a-key-of-larkspur"}


def test_it_serves_an_alias(installed: Installed, project: Path) -> None:
    said = installed.run("python", "-c", ASK, cwd=project, LARKSPUR_API_KEY="a-key-of-larkspur")
    streamed, whole = said.splitlines()
    assert re.fullmatch(r"I am\| a lark\.\|\|larkspur:lark-2 stop \d+", streamed)
    assert whole == "I am a lark."


def test_the_commands_know_it(installed: Installed, project: Path) -> None:
    key = {"LARKSPUR_API_KEY": "a-key-of-larkspur"}
    listed = json.loads(installed.run("python", "-m", "llmring", "providers", "--json", cwd=project, **key))
    (row,) = [row for row in listed if row["provider"] == "larkspur"]
    assert row["origin"] == "package llmring-larkspur 0.1.0"
    asked = installed.run("python", "-m", "llmring", "chat", "Who are you?", "--model", "helper", cwd=project, **key)
    assert asked == "I am a lark.\n"
    installed.run("python", "-m", "llmring", "lock", "check", "--strict", cwd=project, **key)


@pytest.mark.parametrize("arguments", [["doctor"], ["providers", "--check"]], ids=" ".join)
def test_one_that_lists_no_models_is_none_that_does_not_serve(
    installed: Installed, project: Path, arguments: list[str]
) -> None:
    lockfile = project / "llmring.lock"
    lockfile.write_text(lockfile.read_text().replace("larkspur", "mute") + 'api_key_env = "MUTE_KEY"\n')
    program = MUTE.format(arguments=arguments)
    assert "mute" in installed.run("python", "-c", program, cwd=project, MUTE_KEY="a-key-of-larkspur")


def test_its_own_suite_passes(installed: Installed) -> None:
    said = installed.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=installed.folder)
    counted = re.search(r"(\d+) passed", said)
    assert counted is not None
    assert int(counted[1]) > 60
    assert " failed" not in said
