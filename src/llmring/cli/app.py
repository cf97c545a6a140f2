"""The `llmring` command: its groups put together, and what an error looks like."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Annotated, Any, TypeGuard

import typer
from typer.core import TyperGroup

from ..exceptions import AliasNotFoundError, LLMRingError
from .terminal import (
    Closed,
    complain,
    escape_what_is_lacking,
    printable,
    say,
    say_what_was_lacking,
    unforeseen,
    unwritable,
)

__all__ = ["build", "run"]


class _AsIs:
    def coerce(self, value: Any, **_: Any) -> Any:
        return value


class _Commands(TyperGroup):
    """The commands, quick to start and plain in their errors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _spare_pydantic(self.get_params(ctx))
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            _make_plain(error)
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        _spare_pydantic(command.get_params(ctx) if command is not None else ())
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LLMRingError as error:
            complain(f"{error}{_meant(error)}")
            raise typer.Exit(1) from None
        except Exception as error:
            _make_plain(error)
            raise


def _make_plain(error: Exception) -> None:
    """Have Typer, which prints the message of a usage error itself, print nothing that steers the terminal."""
    message = getattr(error, "message", None)
    if isinstance(message, str):
        error.message = printable(message)  # type: ignore[attr-defined]


def _meant(error: LLMRingError) -> str:
    """What to add where the name of a model was taken for an alias, since it named no provider."""
    if not isinstance(error, AliasNotFoundError) or error.alias is None:
        return ""
    from .known import of_some_provider

    model = of_some_provider(error.alias)
    return f". Did you mean {model}?" if model else ""


def _spare_pydantic(params: Iterable[Any]) -> None:
    """Let strings and switches through as they are.

    Typer 0.29 has pydantic check them, whose import takes longer than all the rest of `llmring aliases`. Where
    Typer has no such attribute, setting it does nothing.
    """
    for param in params:
        if getattr(getattr(param, "type_descriptor", None), "annotation", None) in (str, bool):
            param._runtime_param = _AsIs()


_COMMANDS: Mapping[str, tuple[str, str]] = {
    "chat": ("chat", "chat"),
    "aliases": ("aliases", "list_aliases"),
    "bind": ("aliases", "bind"),
    "unbind": ("aliases", "unbind"),
    "models": ("models", "models"),
    "info": ("info", "info"),
    "providers": ("providers", "providers"),
    "doctor": ("doctor", "doctor"),
    "trust": ("trust", "trust"),
    "lock": ("lock", "app"),
    "demo": ("demo", "demo"),
}
"""Where each command is, in the order of the help: a module here, and a name in it."""

_SETTINGS: Mapping[str, dict[str, Any]] = {"bind": {"allow_extra_args": True}}
"""What a command says itself where Typer's own words would not help."""


def build(names: Iterable[str] = _COMMANDS) -> typer.Typer:
    """The application with these commands. Each costs the import of its module."""
    built = typer.Typer(
        cls=_Commands,
        help="One alias, any provider: the lockfile says which model answers, and the answer streams the same way.\n\n"
        "Start with `llmring demo`, which needs no key, or with `llmring lock init`.\n\n"
        '\b\nExample:\n  llmring lock init\n  llmring aliases\n  llmring chat "Why is the sky blue?"',
        epilog="LLMRING_LOCKFILE_PATH chooses the file for every command, LLMRING_PROFILE the profile for each that "
        "asks or shows one; lock check, lock diff and lock upgrade look at all profiles.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    built.callback()(_root)
    for name in names:
        module, attribute = _COMMANDS[name]
        found = getattr(import_module(f"llmring.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            built.add_typer(found, name=name)
        else:
            built.command(name, context_settings=_SETTINGS.get(name))(found)
    return built


def __getattr__(name: str) -> Any:
    """`app`, with all commands."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = app = build()
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"llmring {version('llmring')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command that the process was started with, and leave with its status."""
    sys.stdout = sys.stdout or Closed()
    escape_what_is_lacking()
    try:
        if os.environ.get("_LLMRING_COMPLETE") == "complete_bash":
            from .completion import complete_in_bash

            complete_in_bash(_answer)
        else:
            _answer()
    except KeyboardInterrupt:
        sys.exit(130)
    except LLMRingError as error:  # outside any command, as with --version
        complain(str(error))
        sys.exit(1)
    except Exception as error:
        complain(unwritable(error) if _is_of_typers_own_words(error) else unforeseen(error))
        sys.exit(1)
    finally:
        say_what_was_lacking()
        _flush()


def _is_of_typers_own_words(error: Exception) -> TypeGuard[OSError]:
    """Whether it is Typer that could not write: it prints the help and the completion scripts itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return isinstance(error, OSError) and where.partition(".")[0] in ("typer", "click")


def _answer() -> None:
    """Run with the command that is asked for alone, with all of them where the help or the shell wants to know."""
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    alone = asked in _COMMANDS and "_LLMRING_COMPLETE" not in os.environ
    build([asked] if alone else _COMMANDS)(prog_name="llmring")


def _flush() -> None:
    """Let a reader that has gone, as in `llmring aliases | head -1`, be no error when Python flushes at the end.

    A disk that is full has been spoken of already.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
