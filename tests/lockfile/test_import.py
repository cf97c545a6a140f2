"""What naming the package costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llmring import lockfile

HEAVY = {"asyncio", "click", "pydantic", "rich", "tomli_w", "tomlkit", "typer"}


def loaded(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_loads_none_of_it() -> None:
    modules = loaded("import llmring.lockfile")
    assert not {name for name in modules if name.startswith("llmring.lockfile.")}


def test_reading_and_editing_load_nothing_heavy() -> None:
    modules = loaded("from llmring.lockfile import LiveLockfile, bind, find_lockfile, load, resolve")
    assert modules.isdisjoint(HEAVY)


def test_following_loads_nothing_of_what_edits() -> None:
    modules = loaded("from llmring.lockfile import LiveLockfile, find_lockfile, load, resolve")
    assert modules.isdisjoint(
        {f"llmring.lockfile.{name}" for name in ("edits", "changes", "document", "rendering", "writing")}
    )


def test_a_good_file_is_not_scanned_for_the_places_of_errors() -> None:
    modules = loaded("""from llmring.lockfile import parse; parse(b'version = "1.0"')""")
    assert modules.isdisjoint({"json", "llmring.lockfile.places", "llmring.lockfile.rendering"})


def test_every_name_is_there() -> None:
    assert set(lockfile.__all__) <= set(dir(lockfile))
    for name in lockfile.__all__:
        assert getattr(lockfile, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = lockfile.nothing  # type: ignore[attr-defined]
