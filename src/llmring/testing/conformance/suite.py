"""The suite as pytest finds it: the fixtures, and all groups of tests together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from ...dialects import Dialect
from ...providers.base import Provider, ProviderConfig
from .answers import AnswerTests
from .calls import CallTests
from .cases import pytest
from .closing import ClosingTests
from .failures import FailureTests
from .faults import FaultTests
from .lacks import LackTests
from .roads import RoadTests
from .scripts import ScriptTests
from .secrecy import SecrecyTests
from .stage import Stage
from .subject import Subject
from .wire import WireScript

__all__ = ["Conformance", "Declared", "ProviderConformance", "TestConformance"]


class Conformance:
    """The base of a group of tests: it needs a fixture `conformance` that gives a `Subject`."""

    @pytest.fixture
    def stage(self, conformance: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
        """The ground of one test."""
        # The server is on this machine, and no proxy leads there.
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, f"127.0.0.1,{os.environ.get(name, '')}".rstrip(","))
        stage = Stage(conformance, tmp_path)
        for name, value in stage.environ.items():
            monkeypatch.setenv(name, value)
        with stage.server, stage.other:
            yield stage


class Declared(Conformance):
    """The base of a group of tests whose provider its class declares.

    Attributes:
        provider: its class, a function or method that makes one of a `ProviderConfig`, or a `Dialect`.
        wire, lacks, name, model, path, patience, timeout: see `Subject`.
    """

    provider: Callable[[ProviderConfig], Provider] | Dialect
    wire: str | WireScript
    lacks: ClassVar[Mapping[str, str]] = {}
    name: ClassVar[str] = "conformance"
    model: ClassVar[str] = "model-1"
    path: ClassVar[str | None] = None
    patience: ClassVar[float] = 20.0
    timeout: ClassVar[float] = 0.5

    @pytest.fixture
    def conformance(self) -> Subject:
        """The subject, as the class says it."""
        for needed in ("provider", "wire"):
            if not hasattr(self, needed):
                raise TypeError(f"{type(self).__name__} does not say what is tested: set `{needed}` in the class")
        return Subject(
            self.provider,
            self.wire,
            self.lacks,
            name=self.name,
            model=self.model,
            path=self.path,
            patience=self.patience,
            timeout=self.timeout,
        )


class _All(
    ScriptTests, AnswerTests, CallTests, FailureTests, FaultTests, ClosingTests, SecrecyTests, RoadTests, LackTests
):
    """All groups."""


class TestConformance(Conformance, _All):
    """All of the tests, for whoever names the provider in a fixture: `conformance` gives a `Subject`."""


class ProviderConformance(Declared, _All):
    """All of the tests. Subclass it, with a name that begins with `Test`, and say what is tested: see `Declared`."""
