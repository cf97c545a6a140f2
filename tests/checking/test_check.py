"""The check of a project: what it finds, where, and what it says to do."""

from __future__ import annotations

import importlib.metadata
import json
import os
import time
from pathlib import Path

import pytest

from llmring.catalog.entries import successor
from llmring.checking import CODES, Finding, check, check_lockfile
from llmring.exceptions import LockfileNotFoundError

from .conftest import LOCKFILE, PAST, SOON, Write

APP = "from llmring import LLMRequest\nLLMRequest(model='chatbot')\n"


@pytest.fixture
def project(write: Write) -> Path:
    """A lockfile beside code that fits it."""
    write("app.py", APP)
    return write("llmring.lock", LOCKFILE)


def found(path: Path) -> list[tuple[str, str, str, int]]:
    """Code, severity, file and line of what a check finds."""
    report = check(path)
    for finding in report.findings:
        assert finding.code in CODES
        assert finding.message
        assert finding.advice
    return [(it.code, it.severity, it.spot.path.name, it.spot.line) for it in report.findings]


def only(path: Path) -> Finding:
    (finding,) = check(path).findings
    return finding


def test_a_project_that_fits(project: Path) -> None:
    report = check(project)
    assert (report.findings, report.files) == ([], 1)


def test_no_lockfile(bare: Path) -> None:
    with pytest.raises(LockfileNotFoundError):
        check(bare / "llmring.lock")


def test_a_broken_lockfile(write: Write) -> None:
    finding = only(write("llmring.lock", 'version = "1.0"\n[profiles'))
    assert (finding.code, finding.severity, finding.spot.line, finding.spot.column) == (
        "lockfile-invalid",
        "error",
        2,
        10,
    )
    assert finding.message.startswith("This is not valid TOML")
    assert only(write("llmring.lock", 'version = "9.0"\n')).code == "lockfile-invalid"


def test_an_alias_that_some_profile_lacks_is_said_once_with_the_commands(project: Path, write: Write) -> None:
    write("b.py", APP.replace("chatbot", "chatbott") * 2)
    finding = only(project)
    assert (finding.code, finding.severity, str(finding.spot)) == (
        "alias-unbound",
        "error",
        f"{project.parent}/b.py:2:18",
    )
    assert 'the profiles "default" and "dev"' in finding.message
    assert 'Did you mean "chatbot"?' in finding.message
    assert "llmring bind chatbott provider:model; llmring bind chatbott provider:model --profile dev" in finding.advice
    write("llmring.lock", LOCKFILE.replace('"chatbot"\nmodels = ["ollama', '"chatbott"\nmodels = ["ollama'))
    messages = sorted(it.message.partition(". ")[0] for it in check(project).findings)
    assert messages == [
        'The alias "chatbot" is not bound in the profile "dev"',
        'The alias "chatbott" is not bound in the profile "default"',
    ]


def test_an_alias_that_a_comment_names_must_be_bound_and_is_used(project: Path, write: Write) -> None:
    write("app.py", "import llmring\ns.chat(picked())  # llmring: uses chatbot, tiny, ollama:llama3.2, openai:gpt-0\n")
    unbound, unknown = check(project).findings
    assert (unbound.code, unbound.severity, unbound.spot.line) == ("alias-unbound", "error", 2)
    assert "tiny" in unbound.message
    assert (unknown.code, unknown.spot.line) == ("model-unknown", 2)
    assert unbound.spot < unknown.spot


def test_the_commands_to_copy_are_quoted_for_a_shell(project: Path, write: Write) -> None:
    text = LOCKFILE.replace('"chatbot"', '"chat$bot"').replace("profiles.dev", 'profiles."a;b"')
    write("llmring.lock", text.replace("ollama:llama3.2", "anthropic:claude-2.1"))
    write("app.py", APP.replace("chatbot", "chat$bot"))
    finding = only(project)
    assert (finding.code, finding.spot.line) == ("model-retired", 11)
    assert finding.advice == "To bind another one: llmring bind 'chat$bot' provider:model --profile 'a;b'"


def test_an_alias_that_is_only_asked_about_is_a_warning_and_one_that_is_bound_here_is_fine(
    project: Path, write: Write
) -> None:
    write(
        "b.py", "import llmring; s.has_alias('maybe')\ns.bind_alias('own', 'ollama:llama3.2')\ns.resolve_alias('own')\n"
    )
    assert found(project) == [("alias-unbound", "warning", "b.py", 1)]
    write("c.py", "from b import s; s.resolve_alias('maybe')\n")
    assert found(project) == [("alias-unbound", "error", "c.py", 1)]


def test_code_that_has_nothing_to_do_with_llmring_is_not_read(project: Path, write: Write) -> None:
    write("other.py", "import litellm\nlitellm.get_model_info('gpt-4o')\nx.resolve_alias('gpt-4o')\n")
    write("both.py", "import litellm, llmring\nlitellm.get_model_info('gpt-4o')\nlitellm.utils.f().has_alias('a')\n")
    write("from_them.py", "import llmring\nfrom litellm import client as c\nc.chat('a', profile='prod')\n")
    assert found(project) == []


@pytest.mark.parametrize(
    "head",
    [
        "from pkg.llm import service",
        "from .llm import service",
        "from . import llm",
        "from pkg import llm as x",
        "import pkg.llm",
        "from pkg.deps import service",
    ],
)
def test_code_that_takes_a_service_from_a_module_of_the_project_is_read(project: Path, write: Write, head: str) -> None:
    write("pkg/llm.py", "import llmring\nservice = llmring.LLMRing()\n")
    write("pkg/deps.py", "from .llm import service\n")
    write("pkg/app.py", f"{head}\nservice.resolve_alias('nope')\n")
    assert found(project) == [("alias-unbound", "error", "app.py", 2)]


@pytest.mark.parametrize(
    ("code", "code_found"),
    [
        ("s.warm_up('nope')", "alias-unbound"),
        ("s.warm_up('chatbot', 'nope')", "alias-unbound"),
        ("s.warm_up('chatbot', profile='prod')", "profile-unknown"),
        ("s.chat(r, profile='prod')", "profile-unknown"),
        ("s.chat_stream(r, profile='prod')", "profile-unknown"),
        ("s.list_aliases('prod')", "profile-unknown"),
        ("s.list_aliases(profile='prod')", "profile-unknown"),
        ("r = llmring.LLMRequest(messages=[]); r.model = 'nope'", "alias-unbound"),
        ("def f(r: llmring.LLMRequest): r.model = 'nope'", "alias-unbound"),
    ],
)
def test_every_way_to_name_one(project: Path, write: Write, code: str, code_found: str) -> None:
    write("b.py", f"import llmring\n{code}\n")
    assert found(project) == [(code_found, "error", "b.py", 2)]


def test_another_objects_model_is_none_of_ours(project: Path, write: Write) -> None:
    write("b.py", "import llmring\ncar.model = 'T'\ndef f(car: Car): car.model = 'T'\n")
    assert found(project) == []


def test_a_request_is_asked_in_the_profile_of_its_call(project: Path, write: Write) -> None:
    write(
        "llmring.lock", LOCKFILE.replace('alias = "chatbot"\nmodels = ["ollama', 'alias = "small"\nmodels = ["ollama')
    )
    write("app.py", "from llmring import LLMRequest\nawait s.chat(LLMRequest(model='chatbot'), profile='default')\n")
    write("b.py", "from llmring import LLMRequest\ns.chat_stream(LLMRequest(model='small'), profile='dev')\n")
    assert found(project) == []


def test_a_profile_of_the_code(project: Path, write: Write) -> None:
    write("b.py", "import llmring\ns.resolve_alias('chatbot', 'dev')\ns.resolve_alias('chatbot', profile='prod')\n")
    assert found(project) == [("profile-unknown", "error", "b.py", 3)]
    write("llmring.lock", LOCKFILE.partition("[[profiles.dev")[0])
    write("app.py", "import llmring\ns.resolve_alias('chatbot', 'default')\n")
    write("b.py", "import llmring\ns.resolve_alias('chatbot', 'dev')\n")
    assert found(project) == [("alias-unbound", "error", "b.py", 2)]


def test_an_alias_that_nobody_names(project: Path, write: Write) -> None:
    write("llmring.lock", LOCKFILE + '\n[[profiles.dev.bindings]]\nalias = "odd"\nmodels = ["ollama:llama3.2"]\n')
    finding = only(project)
    assert (finding.code, finding.severity, finding.spot.line, finding.spot.column) == (
        "alias-unused",
        "warning",
        14,
        9,
    )
    assert "llmring unbind odd --profile dev" in finding.advice


ODD = LOCKFILE + '\n[[profiles.dev.bindings]]\nalias = "odd"\nmodels = ["ollama:llama3.2"]\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("b.py", "def f(model: str = 'odd'): ..."),
        ("b.py", "class Settings:\n    model = 'odd'"),
        ("b.py", "MODELS = {'deep': 'odd'}"),
        ("b.py", "MODELS = {'odd': 1}"),
        ("b.py", "request.model_copy(update={'model': \"odd\"})"),
        ("b.py", "print 'no Python 3', 'odd'"),
        ("book.ipynb", '{"cells": [{"cell_type": "code", "source": ["m = \\"odd\\""]}]}'),
        ("settings.yaml", "models:\n  summary: odd\n"),
        ("settings.yml", "models:\n  - odd\n"),
        ("settings.toml", "model = 'odd'"),
        ("settings.json", '{"model": "odd"}'),
        ("run.sh", "llmring chat --model odd 'Hello'"),
        (".env", "MODEL=odd\n"),
        ("Dockerfile", "ENV MODEL=odd"),
        ("agent.md", "---\nmodel: odd\n---\nYou help."),
        ("app.ts", "const model = 'odd';"),
    ],
)
def test_an_alias_is_used_whoever_names_it(project: Path, write: Write, name: str, text: str) -> None:
    write("llmring.lock", ODD)
    write(name, text)
    assert found(project) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.md", "An odd thing: it is odd that odd-looking and oddly: none."),
        ("settings.yaml", "model: oddly\nodd: chatbot\n"),
        ("other.json", '{"profiles": {"default": {"bindings": [{"alias": "odd", "models": ["x:y"]}]}}}'),
        ("readme.md", '```toml\nalias = "odd"\n```'),
        ("llmring.lock.bak", 'model = "odd"'),
        ("large.txt", "'odd'" + " " * 300_000),
        ("b.py", "LLMRing(profile='odd')  # odd\nodd = 1\n"),
    ],
)
def test_a_word_in_passing_is_no_use_of_an_alias(project: Path, write: Write, name: str, text: str) -> None:
    write("llmring.lock", ODD)
    write(name, text)
    assert ("alias-unused", "warning", "llmring.lock", 14) in found(project)


def test_a_project_without_code_for_llmring_hears_nothing_of_its_aliases(project: Path, write: Write) -> None:
    write("llmring.lock", ODD)
    for code in ("", "import litellm\n", "MODE = 'odd'\n"):
        write("app.py", code)
        assert found(project) == []


def test_aliases_beside_code_that_names_models_alone_are_unused(project: Path, write: Write) -> None:
    write("llmring.lock", ODD)
    for code in ("import llmring\n", APP.replace("chatbot", "openai:gpt-6-luna")):
        write("app.py", code)
        assert [(code, line) for code, _, _, line in found(project)] == [("alias-unused", 5), ("alias-unused", 14)]


def test_a_profile_is_no_use_of_an_alias(project: Path, write: Write) -> None:
    write("llmring.lock", LOCKFILE.replace('alias = "chatbot"\nmodels = ["ollama', 'alias = "dev"\nmodels = ["ollama'))
    write(
        "app.py", "from llmring import LLMRing\nLLMRing(profile='dev').resolve_alias('chatbot', profile = 'default')\n"
    )
    assert found(project) == [("alias-unused", "warning", "llmring.lock", 10)]


def test_the_lockfile_comes_first_and_each_file_is_in_order(project: Path, write: Write) -> None:
    write("llmring.lock", bound("openai:gpt-0") + '\n[[profiles.dev.bindings]]\nalias = "z"\nmodels = ["x:y"]\n')
    write("app.py", "LLMRequest('z'")
    write("a.py", "import llmring; s.resolve_alias('openai:gpt-0')\ns.resolve_alias('nope')\n")
    assert [(file, line) for _, _, file, line in found(project)] == [
        ("llmring.lock", 5),
        ("llmring.lock", 6),
        ("llmring.lock", 15),
        ("a.py", 1),
        ("a.py", 2),
        ("app.py", 1),
    ]


def test_a_file_that_cannot_be_parsed_is_a_warning(project: Path, write: Write) -> None:
    write("b.py", "LLMRequest(\n")
    assert found(project) == [("source-unreadable", "warning", "b.py", 1)]
    assert (only(project).spot.line, only(project).spot.column) == (1, 1)
    write("b.py", 'import llmring\nLLMRequest(model="chatbot")\x00')
    spot = only(project).spot
    assert (spot.line, spot.column) == (0, 0), "where no line is known, none is pointed at, and no column either"


def bound(model: str) -> str:
    return LOCKFILE.replace('"openai:gpt-6-luna"', f'"{model}"')


@pytest.mark.usefixtures("announced")
@pytest.mark.parametrize(
    ("model", "code", "severity", "told"),
    [
        ("anthropic:claude-sonnet-4-5", "model-retired", "error", str(PAST)),
        ("anthropic:claude-opus-4-1", "model-retiring", "warning", str(SOON)),
        ("google:gemini-3-pro-preview", "model-deprecated", "warning", "deprecated"),
        ("anthropic:claude-haiku5-5", "model-unknown", "error", "claude-haiku5-5"),
        ("antropic:claude-haiku-5-5", "provider-unknown", "error", 'Did you mean "anthropic"?'),
    ],
)
def test_models(project: Path, write: Write, model: str, code: str, severity: str, told: str) -> None:
    write("llmring.lock", bound(model))
    finding = only(project)
    assert (finding.code, finding.severity, str(finding.spot)) == (code, severity, f"{project}:6:41")
    assert told in finding.message
    if code in ("model-retired", "model-retiring", "model-deprecated"):
        assert f"To move to {successor(model)}: llmring lock upgrade" in finding.advice
    elif code == "model-unknown":
        assert "Did you mean anthropic:claude-haiku-5-5" in finding.advice
    write("llmring.lock", LOCKFILE)
    write("b.py", APP.replace("chatbot", model))
    assert found(project) == [(code, severity, "b.py", 2)]


@pytest.mark.parametrize(
    "model", ["ollama:whatever", "vllm:whatever", "azure:our-deployment", "groq:openai/gpt-oss-20b"]
)
def test_models_of_which_the_catalogue_can_say_nothing_are_fine(project: Path, write: Write, model: str) -> None:
    write("llmring.lock", bound(model))
    assert found(project) == []


def test_a_vendors_name_at_another_host_is_only_a_warning(project: Path, write: Write) -> None:
    write("llmring.lock", bound("openai:our-own") + '\n[providers.openai]\nbase_url = "https://gateway.internal/v1"\n')
    assert found(project) == [("model-unknown", "warning", "llmring.lock", 6)]


def test_an_invented_issue_of_a_model_is_a_warning_with_the_real_names(project: Path, write: Write) -> None:
    write("llmring.lock", bound("anthropic:claude-haiku-4-5-20251015"))
    finding = only(project)
    assert (finding.code, finding.severity) == ("model-unknown", "warning")
    assert "anthropic:claude-haiku-4-5-20251001" in finding.advice


def test_a_host_of_ones_own_serves_what_it_likes(project: Path, write: Write) -> None:
    for model in ("openai:gpt-4", "openai:our-own", "openai:text-davinci-003"):
        text = bound(model) + '\n[providers.openai]\nbase_url = "http://localhost:8000/v1"\n'
        write("llmring.lock", text)
        assert found(project) == []


def test_declared_providers(project: Path, write: Write) -> None:
    write("llmring.lock", bound("mine:x") + '\n[providers.mine]\nsdk = "openai"\nbase_url = "http://box:1/v1"\n')
    assert found(project) == []
    write("llmring.lock", bound("mine:x") + '\n[providers.mine]\nsdk = "opanai"\n')
    assert found(project) == [("provider-unknown", "error", "llmring.lock", 6)]


def test_an_sdk_that_is_missing_is_said_once(project: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(package: str) -> str:
        if package == "ollama":
            raise importlib.metadata.PackageNotFoundError
        return real(package)

    monkeypatch.setattr(importlib.metadata, "version", version)
    write("llmring.lock", LOCKFILE.replace('"ollama:llama3.2"', '"ollama:llama3.2", "ollama:qwen3"'))
    finding = only(project)
    assert (finding.code, finding.severity, finding.spot.line, finding.spot.column) == ("sdk-missing", "error", 11, 11)
    assert "pip install 'ollama" in finding.advice


def test_a_malformed_model_of_the_code(project: Path, write: Write) -> None:
    write("b.py", APP.replace("chatbot", "openai:"))
    assert found(project) == [("model-malformed", "error", "b.py", 2)]


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ('temperature = "hot"', "temperature: Input should be a valid number"),
        ("temperature = inf", "temperature: Input should be a finite number"),
        ("top_p = nan", "top_p: Input should be a finite number"),
        ("timeout = -1", "seconds above 0"),
        ("timeout = nan", "seconds above 0"),
        ('tools = "x"', "tools: Input should be a valid list"),
        ('tools = ["x"]', "tools[0]"),
        ('response_format = { type = "yaml" }', "response_format"),
        ("extra_params = 3", "extra_params"),
        ("stop = 3", "stop"),
    ],
)
def test_params_with_which_no_request_can_be_made(project: Path, write: Write, params: str, told: str) -> None:
    write("llmring.lock", LOCKFILE.replace('"openai:gpt-6-luna"]', f'"openai:gpt-6-luna"]\nparams = {{ {params} }}'))
    finding = only(project)
    assert (finding.code, finding.severity, finding.spot.line) == ("params-invalid", "error", 7)
    assert 'under the alias "chatbot"' in finding.message
    assert told in finding.message
    assert [it.code for it in check_lockfile(project).findings] == ["params-invalid"]


def test_params_that_a_request_can_have(project: Path, write: Write) -> None:
    params = 'temperature = 1, timeout = 2.5, tool_choice = "search", response_format = { type = "text" }'
    write("llmring.lock", LOCKFILE.replace('"openai:gpt-6-luna"]', f'"openai:gpt-6-luna"]\nparams = {{ {params} }}'))
    assert found(project) == []


@pytest.fixture
def library(write: Write, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed package that ships two aliases, one of them on a model that is retired."""
    name = f"lib{time.monotonic_ns()}"
    write(
        f"site/{name}/llmring.lock",
        'version = "1.0"\n'
        '[[profiles.default.bindings]]\nalias = "summarizer"\nmodels = ["anthropic:claude-haiku-5-5"]\n'
        '[[profiles.default.bindings]]\nalias = "old"\nmodels = ["anthropic:claude-sonnet-4-5"]\n',
    )
    write(f"site/{name}/__init__.py", "raise AssertionError('a package was imported')")
    monkeypatch.syspath_prepend("site")
    return name


@pytest.mark.usefixtures("announced")
def test_packages(project: Path, write: Write, library: str) -> None:
    extends = f'\n[extends]\npackages = ["{library}"]\n'
    write("llmring.lock", LOCKFILE + extends)
    write("b.py", APP.replace("chatbot", f"{library}:summarizer"))
    assert found(project) == []
    write("b.py", APP.replace("chatbot", f"{library}:old"))
    assert found(project) == [("model-retired", "error", "b.py", 2)]
    assert f"llmring bind {library}:old provider:model" in only(project).advice
    write("b.py", APP.replace("chatbot", f"{library}:nothing"))
    assert found(project) == [("alias-unbound", "error", "b.py", 2)]
    (project.parent / "b.py").unlink()
    override = f'\n[[profiles.dev.bindings]]\nalias = "{library}:old"\nmodels = ["ollama:llama3.2"]\n'
    write("llmring.lock", LOCKFILE + override + extends)
    assert found(project) == [], "what overrides a package's alias is the package's to use"


def test_a_package_that_is_missing(project: Path, write: Write) -> None:
    write("llmring.lock", LOCKFILE + '\n[extends]\npackages = [\n  "no_such_lib",\n]\n')
    write("b.py", APP.replace("chatbot", "no_such_lib:summarizer"))
    finding = only(project)
    assert (finding.code, finding.severity, finding.spot.line, finding.spot.column) == (
        "extends-unresolved",
        "error",
        15,
        3,
    )
    assert "no_such_lib" in finding.message


def test_the_lockfile_alone(project: Path, write: Write) -> None:
    write("app.py", "LLMRequest(")
    assert check_lockfile(project).findings == []
    write("llmring.lock", bound("anthropic:claude-haiku5-5"))
    assert [it.code for it in check_lockfile(project).findings] == ["model-unknown"]


def test_a_json_lockfile_has_places_too(project: Path, write: Write) -> None:
    path = write(
        "llmring.lock",
        '{"version": "1.0", "profiles": {"default": {"bindings": [\n'
        '  {"alias": "chatbot", "model": "claude-haiku5-5", "provider": "anthropic"}\n]}}}\n',
    )
    assert found(path) == [("model-unknown", "error", "llmring.lock", 2)]


def test_odd_texts_are_quick(project: Path, write: Write) -> None:
    write("llmring.lock", ODD)
    write("blank.txt", "\n" * 250_000)
    write("wide.yaml", " " * 250_000)
    write("lists.json", "[ " * 120_000)
    cell = {"cell_type": "code", "source": ["LLMRequest" + " " * 200_000 + "x\n", " " * 200_000 + "= "]}
    write("book.ipynb", json.dumps({"cells": [cell]}))
    write("import.py", "from  " * 40_000 + "\nimport " + "llmring," * 30_000)
    begun = time.process_time()
    check(project)
    assert time.process_time() - begun < 3


def test_a_big_tree_is_quick(project: Path, write: Write) -> None:
    for index in range(3000):
        write(f"pkg/m{index}.py", "x = 1\n" * 300)
    begun = time.process_time()
    assert check(project).files == 3001
    assert time.process_time() - begun < 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_or_a_flood_instead_of_source_code_is_a_warning(project: Path) -> None:
    os.mkfifo("odd.py")
    Path("large.py").touch()
    os.truncate("large.py", 17 * 1024 * 1024)
    found = [
        it.message
        for it in check(project, [Path("odd.py"), Path("large.py")]).findings
        if it.code == "source-unreadable"
    ]
    assert found == [
        "The file was passed over: it cannot be read: it is larger than 16 MiB.",
        "The file was passed over: it cannot be read: it is a pipe.",
    ]


def test_tools_that_name_no_dialect(project: Path, write: Write) -> None:
    text = LOCKFILE.replace('"openai:gpt-6-luna"]', '"openai:gpt-6-luna"]\ntools = "prompt:morse"')
    write("llmring.lock", f'{text}\n[providers.vllm]\nbase_url = "http://127.0.0.1:8000/v1"\ntools = "yes"\n')
    binding, provider = check_lockfile(project).findings
    assert [(it.code, it.severity) for it in (binding, provider)] == [("tools-unknown", "error")] * 2
    assert "prompt:morse" in binding.message
    assert "hermes" in binding.message
    assert "prompt:NAME" in provider.message
    assert binding.spot.line == 7
    good = text.replace("morse", "hermes") + '\n[providers.ollama]\ntools = "native"\n'
    write("llmring.lock", good)
    assert check_lockfile(project).findings == []


REGISTERED = """
import llmring
from llmring import LLMRing
NAME = "mine"

{}
LLMRing().resolve_alias("chatbot")
"""


@pytest.mark.parametrize(
    "said",
    [
        'llmring.register("mine", object())',
        "llmring.register(NAME, object())",
        'llmring.register(name="mine", provider=object())',
        'LLMRing().register_provider("mine", object())',
    ],
)
@pytest.mark.parametrize("table", ["", '[providers.mine]\nbase_url = "https://x.example"\n', "other"])
def test_a_provider_that_the_program_registers_is_known(said: str, table: str, write: Write) -> None:
    model = "mine:m"
    if table == "other":
        model, table = "other:m", '[providers.other]\nsdk = "mine"\nbase_url = "https://x.example"\n'
    bindings = f'[[profiles.default.bindings]]\nalias = "chatbot"\nmodels = ["{model}"]\n'
    text = f'version = "1.0"\ndefault_profile = "default"\n[profiles.default]\nname = "default"\n{bindings}{table}'
    path = write("llmring.lock", text)
    write("app.py", REGISTERED.format(said))
    assert found(path) == []
    write("app.py", REGISTERED.format('atexit.register("mine")'))
    assert [code for code, *_ in found(path)] == ["provider-unknown"]
