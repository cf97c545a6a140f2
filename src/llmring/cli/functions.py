"""The functions that `--tools` names: how they are found, and how somebody is asked before each call."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from importlib import import_module
from operator import attrgetter
from time import monotonic
from types import ModuleType
from typing import Any

import typer

from .. import tools
from ..exceptions import ConfigurationError, InvalidRequestError, ToolCallError
from ..references import alike, escaped, shown
from ..schemas import LLMRequest
from ..talk import ToolResult
from ..talk.functions import called
from .terminal import note, unexpected

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

_RESULT = 300
"""Characters of a result that are shown."""


def named(names: Iterable[str]) -> list[Callable[..., Any]]:
    """The functions of these names, `module:function`, from the working directory or what is installed.

    Raises:
        BadParameter: a name is none.
        ConfigurationError: a module cannot be imported, or has no such function that a model could call.
    """
    found = [_named(name) for name in dict.fromkeys(names)]
    try:
        tools.definitions(LLMRequest(model="-", messages=[], tools=found))
    except InvalidRequestError as error:
        raise ConfigurationError(f"--tools: {error}") from None
    return found


def _named(name: str) -> Callable[..., Any]:
    module_name, colon, path = name.partition(":")
    module_name = module_name.removesuffix(".py").replace(os.sep, ".") if module_name.endswith(".py") else module_name
    if not (module_name and colon and path):
        raise typer.BadParameter(
            f"{shown(name)} is no module:function, as in --tools weather:get_weather for get_weather of weather.py",
            param_hint="--tools",
        )
    module = _module(module_name)
    try:
        function = attrgetter(path)(module)
    except AttributeError:
        there = [it for it, value in vars(module).items() if callable(value) and not it.startswith("_")]
        own = [it for it in there if getattr(getattr(module, it), "__module__", None) == module.__name__] or there
        near = alike(path, there)
        hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(own[:8]) or 'no functions'}."
        raise ConfigurationError(f"--tools: {module_name} has no {shown(path)}. {hint}") from None
    if not callable(function):
        raise ConfigurationError(
            f"--tools: {shown(path)} of {module_name} is no function but of type {type(function).__name__}."
        )
    return function  # type: ignore[no-any-return]


def _module(name: str) -> ModuleType:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise ConfigurationError(
                f"--tools: there is no module {shown(name)} in {here}, nor is one installed beside llmring."
            ) from None
        raise ConfigurationError(f"--tools: {name} cannot be imported: {error}.") from None
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise ConfigurationError(f"--tools: {name} cannot be imported: {unexpected_line(error)}.") from None
    finally:
        # What was named may import what lies beside it, later, too; an SDK of ours is never taken from there.
        sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)


def unexpected_line(error: BaseException) -> str:
    """An error of a module that is not ours; all of it, if `LLMRING_DEBUG` is set."""
    if isinstance(error, Exception) and os.environ.get("LLMRING_DEBUG"):
        return unexpected(error)
    return f"{type(error).__name__}: {error}".rstrip(": .")


class Refused(ToolCallError):
    """A call that the person at the terminal did not allow."""


class Asked:
    """Has functions called only after a yes, and tells of each call and what came of it.

    Args:
        functions: to call.
        yes: whether to ask nobody.
        say: shows a line.
        pause: makes room for lines amid the answer.
    """

    def __init__(
        self,
        functions: Iterable[Callable[..., Any]],
        *,
        yes: bool,
        say: Callable[[str], None] = note,
        pause: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.functions = [self._guarded(it) for it in functions]
        self._yes = yes
        self.say = say
        self.pause = pause
        self._one_at_a_time = asyncio.Lock()

    def tell(self, result: ToolResult) -> None:
        """Say of a call that never came as far as a function."""
        if type(result.error) is ToolCallError:
            self.say(f"{call(result.name, result.arguments)} was not called: {short(result.error)}")

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = getattr(function, "__name__", type(function).__name__)

        @functools.wraps(function)
        async def guarded(**arguments: Any) -> Any:
            await self._allow(name, arguments)
            began = monotonic()
            try:
                value, error = await called(function, arguments)
                if error is not None:
                    raise error
            except Exception as failure:
                self.say(f"{name} failed: {type(failure).__name__}: {short(failure)}")
                raise
            self.say(f"{name} gave {short(value)} ({monotonic() - began:.1f} s)")
            return value

        return guarded

    async def _allow(self, name: str, arguments: dict[str, Any]) -> None:
        what = call(name, arguments)
        if self._yes:
            self.say(f"Calling {what}")
            return
        async with self._one_at_a_time:
            self.pause(True)
            try:
                self.say(f"The model calls {what}")
                async with _listening() as line:
                    print("Allow this call? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201
                    answer = await line
                if not answer.endswith("\n"):
                    print(file=sys.stderr)  # noqa: T201
            finally:
                self.pause(False)
        if answer.strip().lower() not in ("y", "yes"):
            self.say(f"{name} was not called.")
            raise Refused("The user did not allow this call.")


def call(name: str, arguments: Any) -> str:
    """A call as it would be made, with nothing in it that could steer a terminal or hide."""
    if not isinstance(arguments, dict):
        return escaped(f"{name}({arguments!r})")
    return escaped(f"{name}({', '.join(f'{key}={_said(value)}' for key, value in arguments.items())})")


def _said(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def short(value: Any) -> str:
    """What came of a call, on a line."""
    text = escaped(
        value if isinstance(value, str) else str(value) if isinstance(value, BaseException) else _said(value)
    )
    return text if len(text) <= _RESULT else f"{text[:_RESULT]}..."


@asynccontextmanager
async def _listening() -> AsyncIterator[asyncio.Future[str]]:
    """The next line that is typed, from now on: what was typed before is no answer to a question nobody had seen."""
    loop = asyncio.get_running_loop()
    if termios is None:
        yield asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))
        return
    line: asyncio.Future[str] = loop.create_future()
    terminal = sys.stdin.fileno()

    def read() -> None:
        try:
            typed = os.read(terminal, 4096)
        except OSError:  # the terminal is gone
            typed = b""
        if not line.done():
            line.set_result(typed.decode(errors="replace"))

    before = termios.tcgetattr(terminal)
    heard = [*before]
    heard[3] |= termios.ECHO | termios.ICANON
    termios.tcsetattr(terminal, termios.TCSAFLUSH, heard)
    loop.add_reader(terminal, read)
    try:
        yield line
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
