"""A conformance suite for providers: a hundred tests of what llmring's contract promises, through a real socket.

For authors of providers. It needs pytest, and the extra `testing`; no plugin. Subclass one class in a file of tests:

    from llmring.testing.conformance import ProviderConformance
    from llmring_acme import AcmeProvider

    class TestAcme(ProviderConformance):
        provider = AcmeProvider
        wire = "openai-chat"
        lacks = {"thinking": "Acme's models do not think"}

or name the provider in a fixture `conformance`, of which there may be several:

    import pytest
    from llmring.testing.conformance import Subject, TestConformance
    from llmring_acme import AcmeProvider

    @pytest.fixture(params=["acme-small", "acme-large"])
    def conformance(request):
        return Subject(AcmeProvider, wire="openai-chat", model=request.param)

The server behind the socket is scripted, and speaks the provider's wire: one of five that are ready, or one of your
own, as a `WireScript` says. What the provider cannot do is declared in `lacks`, by the names in `ABILITIES`, each with
the reason: the tests that need it are skipped, and one test fails if it is not true. A test that fails says what is
wrong, and what the contract says.

The tests are in groups, to be run by themselves, as in `class TestAcme(Declared, CallTests)`: `AnswerTests`,
`CallTests`, `FailureTests`, `FaultTests`, `ClosingTests`, `SecrecyTests`, `RoadTests`, `LackTests`, `ScriptTests`.
"""

from .answers import AnswerTests
from .calls import CallTests
from .closing import ClosingTests
from .failures import FailureTests
from .faults import FaultTests
from .lacks import LackTests
from .roads import RoadTests
from .scripts import ScriptTests
from .secrecy import SecrecyTests
from .subject import ABILITIES, Subject
from .suite import Conformance, Declared, ProviderConformance, TestConformance
from .wire import Answer, Asked, Called, Event, Problem, Result, ScriptServer, WireScript, event, key_of

__all__ = [
    "ABILITIES",
    "Answer",
    "AnswerTests",
    "Asked",
    "CallTests",
    "Called",
    "ClosingTests",
    "Conformance",
    "Declared",
    "Event",
    "FailureTests",
    "FaultTests",
    "LackTests",
    "Problem",
    "ProviderConformance",
    "Result",
    "RoadTests",
    "ScriptServer",
    "ScriptTests",
    "SecrecyTests",
    "Subject",
    "TestConformance",
    "WireScript",
    "event",
    "key_of",
]
