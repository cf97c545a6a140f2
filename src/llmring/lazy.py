"""Packages whose names are loaded when they are first used (PEP 562), so that importing them costs next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, modules: Mapping[str, Iterable[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package.

    Args:
        package: its `__name__`.
        modules: its modules, each with the names that are the package's, too. A module itself is one of them.
    """
    namespace = vars(sys.modules[package])
    home = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        if name in home:
            value = getattr(import_module(f".{home[name]}", package), name)
        elif name in modules:
            value = import_module(f".{name}", package)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        namespace[name] = value
        return value

    return load, lambda: sorted({*namespace, *namespace["__all__"]})
