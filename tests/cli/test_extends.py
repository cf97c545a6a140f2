"""Aliases that installed packages ship, as the commands know them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from llmring.testing import PracticeServer

Run = Callable[..., Result]

SHIPPED = 'version = "1.0"\n[[profiles.default.bindings]]\nalias = "summarizer"\nmodels = ["ollama:llama3.2"]\n'
APP = "from llmring import LLMRing\n\nLLMRing().require_aliases(['{}:summarizer'])\n"


@pytest.fixture
def library(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The import name of an installed package that ships an alias; its distribution has dots for underscores."""
    name = f"lib_{time.monotonic_ns()}"
    site = tmp_path_factory.mktemp("site")
    folder = site / name
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('a package was imported')")
    (folder / "llmring.lock").write_text(SHIPPED)
    (site / "bare_lib").mkdir()
    (site / "bare_lib" / "__init__.py").touch()
    info = site / f"x_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: x-{name}\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n{name}/llmring.lock,,\n")
    monkeypatch.syspath_prepend(str(site))
    return name


def extending(bare: Path, *packages: str) -> None:
    listed = ", ".join(f'"{it}"' for it in packages)
    (bare / "llmring.lock").write_text(f'version = "1.0"\n\n[extends]\npackages = [{listed}]\n')


def test_an_extended_alias_is_asked_where_there_is_no_other(
    run: Run, bare: Path, server: PracticeServer, library: str
) -> None:
    extending(bare, library)
    result = run("chat", "hi")
    assert (result.exit_code, result.stdout) == (0, "You said: hi\n"), result.output
    assert [request.wire for request in server.requests] == ["ollama"]


def test_check_names_the_package_that_is_not_listed(run: Run, bare: Path, library: str) -> None:
    extending(bare)
    (bare / "app.py").write_text(APP.format(library))
    result = run("lock", "check")
    said = " ".join(result.output.split())
    assert result.exit_code == 1
    assert f'The installed package "{library}" ships the alias "summarizer"' in said
    assert f'packages = ["{library}"]' in said
    assert "base_url" not in said


@pytest.mark.parametrize("name", ["llmring.lock", None])
def test_info_names_the_package_that_is_not_listed(run: Run, bare: Path, library: str, name: str | None) -> None:
    if name is not None:
        extending(bare)
    result = run("info", f"{library}:summarizer")
    said = " ".join(result.stderr.split())
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"There is no provider '{library}'. The installed package \"{library}\" ships the alias" in said
    assert said.endswith(f'packages = ["{library}"]')
    assert "base_url" in run("info", f"{library}:nothing").stderr


def test_info_names_the_package_of_extends_that_is_missing(run: Run, bare: Path) -> None:
    extending(bare, "no_such_lib")
    said = run("info", "no_such_libb:summarizer").stderr
    assert '[extends] names the package "no_such_lib", which is not installed here.' in " ".join(said.split())
    with (bare / "llmring.lock").open("a") as file:
        file.write('[providers.no_such_libb]\nsdk = "opanai"\n')
    said = run("info", "no_such_libb:summarizer").stderr
    assert "opanai" in said
    assert "[extends]" not in said, "it is no package's name"


def test_a_package_that_is_missing_is_no_warning_where_doctor_finds_it(run: Run, bare: Path) -> None:
    extending(bare, "no_such_lib")
    said = run("doctor")
    assert "no_such_lib" in said.stdout
    assert said.stderr == run("providers").stderr == "", "doctor has said it"
    assert 'Warning: [extends] names the package "no_such_lib"' in run("aliases").stderr


def test_a_file_of_json_gets_advice_in_json(run: Run, bare: Path, library: str) -> None:
    (bare / "llmring.lock").write_text('{"version": "1.0"}')
    (bare / "app.py").write_text(APP.format(library))
    for args in (["lock", "check"], ["info", f"{library}:summarizer"]):
        said = " ".join(run(*args).output.split())
        assert f'write in {bare / "llmring.lock"}: "extends": {{"packages": ["{library}"]}}' in said
    (bare / "app.py").write_text(APP.format("acme"))
    for args in (["lock", "check"], ["bind", "chatbot", "acme:rocket-1"]):
        said = " ".join(run(*args).output.split())
        assert 'under "providers", "acme": {"sdk": "openai", "base_url": "https://..."}' in said
        assert "[providers" not in said


@pytest.mark.parametrize("prefix", ["", "x-"])
@pytest.mark.parametrize("asked", ["", "x-"])
def test_check_knows_both_names_of_a_package(run: Run, bare: Path, library: str, prefix: str, asked: str) -> None:
    extending(bare, prefix + library)
    (bare / "app.py").write_text(APP.format(asked + library))
    result = run("lock", "check", "--strict")
    assert result.exit_code == 0, result.output
    (bare / "app.py").write_text(APP.format(asked + library).replace("summarizer", "summariser"))
    result = run("lock", "check")
    assert result.exit_code == 1
    assert f'The alias "{asked}{library}:summariser" is not bound' in " ".join(result.output.split())


def test_check_gives_one_piece_of_advice_for_a_package_without_a_lockfile(run: Run, bare: Path, library: str) -> None:
    extending(bare, "bare_lib")
    said = " ".join(run("lock", "check").output.split())
    assert "Take it out of [extends], or install a version that has one." in said
    assert "Install the package" not in said
    extending(bare, "bare_libb")
    said = " ".join(run("lock", "check").output.split())
    assert said.count("take it out of [extends]") == 1
