"""`python -m tests.package`: wheel and source distribution, as a stranger installs them.

The wheel is built out of the source distribution. Both are installed with pip into bare environments, on each Python
that is there; there the package is imported, the command is asked for help, and the demo runs. mypy and pyright check a
program that uses the package from outside. A Python that is too old is told what is needed. With `--tests`, the source
distribution runs its own tests.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "package"
PROGRAM = Path(__file__).with_name("typed_program.py")
OLDEST = (3, 11)
SMOKE = """
import importlib.metadata, sys, llmring
assert "site-packages" in llmring.__file__, llmring.__file__
assert llmring.__version__ == importlib.metadata.version("llmring")
assert not {"openai", "anthropic", "google.genai", "ollama", "pydantic"} & set(sys.modules)
from llmring import LLMRing, LLMRequest
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tests", action="store_true", help="run the tests of the source distribution, too")
    asked = parser.parse_args()
    shutil.rmtree(PLACE, ignore_errors=True)
    wheel, sdist, sources = build()
    contents(wheel, sdist)
    pythons = found()
    if not any(version >= OLDEST for version in pythons):
        raise SystemExit("There is no Python to install it with.")
    for version, python in pythons.items():
        name = ".".join(map(str, version))
        if version < OLDEST:
            refused(python, wheel, sources)
            print(f"Python {name}: refused, and told why")
            continue
        for what in (wheel, sdist):
            installed(python, what, PLACE / f"{name}-{what.suffix[1:]}")
            print(f"Python {name}: {what.name} installed, imported, demo ran")
    newest = max(pythons)
    typed(PLACE / f"{'.'.join(map(str, newest))}-whl")
    print("mypy --strict and pyright find nothing in a program that uses it")
    if asked.tests:
        run("make", "test", "PYTHON=" + sys.executable, cwd=sources, show=True)
    return 0


def build() -> tuple[Path, Path, Path]:
    """Wheel, source distribution, and the sources that came out of that."""
    hatchling = (sys.executable, "-m", "hatchling", "build", "-d", PLACE)
    run(*hatchling, "-t", "sdist", cwd=ROOT)
    (sdist,) = PLACE.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        packed.extractall(PLACE, filter="data")
    sources = PLACE / sdist.name.removesuffix(".tar.gz")
    run(*hatchling, "-t", "wheel", cwd=sources)
    (wheel,) = PLACE.glob("*.whl")
    return wheel, sdist, sources


def contents(wheel: Path, sdist: Path) -> None:
    """What belongs into each is in it, and nothing else."""
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        said = packed.read(metadata).decode()
    assert "llmring/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"llmring", metadata.partition("/")[0]}
    assert re.search(r"^Author: the llmring developers$", said, re.MULTILINE), said[:800]
    assert re.search(r"^Requires-Python: >=3\.11$", said, re.MULTILINE)
    with tarfile.open(sdist) as packed:
        inside = {name.partition("/")[2] for name in packed.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    left_out = {name for name in tracked if name and name not in inside and not name.startswith((".github/", ".git"))}
    assert not left_out, f"the source distribution lacks {sorted(left_out)[:10]}"


def found() -> dict[tuple[int, int], str]:
    """The Pythons of this machine, by version."""
    places = [*os.environ.get("PATH", "").split(os.pathsep)]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places += [str(path) for path in sorted(versions.glob("3.*/bin"))]
    pythons: dict[tuple[int, int], str] = {}
    for minor in range(10, 20):
        for place in places:
            python = shutil.which(f"python3.{minor}", path=place)
            # A shim that stands for a version which is not chosen starts nothing. Debian's may make no environment.
            makes = "import ensurepip, venv"
            if python and not subprocess.run([python, "-c", makes], capture_output=True, check=False).returncode:
                pythons.setdefault((3, minor), python)
    return pythons


def installed(python: str, what: Path, place: Path) -> None:
    """Into an environment of its own, from the package index, and used there."""
    run(python, "-m", "venv", place)
    bin = place / ("Scripts" if os.name == "nt" else "bin")
    run(bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{what}[all,testing]")
    run(bin / "python", "-W", "error", "-c", SMOKE)
    assert "ocumentation" in run(bin / "llmring", "--help")
    assert "ollama" in run(bin / "llmring", "demo").lower()


def refused(python: str, wheel: Path, sources: Path) -> None:
    """Told what is needed: by pip, and by the package where somebody gets around pip."""
    place = PLACE / "old"
    run(python, "-m", "venv", place)
    bin = place / ("Scripts" if os.name == "nt" else "bin")
    told = subprocess.run(
        [bin / "python", "-m", "pip", "install", "--no-deps", wheel], capture_output=True, text=True, check=False
    )
    assert told.returncode
    assert ">=3.11" in told.stderr, told.stderr
    around = subprocess.run(
        [bin / "python", "-c", "import llmring"],
        env={**os.environ, "PYTHONPATH": str(sources / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "needs Python 3.11 or newer" in around.stderr, around.stderr


def typed(place: Path) -> None:
    """Checked by both, with the package as it was installed."""
    bin = place / ("Scripts" if os.name == "nt" else "bin")
    run(bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "mypy", "pyright")
    program = place / PROGRAM.name
    shutil.copyfile(PROGRAM, program)
    run(bin / "mypy", "--strict", program, cwd=place)
    run(bin / "pyright", "--pythonpath", bin / "python", program, cwd=place)


def run(*command: object, cwd: Path | None = None, show: bool = False) -> str:
    """What it says; an error, with all that it said, if it fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL", "LLMRING"))}
    done = subprocess.run(
        [str(it) for it in command],
        cwd=cwd or PLACE,
        env=kept,
        stdout=None if show else subprocess.PIPE,
        stderr=None if show else subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout or ''}")
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main())
