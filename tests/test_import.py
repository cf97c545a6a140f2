"""Importing costs next to nothing: each part is loaded when it is first needed."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import llmring
from llmring.lazy import Later
from llmring.providers import base as providers

from .conftest import Way

_SDKS = ["openai", "anthropic", "google.genai", "ollama", "httpx", "httpx2", "httpcore", "anyio"]
_TOOLS = [
    "aiohappyeyeballs",
    "typer",
    "click",
    "rich",
    "tomlkit",
    "tomli_w",
    "genai_prices",
    "jsonschema",
    "docstring_parser",
    "keyring",
    "h11",
]


def loaded_by(program: str) -> set[str]:
    """The modules that are loaded after a program has run in a fresh interpreter."""
    program += "\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stderr == ""
    return set(json.loads(done.stdout))


def test_the_package_loads_nothing() -> None:
    ours = {name for name in loaded_by("import llmring") if name.startswith("llmring")}
    assert ours == {"llmring", "llmring.lazy"}
    bare = loaded_by("")
    assert not (loaded_by("import llmring") - bare) & {
        "asyncio",
        "pydantic",
        "pydantic_core",
        "tomllib",
        *_SDKS,
        *_TOOLS,
    }


def test_the_service_loads_what_its_methods_name_and_no_more() -> None:
    bare = loaded_by("import asyncio, threading, weakref")
    loaded = loaded_by("from llmring import LLMRing") - bare
    assert {name for name in loaded if name.startswith("llmring")} == {
        "llmring",
        "llmring.aliases",
        "llmring.counted",
        "llmring.credentials",
        "llmring.exceptions",
        "llmring.exceptions.root",
        "llmring.filed",
        "llmring.lazy",
        "llmring.lockfile",
        "llmring.misuse",
        "llmring.models",
        "llmring.provided",
        "llmring.record",
        "llmring.providers",
        "llmring.service",
        "llmring.state",
        "llmring.talking",
        "llmring.wire",
    }
    assert not loaded & {"pydantic", "pydantic_core", "tomllib", "json", "dataclasses", "hashlib", "urllib.request"}


@pytest.mark.parametrize("package", ["llmring", "llmring.catalog", "llmring.lockfile", "llmring.providers"])
def test_what_a_package_loads_later_is_there(package: str) -> None:
    """Each module that may be named and imported later is one, and is imported with the first use of a name of it."""
    names = vars(import_module(package))
    for name in inspect.getclosurevars(names.get("_load", names["__getattr__"])).nonlocals["later"]:
        module = f"{package}.{name}"
        program = f"from {package} import {name} as it; import sys; assert {module!r} not in sys.modules; it.__all__"
        assert module in loaded_by(program)


def test_what_is_set_on_a_module_to_be_loaded_later_is_set_there() -> None:
    loaded_by(
        "from llmring import routing; routing.logger = 1\n"
        "from llmring.routing import logger; assert logger == routing.logger == 1"
    )


def test_a_module_to_be_loaded_later_is_as_the_module() -> None:
    """What is replaced in either, as a test does for a while, is replaced in both, and put back."""
    loaded_by(
        "from llmring import catalog; from unittest.mock import patch; import sys\n"
        "own = catalog.cost_of; module = sys.modules['llmring.catalog']\n"
        "with patch('llmring.catalog.cost_of', 1): assert catalog.cost_of == module.cost_of == 1\n"
        "assert catalog.cost_of is module.cost_of is own\n"
        "with patch.object(catalog, 'cost_of', 1): assert module.cost_of == 1\n"
        "assert catalog.cost_of is module.cost_of is own; assert dir(catalog) == dir(module)\n"
        "import pytest\n"
        "with pytest.MonkeyPatch.context() as patch:\n"
        "    patch.setattr(catalog, 'cost_of', 1); assert module.cost_of == 1\n"
        "assert catalog.cost_of is module.cost_of is own; assert vars(catalog) is vars(module)"
    )


def test_what_is_listed_is_public() -> None:
    loaded_by(
        "import llmring, llmring.catalog; llmring.LLMRing\n"
        "for it in (llmring, llmring.catalog):\n"
        "    listed = {name for name in dir(it) if not name.startswith('__')}\n"
        "    assert listed == set(it.__all__) - {'__version__'}, listed"
    )


def test_the_names_load_no_sdk() -> None:
    loaded = loaded_by("from llmring import ChatStream, LLMRequest, LLMResponse, LLMRing, Message, StreamChunk")
    assert "llmring.service" in loaded
    assert not loaded & {*_SDKS, *_TOOLS}
    assert not {name for name in loaded if name.startswith(("llmring.cli", "llmring.testing", "llmring.catalog"))}


def test_a_service_loads_no_sdk() -> None:
    loaded = loaded_by("from llmring import LLMRing; LLMRing()")
    assert not loaded & {*_SDKS, *_TOOLS}


def test_a_plain_request_loads_what_it_needs(way: Way) -> None:
    """What only failures, tools, files, structured answers and other wires need is not loaded for a line of text."""
    loaded = loaded_by("""
import asyncio
from llmring import LLMRequest, LLMRing, Message

async def main():
    async with LLMRing() as service:
        async for _ in service.chat_stream(LLMRequest(model="chatbot", messages=[Message(role="user", content="Hi")])):
            pass

asyncio.run(main())
""")
    ours = {name.removeprefix("llmring.") for name in loaded if name.startswith("llmring.")}
    wires = {f"wire.{name}" for name in ("anthropic", "gemini", "ollama", "openai_chat", "openai_responses")}
    assert ours & wires == {f"wire.{way.wire.replace('-', '_')}"}
    assert ("httpx" in loaded) is (way.provider in ("google", "ollama"))
    assert not ours & {
        "catalog.prices",
        "lockfile.edits",
        "lockfile.extends",
        "lockfile.locking",
        "parts",
        "concealment",
        "providers.errors",
        "providers.listing",
        "structured",
        "talk",
        "tool_dialects",
        "tools",
        "wire.schema_dialects",
        "wire.told_calls",
        "wire.media",
    }


def test_a_service_reads_no_data_before_its_first_request() -> None:
    loaded_by(
        "from llmring import LLMRing\nfrom llmring.vendors import load\nLLMRing()\nassert load.cache_info().misses == 0"
    )


@pytest.mark.parametrize("name", ["schemas", "exceptions"])
def test_a_module_is_an_attribute(name: str) -> None:
    assert f"llmring.{name}" in loaded_by(f"import llmring; llmring.{name}")


def test_every_public_name_is_there() -> None:
    loaded_by(
        "import llmring\nfor name in llmring.__all__:\n    assert getattr(llmring, name) and name in dir(llmring)"
    )
    loaded_by("from llmring import *\nLLMRing, LLMRequest, Message, StreamChunk, LLMResponse")


def test_a_name_that_is_not_there() -> None:
    loaded_by(
        "import llmring\ntry:\n    llmring.nothing\n"
        "except AttributeError as error:\n    assert 'llmring' in str(error) and 'nothing' in str(error)\n"
        "else:\n    raise SystemExit(1)"
    )


def _public() -> Iterator[tuple[str, object]]:
    """Every public class and function, with every public method of the classes, those that they inherit from us too."""
    names = {f"llmring.{name}": getattr(llmring, name) for name in llmring.__all__}
    for module in (llmring.exceptions, llmring.schemas, providers):
        names |= {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    for name, it in names.items():
        if not inspect.isclass(it):
            if inspect.isfunction(it):
                yield name, it
            continue
        yield name, it
        for method, _ in inspect.getmembers_static(it):
            found = getattr(it, method)
            found = found.fget if isinstance(found, property) else inspect.unwrap(getattr(found, "__func__", found))
            ours = inspect.isfunction(found) and found.__module__.startswith("llmring")
            if ours and (not method.startswith("_") or method == "__init__"):
                yield f"{name}.{method}", found


@pytest.mark.parametrize(("name", "it"), [pytest.param(*it, id=it[0]) for it in _public()])
def test_what_a_public_name_takes_and_gives_can_be_asked_for(name: str, it: Any) -> None:
    """Also where what an annotation names is not loaded by then."""
    for said, hint in get_type_hints(it).items():
        assert hint is not None, (name, said)


def test_annotations_say_what_the_package_has() -> None:
    hints = get_type_hints(llmring.LLMRing.chat)
    assert hints["request"] is llmring.LLMRequest
    assert hints["return"] is llmring.LLMResponse
    assert get_type_hints(llmring.LLMRing.chat_stream)["return"] is llmring.ChatStream


def seconds(imported: str) -> float:
    """How long an import takes in a fresh interpreter, without the interpreter's own start."""
    program = f"import time; began = time.perf_counter(); import {imported}; print(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    return float(done.stdout)


def test_importing_costs_at_most_half_as_much_again_as_pydantic() -> None:
    """The best of several runs of each, one after the other; a busy machine gets more of them."""
    ours, theirs = float("inf"), float("inf")
    for run in range(20):
        ours = min(ours, seconds("llmring"))
        theirs = min(theirs, seconds("pydantic"))
        if run >= 3 and ours <= 1.5 * theirs:
            break
    assert ours <= 1.5 * theirs


def test_warming_up_loads_the_sdk_that_is_needed() -> None:
    program = """
import threading
from llmring import LLMRing
service = LLMRing()
service.warm_up("ollama:llama3.2", "nobody:knows-it")
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join()
"""
    loaded = loaded_by(program)
    assert "ollama" in loaded
    assert not loaded & {"openai", "anthropic", "google.genai"}
    assert "ollama" not in loaded_by(program.replace('"ollama:llama3.2", ', ""))


def test_a_provider_that_connects_to_nobody_loads_no_race() -> None:
    program = "from llmring import LLMRing; LLMRing(api_keys={'openai': 'practice'}).get_provider('openai')"
    loaded = loaded_by(program)
    assert "llmring.providers.network" in loaded
    assert "aiohappyeyeballs" not in loaded


def test_a_module_that_another_thread_imports_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads whose first requests come together have whole modules, and no half of one."""
    (tmp_path / "slowly_there.py").write_text(
        "import threading\n"
        "from llmring.lazy import Later\n"
        "found = []\n"
        "other = threading.Thread(target=lambda: found.append(Later(__name__).NAME))\n"
        "other.start()\n"
        "other.join(0.2)  # as long as it would take to fail\n"
        "NAME = 'whole'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = Later("slowly_there")
    module.other.join()
    assert module.found == ["whole"]
    monkeypatch.delitem(sys.modules, "slowly_there")
