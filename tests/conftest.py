"""What every test needs: coroutines run to their end, and an environment with nobody's keys in it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import certifi
import pytest
from hypothesis import settings

from llmring.testing import PracticeServer
from llmring.vendors import BUILT_IN

from . import recorded
from .faults.ground import Ground, ground
from .program import forks

# A busy machine is no finding.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_OURS = ("LLMRING_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "OLLAMA_")
_VENDORS = {name for it in BUILT_IN.values() for name in (*it.key_variables, *it.address_variables)}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test in a loop of its own; a task that it leaves behind fails it."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None

    async def run() -> None:
        await pyfuncitem.function(
            **{name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.function).parameters}
        )
        # The generators of the HTTP libraries are closed in tasks of their own, which take a step or two.
        for _ in range(100):
            if not (left := asyncio.all_tasks() - {asyncio.current_task()}):
                break
            await asyncio.sleep(0.01)
        assert not left, f"left behind: {left}"

    asyncio.run(run())
    return True


def pytest_configure() -> None:
    """What runs in the background ignores Ctrl-C, and under nohup a closed window; programs would inherit it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_finish() -> None:
    """What is there by now stays: a test that collects garbage need not look through all tests each time."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One certificate to trust in place of all: reading them takes most of the time that an SDK's client takes."""
    end = "-----END CERTIFICATE-----\n"
    path = tmp_path_factory.mktemp("tls") / "one.pem"
    path.write_text(Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(path))
        yield


@pytest.fixture(autouse=True, scope="session")
def nobodys_keyring() -> Iterator[None]:
    """A keyring with nothing in it, whoever's machine this is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        yield


@pytest.fixture(autouse=True)
def nobodys_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder with nothing in it, whoever's machine this is; each test has its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / f"state-{os.urandom(4).hex()}"))


@pytest.fixture(autouse=True)
def nobodys_log() -> Iterator[None]:
    """A command that is run within a test has the log of the process, which is usually its own: it gives it back."""
    logger = logging.getLogger("llmring")
    before = logger.handlers[:], logger.propagate, logger.level
    yield
    logger.handlers[:], logger.propagate = before[:2]
    logger.setLevel(before[2])


@pytest.fixture(autouse=True, scope="session")
def recorded_data() -> None:
    """What is known of models is the tests' own."""
    recorded.use()


@pytest.fixture(autouse=True)
def latest_data(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is known of models is what is installed, for the tests marked `latest`."""
    with recorded.installed() if request.node.get_closest_marker("latest") else contextlib.nullcontext():
        yield


@pytest.fixture(scope="session")
def program(one_authority: None) -> Iterator[None]:
    """`PROGRAM` can be run."""
    with forks():
        yield


@pytest.fixture(autouse=True, scope="module")
def nothing_for_the_next_file() -> Iterator[None]:
    """What a file's tests left open is found with it, not in the middle of another's.

    What is there then stays, the SDKs above all: a test that collects garbage need not look through them each time.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory, and an environment without a key, an address, a lockfile or a proxy."""
    for name in list(os.environ):
        if name.startswith(_OURS) or name in _VENDORS or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def practice() -> Iterator[Ground]:
    """A practice server, with a lockfile that names it for each wire; a module's tests share it."""
    with ground() as made:
        yield made


@pytest.fixture
def server(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PracticeServer]:
    """A practice server that every SDK's environment points at."""
    with PracticeServer() as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        yield server


Say = Callable[[str, str, "str | None"], Path]
Announce = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def sdk_says(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Say]:
    """Puts a file into the place of an SDK's own, and gives the folder to import it from; nobody may import it.

    It takes the package, the path of the file in it, and what is in the file; `None` for no such file. A program that
    has the folder in its PYTHONPATH reads that file, and for all else what is recorded.
    """
    folder = tmp_path_factory.mktemp("sdk")
    monkeypatch.syspath_prepend(str(folder))

    def say(package: str, file: str, text: str | None) -> Path:
        path = folder / package / file
        path.parent.mkdir(parents=True)
        (folder / package / "__init__.py").write_text("raise AssertionError('an SDK was imported')")
        if text is not None:
            path.write_text(text)
        monkeypatch.delitem(sys.modules, package, raising=False)
        recorded.in_place.add(package)
        recorded.forget()
        (folder / "sitecustomize.py").write_text(
            f"import sys\nsys.path.append({str(Path(__file__).parents[1])!r})\nfrom tests import recorded\n"
            f"recorded.in_place |= {recorded.in_place}\nrecorded.use()\n"
        )
        return folder

    yield say
    recorded.in_place.clear()
    recorded.forget()


@pytest.fixture
def announce(sdk_says: Say) -> Announce:
    """Puts an SDK of Anthropic's in place that announces these ends: days such as "May 1st, 2086", by model."""

    def announce(days: Mapping[str, str]) -> Path:
        return sdk_says("anthropic", "_data/deprecated_models.py", f"DEPRECATED_MODELS = {dict(days)}\n")

    return announce


@dataclass(frozen=True)
class Way:
    """A way to a model: a provider, and the wire that it is spoken to over.

    Attributes:
        provider: its name.
        wire: as the practice server calls it.
        settings: what the lockfile must say of the provider.
    """

    provider: str
    wire: str
    settings: str = ""

    @property
    def model(self) -> str:
        return f"{self.provider}:model-1"


WAYS = [
    Way("openai", "openai-chat"),
    Way("openai", "openai-responses", '[providers.openai]\napi = "responses"\n'),
    Way("anthropic", "anthropic"),
    # Gemini's API has two versions, and where one has nothing, the other is tried.
    Way("google", "gemini", '[providers.google]\napi_version = "v1"\n'),
    Way("ollama", "ollama"),
]


@pytest.fixture(params=WAYS, ids=lambda way: way.wire)
def way(request: pytest.FixtureRequest, server: PracticeServer, bare: Path) -> Way:
    """Each way to a model, on the practice server."""
    found: Way = request.param
    bind({"chatbot": [found.model]}, found.settings)
    return found


def bind(aliases: dict[str, list[str]], more: str = "") -> Path:
    """Write a lockfile into the working directory."""
    bindings = "".join(
        f'[[profiles.default.bindings]]\nalias = "{alias}"\nmodels = {json.dumps(models)}\n'
        for alias, models in aliases.items()
    )
    path = Path("llmring.lock").absolute()
    head = 'version = "1.0"\ndefault_profile = "default"\n[profiles.default]\nname = "default"\n'
    path.write_text(head + bindings + more)
    return path
