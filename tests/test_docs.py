"""The README, the docs and the skills, held to what they say.

Every Python block is run as it stands, against each provider; every TOML block is a lockfile, or a part of one; every
command of the pages about the lockfile is run, in order, and prints what the page shows: all of it, but for what `…`
stands for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from llmring.lockfile import bind, create, parse
from llmring.providers import unregister
from llmring.templates import read as read_template
from llmring.testing import PracticeServer, RecordedRequest, Reply, ToolCallScript

from .program import PROGRAM

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "skills").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
GUIDE = ROOT / "docs" / "integrate-a-provider.md"
EXAMPLE = ROOT / "examples" / "provider-package"
SHOWN = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
"""A block that shows a part of a file of the example, where its own suite runs it."""
COMMANDED = [ROOT / "docs" / "lockfile.md", ROOT / "skills" / "llmring-lockfile" / "SKILL.md"]
MODELS = {
    "openai": "openai:gpt-6-luna",
    "anthropic": "anthropic:claude-haiku-5-5",
    "google": "google:gemini-3.5-flash",
    "ollama": "ollama:llama3.2",
}
WIRES = {"openai": "openai-chat", "anthropic": "anthropic", "google": "gemini", "ollama": "ollama"}
LOCKFILE = 'version = "1.0"\ndefault_profile = "default"\n\n[profiles.default]\nname = "default"\n'
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)


def blocks(kind: re.Pattern[str] = BLOCK) -> list[Any]:
    found = []
    for document in DOCUMENTS:
        written = document.read_text()
        shown = {block.start(2) for block in SHOWN.finditer(written)} if document == GUIDE else ()
        for block in kind.finditer(written):
            # Files and cells of recipes are run as such: tests/test_recipes.py.
            if block.start(1) in shown or (document.parent.name == "recipes" and block[1].startswith("# ")):
                continue
            line = written.count("\n", 0, block.start()) + 2
            found.append(pytest.param(block[1], document, line, id=f"{document.relative_to(ROOT)}:{line}"))
    return found


def example(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Some value of a schema, as a model that keeps to it would answer."""
    if "$ref" in schema:
        return example(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], definitions)
    match schema.get("type"):
        case "object":
            return {name: example(inner, definitions) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [example(schema.get("items", {"type": "string"}), definitions)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case _:
            return "text"


def obliging(request: RecordedRequest) -> Reply:
    """A model that calls the first tool it is offered, then answers, in the form that was asked for."""
    body = request.body
    schema = _schema(request.wire, body)
    if schema is not None:
        return Reply(text=to_json(example(schema, schema.get("$defs", {}))).decode())
    name, parameters = _tool(body)
    if name and not _has_results(body):
        return Reply(tool_calls=[ToolCallScript(name, example(parameters, parameters.get("$defs", {})))])
    return Reply(text="Hello, this is the practice server.", reasoning="Let me think.")


def _schema(wire: str | None, body: dict[str, Any]) -> dict[str, Any] | None:
    found: Any
    match wire:
        case "openai-chat":
            found = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
        case "openai-responses":
            found = (body.get("text") or {}).get("format", {}).get("schema")
        case "anthropic":
            found = (body.get("output_config") or {}).get("format", {}).get("schema")
        case "gemini":
            found = (body.get("generationConfig") or {}).get("responseJsonSchema")
        case _:
            found = body.get("format")
    return found if isinstance(found, dict) else None


def _tool(body: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    for tool in body.get("tools") or ():
        declared = tool.get("functionDeclarations", [tool])[0]
        function = declared.get("function", declared)
        held = [function[key] for key in ("parameters", "input_schema", "parametersJsonSchema") if key in function]
        return function["name"], held[0] if held else {}
    return None, {}


def _has_results(body: dict[str, Any]) -> bool:
    written = str(body)
    return any(
        mark in written for mark in ("'role': 'tool'", "tool_result", "functionResponse", "function_call_output")
    )


def _is_of_tests(source: str, document: Path) -> bool:
    return "\ndef test_" in source or document.name == "own-format.md"


@pytest.mark.long
def test_a_block_of_tests_passes_under_pytest(bare: Path) -> None:
    found = [str(it.values[0]) for it in blocks() if _is_of_tests(*it.values[:2])]
    assert found
    for number, source in enumerate(found):
        (bare / f"test_{number}.py").write_text(str(source))
    # As the skill of testing has it.
    binding = '[[profiles.test.bindings]]\nalias = "chatbot"\nmodels = ["replay:chat.jsonl"]\n'
    create("llmring.lock", f'{LOCKFILE}\n[profiles.test]\nname = "test"\n\n{binding}')
    (bare / "chat.jsonl").write_text(
        '{"llmring":1,"model":"anthropic:claude-haiku-5-5","request":{"messages":[{"role":"user","content":'
        '"What is the capital of France?"}]},"answer":{"chunks":[[9,"Paris."]],"finish_reason":"stop"}}'
    )
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "."], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("provider", MODELS)
@pytest.mark.parametrize(("source", "document", "line"), blocks())
def test_block(
    source: str,
    document: Path,
    line: int,
    provider: str,
    server: PracticeServer,
    bare: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.script(obliging)
    create("llmring.lock", LOCKFILE)
    bind("llmring.lock", "chatbot", [MODELS[provider]])
    (bare / "cat.png").write_bytes(PIXEL)
    (bare / "report.md").write_text("# Report\n")
    code = compile("\n" * (line - 1) + source, str(document), "exec")
    try:
        exec(code, {"__name__": "__main__"})
    finally:
        unregister("acme")
    if "service.chat" in source and "PracticeServer(" not in source and not _is_of_tests(source, document):
        asked = {request.wire for request in server.requests} - {"files"}
        assert asked, "the block asked nobody"
        # A block about the lockfile may rebind the alias; every other one asks whom it is bound to.
        assert asked == {WIRES[provider]} or "lockfile" in f"{document.parent.name} {document.stem}"
    assert "print(" not in source or capsys.readouterr().out


@pytest.mark.parametrize(("source", "document", "line"), blocks(TOML))
def test_toml_is_a_lockfile_a_part_of_one_or_a_template(source: str, document: Path, line: int, tmp_path: Path) -> None:
    if "[tool." in source or "[project." in source:
        return
    if "# llmring.templates/" in source:
        folder = tmp_path / "llmring.templates"
        folder.mkdir()
        (folder / "it.toml").write_text(source)
        assert read_template(tmp_path / "llmring.lock", "it").prompt
        return
    whole = source if "\nversion = " in f"\n{source}" else f'version = "1.0"\n{source}'
    lockfile = parse(whole.encode(), document)
    assert (
        lockfile.providers
        or lockfile.models
        or lockfile.extends
        or any(profile.bindings for profile in lockfile.profiles.values())
    )


def commands(document: Path) -> list[tuple[str, list[str]]]:
    """Each command that a page shows, with the lines of output that it shows."""
    found: list[tuple[str, list[str]]] = []
    for block in CONSOLE.finditer(document.read_text()):
        for line in block[1].splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line.strip():
                found[-1][1].append(" ".join(line.split()))
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="the pages show a POSIX shell")
@pytest.mark.parametrize("document", COMMANDED, ids=lambda document: str(document.relative_to(ROOT)))
@pytest.mark.usefixtures("program")
def test_commands_do_what_the_page_shows(document: Path, server: PracticeServer, bare: Path) -> None:
    person = {f"GIT_{who}_{what}": "docs@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = f"{Path(PROGRAM).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, **person, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", "init", "-q", "."], check=True)
    shown = commands(document)
    assert len(shown) >= 5
    for command, lines in shown:
        done = subprocess.run(["bash", "-c", command], env=environ, capture_output=True, text=True, timeout=300)
        said = " ".join(f"{done.stdout} {done.stderr}".split())
        assert (done.returncode == 0) is not any(line.startswith("Error:") for line in lines), (command, said)
        pattern = re.escape(" ".join(lines)).replace("…", ".*").replace(r"\ .*\ ", r"\ .*")
        assert not lines or re.fullmatch(pattern, said), (command, said)


def test_what_the_guide_shows_of_the_example_stands_in_its_files() -> None:
    shown = SHOWN.findall(GUIDE.read_text())
    assert len(shown) >= 8
    for path, block in shown:
        assert _lines(block) in _lines((EXAMPLE / path).read_text()), f"{path}:\n{block}"


def test_messages_that_the_pages_for_authors_explain_are_said() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "src" / "llmring").rglob("*.py"))
    said = re.sub(r"\{[^{}]*\}", "...", re.sub(r"[\"']\s*\n\s*f?[\"']", "", sources))
    for page in (GUIDE, ROOT / "skills" / "llmring-providers" / "SKILL.md"):
        table = page.read_text().partition("| you see |")[2] or page.read_text().partition("| message |")[2]
        messages = re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE)
        assert len(messages) >= 8
        for message in messages:
            for part in filter(None, map(str.strip, message.replace("(...)", "...").split("..."))):
                assert part in said, message


def _lines(code: str) -> str:
    """Without blank lines and indentation: a method is shown by itself."""
    return "\n".join(line.strip() for line in code.splitlines() if line.strip())


@pytest.mark.parametrize("name", ["README.md", "docs/start.md", "docs/testing.md"])
def test_what_a_page_installs_is_what_it_uses(name: str) -> None:
    written = (ROOT / name).read_text()
    installed = {
        extra for extras in re.findall(r"pip install '\.\[([\w,]+)\]'", written) for extra in extras.split(",")
    }
    used = "\n".join([*BLOCK.findall(written), *re.findall(r"^\$ llmring bind .*", written, re.MULTILINE)])
    needed = {name for name in MODELS if f"{name}:" in used} | ({"testing"} if "llmring.testing" in used else set())
    assert needed <= installed


def test_the_readme_counts_the_dependencies_and_is_short() -> None:
    readme = (ROOT / "README.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    numbers = ["Six", "Seven", "Eight", "Nine", "Ten", "Eleven"]
    assert f"{numbers[len(project['dependencies']) - 6]} direct dependencies" in readme
    assert readme.count("\n") <= 110


def test_pictures_say_what_they_show() -> None:
    shown = [
        (document, text, document.parent / path)
        for document in DOCUMENTS
        for text, path in re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", document.read_text())
    ]
    assert len(shown) >= 3
    for document, text, path in shown:
        assert path.is_file(), document
        assert len(text.split()) >= 15, f"{document}: {text}"


def test_no_advice_installs_another_package() -> None:
    """The one of this name on the package index is not this one."""
    advice = re.compile(r"(pip install|uv add|pipx install).*llmring")
    files = [
        ROOT / "README.md",
        *(it for folder in ("src", "docs", "skills", "examples") for it in (ROOT / folder).rglob("*.*")),
    ]
    texts = [it for it in files if it.suffix in (".py", ".md", ".toml")]
    assert len(texts) > 100
    found = [(path.name, line) for path in texts for line in path.read_text().splitlines() if advice.search(line)]
    assert found == []
