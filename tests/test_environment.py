"""The development environment's lock holds what `pyproject.toml` asks for, and says nothing of where it came from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
ASKED = [
    *PROJECT["build-system"]["requires"],
    *PROJECT["project"]["dependencies"],
    *(it for extra in ("openai", "anthropic", "google", "ollama", "testing") for it in EXTRAS[extra]),
    *PROJECT["dependency-groups"]["dev"],
]


@pytest.mark.parametrize("asked", ASKED)
def test_what_is_asked_for_is_locked(asked: str) -> None:
    requirement = Requirement(asked)
    versions = re.findall(rf"^{re.escape(canonicalize_name(requirement.name))}==([^ ]+)", LOCK, re.MULTILINE)
    assert versions, "make lock"
    assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), "make lock"


def test_every_version_has_hashes_and_no_address() -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", LOCK, flags=re.MULTILINE).rstrip())
    assert [
        it for it in entries if not re.fullmatch(r"[\w.-]+==[^\n]+(?: \\\n    --hash=sha256:[0-9a-f]{64})+", it)
    ] == []
