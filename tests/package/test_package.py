"""What belongs to the package beside its code. `make dist` builds it, installs it, and uses it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_an_old_python_is_told_what_is_needed() -> None:
    program = "import sys; sys.version_info = (3, 10, 14, 'final', 0); sys.version = '3.10.14 (main)'; import llmring"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("ImportError: llmring needs Python 3.11 or newer; this is 3.10.14.\n")
    assert PROJECT["requires-python"] == ">=3.11"


def test_the_help_names_the_documentation() -> None:
    done = subprocess.run([sys.executable, "-m", "llmring", "--help"], capture_output=True, text=True, check=True)
    said = " ".join(done.stdout.split())
    assert f"Documentation: {PROJECT.get('urls', {}).get('Documentation', 'docs/index.md')} " in said
    assert (ROOT / "docs" / "index.md").is_file()


def test_the_developers_are_named_as_one() -> None:
    assert PROJECT["authors"] == [{"name": "the llmring developers"}]
    for name in ("plugin.json", "marketplace.json"):
        written = json.loads((ROOT / ".claude-plugin" / name).read_text(encoding="utf-8"))
        assert (written.get("author") or written["owner"]) == PROJECT["authors"][0]


def test_the_plugin_has_the_skills() -> None:
    plugin = json.loads((ROOT / ".claude-plugin" / "plugin.json").read_text(encoding="utf-8"))
    market = json.loads((ROOT / ".claude-plugin" / "marketplace.json").read_text(encoding="utf-8"))
    (listed,) = market["plugins"]
    assert listed["name"] == plugin["name"] == "llmring"
    assert (ROOT / listed["source"] / ".claude-plugin" / "plugin.json").is_file()
    skills = {path.parent.name for path in (ROOT / plugin["skills"]).glob("*/SKILL.md")}
    page = (ROOT / "docs" / "assistants.md").read_text(encoding="utf-8")
    assert skills
    assert [skill for skill in skills if f"| `{skill}` |" not in page] == []


def test_a_release_needs_no_secret() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert "secrets." not in text
    assert workflow["permissions"] == {}
    jobs = workflow["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert [name for name, job in jobs.items() if "id-token" in job["permissions"]] == ["publish"]
    assert (jobs["publish"]["needs"], jobs["install"]["needs"]) == ("install", "build")
    tested = set(jobs["install"]["strategy"]["matrix"]["python"])
    named = {it.rpartition(" ")[2] for it in PROJECT["classifiers"] if it.startswith("Programming Language")}
    assert tested == named
