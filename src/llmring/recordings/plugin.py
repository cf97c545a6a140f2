"""The pytest plugin: fixtures and a marker for tests of programs that ask models. It comes with llmring.

It imports nothing but pytest until a test has one of its fixtures, or its marker. Such a test sees no key of yours,
unless pytest is run with `--llmring-live`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..testing import PracticeServer
    from .session import Session

__all__ = ["llmring_lockfile", "llmring_replay", "llmring_server"]

_MARK = "llmring"
_MARK_TAKES = ("profile", "repeat", "redact", "ignore", "pace")
_NO_LOCKFILE = 'version = "1.0"\ndefault_profile = "default"\n\n[profiles.default]\nname = "default"\n'


class _Watched:
    """What a test has of the plugin's, to be looked at when it is over."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.server: PracticeServer | None = None
        self.files: list[Path] = []


_WATCHED = pytest.StashKey[_Watched]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("llmring", "llmring: recordings of models")
    group.addoption(
        "--llmring-record",
        choices=("missing", "all", "none"),
        help="What a record: binding does: ask the model for what was not recorded (missing), for all of it (all), or "
        "for nothing (none, as without this option). Asking takes --llmring-live, too, where it takes a key.",
    )
    group.addoption("--llmring-live", action="store_true", help="Let tests use the keys of the environment.")


def pytest_configure(config: pytest.Config) -> None:
    """Tell of the marker."""
    takes = ", ".join(f"{name}=..." for name in _MARK_TAKES)
    said = "ask recordings, by a profile of the lockfile, as the fixture llmring_replay does."
    config.addinivalue_line("markers", f"{_MARK}({takes}): {said}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give marked tests the fixture that they do not name."""
    for item in items:
        if item.get_closest_marker(_MARK) is not None:
            names: list[str] = getattr(item, "fixturenames", [])
            if "llmring_replay" not in names:
                names.append("llmring_replay")


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Once it has run and is well: fail a test that left something unasked, or asked for what was never recorded."""
    watched = item.stash.get(_WATCHED, None)
    if watched is not None and (said := _left(watched)):
        pytest.fail(said, pytrace=False)


def _left(watched: _Watched) -> str:
    said: list[str] = []
    if watched.session is not None:
        from .judging import judged

        said += judged(watched.session, watched.files)
    if watched.server is not None and (waiting := watched.server.pending):
        first, were = waiting[0].text or waiting[0].error or "an error", "was" if len(waiting) == 1 else "were"
        said.append(
            f"{len(waiting)} of the practice server's replies {were} never asked for; the first is {first[:80]!r}. "
            "Queue what the program asks for, no more."
        )
    return "\n".join(said)


def _watched(request: pytest.FixtureRequest) -> _Watched:
    return request.node.stash.setdefault(_WATCHED, _Watched())  # type: ignore[no-any-return]


@pytest.fixture
def _llmring_keyless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key of anybody's, unless that is asked for."""
    if not request.config.getoption("--llmring-live"):
        from .judging import secret_variables

        for name in secret_variables(_project(request.config)):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


def _project(config: pytest.Config) -> Path:
    """The project's lockfile, whether there is one or not."""
    named = os.environ.get("LLMRING_LOCKFILE_PATH")
    return Path(named) if named else config.rootpath / "llmring.lock"


@pytest.fixture
def llmring_lockfile(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, _llmring_keyless: None
) -> Iterator[Path]:
    """A lockfile of the test's own, which may edit it: a copy of the project's, where there is one.

    It is in force by `LLMRING_LOCKFILE_PATH`, its profile by the marker `llmring(profile=...)`. Recordings are still
    those of the project.
    """
    from .judging import recordings_of
    from .session import Session

    project = _project(request.config)
    own = tmp_path / "llmring" / f"llmring{project.suffix}"
    own.parent.mkdir()
    if project.is_file():
        shutil.copyfile(project, own)
    else:
        own.write_text(_NO_LOCKFILE)
    said = _of_mark(request.node)
    profile = said.pop("profile", None)
    monkeypatch.setenv("LLMRING_LOCKFILE_PATH", str(own))
    if profile is not None:
        monkeypatch.setenv("LLMRING_PROFILE", profile)
    mode: Any = request.config.getoption("--llmring-record") or os.environ.get("LLMRING_RECORD") or "none"
    folder = project.absolute().parent
    with Session(mode, folder=folder, test=request.node.nodeid, **said) as session:
        watched = _watched(request)
        watched.files = recordings_of(own, profile, folder)
        request.node.stash[_SESSION] = session
        yield own


_SESSION = pytest.StashKey["Session"]()


def _of_mark(item: pytest.Item) -> dict[str, Any]:
    mark = item.get_closest_marker(_MARK)
    if mark is None:
        return {}
    unknown = [name for name in mark.kwargs if name not in _MARK_TAKES]
    if mark.args or unknown:
        pytest.fail(f"The marker {_MARK} takes {', '.join(f'{it}=...' for it in _MARK_TAKES)}.", pytrace=False)
    return dict(mark.kwargs)


@pytest.fixture
def llmring_replay(request: pytest.FixtureRequest, llmring_lockfile: Path) -> Session:
    """The `Session` of the test. What it recorded and does not ask for fails it, and so does what nobody recorded."""
    session: Session = request.node.stash[_SESSION]
    _watched(request).session = session
    return session


@pytest.fixture
def llmring_server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _llmring_keyless: None
) -> Iterator[PracticeServer]:
    """A practice server that the SDKs' environment points at. A reply that nobody asks for fails the test."""
    try:
        from ..testing import PracticeServer
    except ImportError as error:
        pytest.fail(f"llmring_server needs h11, of the extra `testing`: pip install h11 ({error})", pytrace=False)
    with PracticeServer() as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        _watched(request).server = server
        yield server
