"""The skills keep to the Agent Skills specification, https://agentskills.io/specification, and stand by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import skills_ref  # type: ignore[import-untyped]

SKILLS = sorted((Path(__file__).parents[1] / "skills").iterdir())
LINK = re.compile(r"\]\(([^)#\s]+)")


def test_each_subject_has_a_skill() -> None:
    subjects = {"chat", "lockfile", "parts", "providers", "streaming", "structured-output", "testing", "tools"}
    assert {skill.name for skill in SKILLS} >= {f"llmring-{subject}" for subject in subjects}


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_the_reference_validator_finds_nothing(skill: Path) -> None:
    assert skills_ref.validate(skill) == []


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_it_says_what_and_when_and_can_be_loaded_whole(skill: Path) -> None:
    written = (skill / "SKILL.md").read_text(encoding="utf-8")
    what, _, when = skills_ref.read_properties(skill).description.partition(" Use when ")
    assert what
    assert when
    assert written.count("\n") < 500, "long matter goes to references/"
    assert "```python\n" in written


@pytest.mark.parametrize("skill", SKILLS, ids=lambda skill: skill.name)
def test_its_links_lead_to_files_of_its_own(skill: Path) -> None:
    """A skill is copied without the repository, and its files are one level below it at most."""
    for page in skill.rglob("*.md"):
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            if not link.startswith("https://"):
                target = (page.parent / link).resolve()
                assert target.is_file(), link
                assert len(target.relative_to(skill).parts) <= 2, link
    for name in re.findall(r"skill `([\w-]+)`", (skill / "SKILL.md").read_text(encoding="utf-8")):
        assert (skill.parent / name).is_dir(), name
