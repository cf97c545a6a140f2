"""Packages whose names are loaded when they are first used (PEP 562), so that importing them costs next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["Later", "lazily"]


class Later(ModuleType):
    """Stands in for a module that is imported when a name of it is first asked for.

    So annotations may name what need not be there: whoever asks for their meaning (`typing.get_type_hints`) finds it.
    It keeps nothing of the module, whose names may be given other values, as tests do.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._module, name)

    def __dir__(self) -> list[str]:
        return dir(self._module)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        return vars(self._module)

    @property
    def _module(self) -> ModuleType:
        # Not from `sys.modules`, where there is half a module while another thread imports it: this waits.
        return import_module(self.__name__)


def lazily(
    package: str, modules: Mapping[str, Iterable[str]], later: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package.

    Args:
        package: its `__name__`.
        modules: its modules, each with the names that are the package's, too. A module itself is one of them.
        later: modules for the package's own use. Where one is named by `from . import routing`, and is not there yet,
            it is imported with the first use of `routing.Route`: it may stand at the top of a module that seldom needs
            it, or not at the start.
    """
    namespace = vars(sys.modules[package])
    home = {name: module for module, names in modules.items() for name in names}

    def load(name: str) -> Any:
        if name in later:
            return Later(f"{package}.{name}")
        if name in home:
            value = getattr(import_module(f".{home[name]}", package), name)
        elif name in modules:
            value = import_module(f".{name}", package)
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        namespace[name] = value
        return value

    def names() -> list[str]:
        return sorted({*namespace["__all__"], *(it for it in namespace if it.startswith("__"))})

    return load, names
