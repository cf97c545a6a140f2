"""A provider that is broken on purpose fails, where it is broken, and with words that say what is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
FOUND = {
    ("LeaksTheKey", "no_error_shows_the_key"): "shows the key in the message",
    ("ShowsTheKey", "no_repr_shows_the_key"): "repr(provider) shows the key",
    ("DropsUsage", "usage_is_counted"): "the final chunk named no usage, though the server sent it: set decoder.usage",
    ("LosesAPieceOfArguments", "arguments_come_in_pieces"): "arguments that are not valid JSON",
    ("TakesACutForAnEnd", "a_cut_in_the_middle[was-reset-after-the-second-piece]"): "",
    ("TakesACutForAnEnd", "a_cut_in_the_middle[ended-well-after-the-second-piece]"): "and a good answer came of it",
    ("EndsTwice", "there_is_one_final_chunk_the_last"): "2 final chunks came",
    ("ClosesNothing", "the_connection_is_closed[a-break]"): "the server still sees the connection open",
    ("KeepsItsClient", "closing_the_service_leaves_no_connection"): "close the client in `close`",
    ("SwallowsRetryAfter", "the_wait_is_named_in_seconds"): "retry_after is None, and the server's answer makes it 7.0",
    ("SaysACallAsText", "a_call_is_read"): "the response has no tool_calls",
    ("EndsForAnotherReason", "an_end_at_the_limit_is_told"): "finish_reason is 'stop'",
    ("InventsIds", "a_call_keeps_the_id_of_its_server"): "give decoder.calls.start the id that came",
    ("InventsIds", "the_results_go_back_under_the_ids_of_the_calls"): "the ids of the calls that went back",
    ("Hangs", "silence[nothing-came-back]"): "something swallows CancelledError",
    ("ReadsAllBeforeItSays", "text_arrives_piece_by_piece"): "something gathers the answer before it is handed over",
    ("HoldsUpTheLoop", "who_waits_holds_up_nobody"): "the event loop stood still",
    ("NamesAnotherModel", "every_chunk_names_the_model"): "a chunk names 'model-1' as its model",
    ("KnowsNoPages", "a_status_is_an_error_of_its_kind[401-]"): "with a page of HTML, and ProviderResponseError",
    ("MovesNowhere", "what_may_pass_moves_on_to_the_stand_by[503]"): "503 did not move on to the stand-by",
    ("SendsWhatIsRefused", "tools_are_described"): "The server had refused the request: We have no skills.",
    ("LeavesOutThePicture", "a_picture_is_carried_or_refused"): "the request had a picture, and it is not in the body",
    ("DropsAParameter", "a_parameter_is_sent_or_refused[stop]"): "the request's stop is not in the body that was sent",
    (
        "FollowsAnywhere",
        "no_redirect_takes_the_key_elsewhere",
    ): "the server redirected to another one, and that was sent",
    ("AsksAgainByItself", "the_last_model_is_asked_again"): "the server's answer makes it 2: the errors of `send`",
    ("MixesUpResults", "the_results_go_back_under_the_ids_of_the_calls"): "tie each result to its call",
    ("NamesToolsOnly", "a_tool_is_described_whole"): "the parameters of a tool are not in the body",
    ("DropsTheChoice", "a_choice_of_tools_is_sent_or_refused[required]"): "the body is the one without it: render it",
    ("DropsLaterInstructions", "an_instruction_in_the_midst_reaches_the_server"): "'Be Epsilon now.' of the",
    ("KnowsNoPurse", "an_empty_account_is_told_as_one"): 'in the dialect: Words("no_credit"',
    ("HasABlindWire", "text_is_whole"): "`read` of BlindWire saw none in POST /acme/v3/talk",
    ("GivesText", "text_is_whole"): "feed gave str, and what it gives is a StreamChunk, or None",
    ("QuotesTheModel", "a_model_may_have_any_name"): "the model that the server read is 'maker_model-1:free@2026+x'",
    (
        "HasAWireWithoutAnEnd",
        "the_script_of_the_wire_is_sound",
    ): "at fault, and not the provider: EndlessWire.events, of text in three pieces: 0 of",
    (
        "HasAWireThatStumbles",
        "the_script_of_the_wire_is_sound",
    ): "StumblingWire.events, of text in three pieces: KeyError",
    ("LacksNothing", "what_is_said_to_be_lacking_is"): "'usage' (counts of tokens) is declared to be lacking",
}
"""The test that finds each, and the words that it says."""

Failures = Mapping[tuple[str, str], str]


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Failures:
    """What fails, by provider and test, where an author runs it: pytest alone, and warnings are errors."""
    folder = tmp_path_factory.mktemp("author")
    package = folder / "acme_tests"
    package.mkdir()
    (package / "__init__.py").touch()
    shutil.copy(HERE / "acme.py", package)
    shutil.copy(HERE / "broken.py", package / "test_broken.py")
    options = ("-q", "-W", "error", "--junitxml", "report.xml")
    tests = [f"acme_tests/test_broken.py::Test{provider}::test_{name}" for provider, name in FOUND]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    failed = {}
    for test in ElementTree.parse(folder / "report.xml").iter("testcase"):
        if (failure := test.find("failure")) is not None:
            provider = test.attrib["classname"].rpartition(".Test")[2]
            failed[provider, test.attrib["name"].removeprefix("test_")] = failure.text or ""
        assert test.find("error") is None, ElementTree.tostring(test)
    return failed


@pytest.mark.parametrize("where", FOUND, ids="-".join)
def test_it_is_found(failures: Failures, where: tuple[str, str]) -> None:
    assert where in failures, sorted(failures)
    assert FOUND[where] in failures[where]
    assert "The contract: " in failures[where]


def test_no_failure_shows_the_suite_s_own_frames(failures: Failures) -> None:
    """What fails is told in the author's terms, and nothing else is."""
    for where, told in failures.items():
        assert "Traceback" not in told, where
        assert "llmring/testing" not in told, where
