"""httpx, loaded so that nobody trips over it while it is.

OpenAI's SDK looks with each request whether httpx is loaded, and at names of it (`openai/_httpx2.py`). It would find it
half loaded, without them, while another SDK's first use loads it in a thread.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

__all__ = ["LOOKED_AT", "load_httpx"]

LOOKED_AT = (
    *("Auth", "AsyncClient", "Client", "HTTPStatusError", "Limits", "RequestError", "RequestNotRead", "Response"),
    *("StreamConsumed", "Timeout", "TimeoutException", "URL"),
)
"""The names that it looks at."""


class _NotYet(Exception):
    """What nothing is an instance of: it stands for each of these names until the module has its own."""


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(dict.fromkeys(LOOKED_AT, _NotYet))
        super().exec_module(module)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "httpx" else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def load_httpx() -> None:
    """Load it, if it is not there yet.

    Raises:
        ImportError: it is not installed.
    """
    if "httpx" not in sys.modules:
        sys.meta_path.insert(0, _Finder)
        try:
            import_module("httpx")
        finally:
            sys.meta_path.remove(_Finder)
