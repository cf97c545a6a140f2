"""The door of the suite: what an author imports, and what they are told where something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmring.testing import conformance
from llmring.testing.conformance import ABILITIES, Subject
from llmring.testing.conformance.lacks import PROBES

from .acme import AcmeProvider, AcmeWire

WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None
try:
    import llmring.testing.conformance
except ImportError as error:
    print(error)
"""


def test_without_pytest_it_says_what_to_install() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_PYTEST], capture_output=True, text=True, check=True)
    assert ran.stdout == "llmring.testing.conformance needs pytest: pip install pytest\n"


def test_the_practice_server_needs_no_pytest() -> None:
    program = "import sys; sys.modules['pytest'] = None; from llmring.testing import PracticeServer"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_each_name_is_there() -> None:
    assert [name for name in conformance.__all__ if not hasattr(conformance, name)] == []


def test_each_ability_can_be_looked_for() -> None:
    assert PROBES.keys() == ABILITIES.keys()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"wire": "smoke"}, "There is no wire 'smoke' ready; there are: openai-chat,"),
        ({"wire": AcmeWire}, "give an instance of your WireScript"),
        ({"wire": AcmeWire(), "lacks": {"wings": "no"}}, "There is no ability 'wings' to lack; there are: tools,"),
    ],
)
def test_a_subject_that_is_none_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Subject(AcmeProvider, **fields)  # type: ignore[arg-type]


AUTHORS = """
import pytest
from llmring.testing.conformance import Subject, TestConformance
from .acme import AcmeProvider, AcmeWire

@pytest.fixture
def conformance():
    return Subject(AcmeProvider, AcmeWire(), {"thinking": "it is not so"})
"""


def test_the_tests_of_an_author(tmp_path: Path) -> None:
    """One fixture is enough: pytest alone, no configuration, warnings are errors. What is not true is told."""
    package = tmp_path / "tests"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "acme.py").write_text((Path(__file__).parent / "acme.py").read_text(encoding="utf-8"), encoding="utf-8")
    (package / "test_acme.py").write_text(AUTHORS, encoding="utf-8")
    options = ["-q", "-W", "error", "-p", "no:xdist", "-p", "no:hypothesispytest", "-k", "usage or lacking or text"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "'thinking' (thinking that is told apart from the text) is declared to be lacking" in ran.stdout
    assert "1 failed" in ran.stdout
    assert "1 skipped" in ran.stdout
