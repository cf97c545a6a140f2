"""Packages as pip installs them: a module and its `dist-info`, in a folder that is looked into."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmring.providers import kinds

Install = Callable[..., Path]

CLASS = '''
from llmring.providers import Dialect, HTTPProvider, Words
from llmring.wire.openai_chat import ChatDecoder, render_request


class Acme(HTTPProvider):
    """Speaks Chat Completions, without an SDK."""

    dialect = Dialect(
        "acme",
        base_url="{url}",
        key_variables=["ACME_API_KEY"],
        hosts=["models.acme.example"],
        words=[Words("no_model", words=["is not on our shelf"])],
    )

    def path(self, call):
        return "/chat/completions"

    def render(self, call):
        return render_request(call.request, call.model, stream=call.stream, issuer=self.issuer)

    def decoder(self, call):
        return ChatDecoder(f"{{self.name}}:{{call.model}}")
'''


@pytest.fixture
def install(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package: its module's text, and what it brings, in a folder at the head of `sys.path`."""
    folder = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)

    def install(module: str, text: str, brings: dict[str, str], *, version: str = "1.0") -> Path:
        name = module.replace("_", "-")
        (folder / f"{module}.py").write_text(text)
        info = folder / f"{module}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        entries = "".join(f"{key} = {value}\n" for key, value in brings.items())
        (info / "entry_points.txt").write_text(f"[{kinds.GROUP}]\n{entries}")
        return folder

    yield install
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    kinds.forget()
