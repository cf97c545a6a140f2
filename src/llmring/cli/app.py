"""The `llmring` command: which commands there are, each loaded when it is called, and what an error looks like."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeGuard

import typer
from typer.core import TyperGroup

from ..exceptions import AliasNotFoundError, LLMRingError, LockfileNotFoundError
from .helping import Command, fit, line_of
from .terminal import (
    Closed,
    Escapes,
    fail,
    fitted,
    hear_warnings,
    logged_from,
    printable,
    say,
    unexpected,
    unwritable,
)

_COMMANDS: Mapping[str, tuple[str, str]] = {
    "chat": ("chat:chat", "Ask a model, or talk with it."),
    "map": ("mapping:map_rows", "Ask about each row of files, as fast as the provider lets."),
    "batch list": ("batches:list_batches", "List the batches that are at vendors, and how they stand."),
    "batch collect": ("batches:collect", "Write the answers of the batches that are done."),
    "batch cancel": ("batches:cancel", "End batches; what is answered by then is kept."),
    "aliases": ("aliases:list_aliases", "Show which model serves which alias."),
    "bind": ("bind:bind", "Bind an alias to a model, or to several."),
    "unbind": ("bind:unbind", "Take an alias out of the lockfile."),
    "models": ("models:models", "List models, with their prices and windows."),
    "info": ("info:info", "Show what is known of an alias or a model."),
    "providers": ("status:providers", "Show how each provider stands here."),
    "doctor": ("doctor:doctor", "Look at all of it at once."),
    "keys set": ("keys:set_key", "Put a provider's key into the system's keyring."),
    "keys list": ("keys:list_keys", "Show where each provider's key comes from."),
    "keys remove": ("keys:remove_key", "Take a provider's key out of the system's keyring."),
    "log list": ("logged:list_log", "List what was asked, the latest last."),
    "log show": ("logged:show_log", "Show what was asked and answered."),
    "log delete": ("logged:delete_log", "Take entries out of the log."),
    "log clear": ("logged:clear_log", "Take all of it out of the log, or what is older."),
    "stats": ("logged:stats", "Say what was used, and what it cost, of what was logged."),
    "state show": (
        "counts:show_state",
        "Show what is spent and left of budgets, how rates stand, and which models are left alone.",
    ),
    "state reset": (
        "counts:reset_state",
        "Forget what was counted: what was spent, what waits, and, without an alias, how the models stand.",
    ),
    "trust": ("trust:trust", "Agree to where the lockfile has your secrets sent."),
    "mcp": ("mcp:mcp", "Serve the lockfile to an assistant (Model Context Protocol)."),
    "demo": ("demo:demo", "Stream from four providers, with no key and no network."),
    "replay show": ("replay:show", "Show what a recording holds."),
    "replay check": (
        "replay:check",
        "Say whether recordings can be replayed, and what in them should not be there.",
    ),
    "replay refresh": ("replay:refresh", "Ask the models of a recording again, and say what has changed."),
    "replay prune": ("replay:prune", "Run tests, and take out of a recording what they did not ask for."),
    "template list": ("templates:list_templates", "List the templates beside the lockfile."),
    "template show": ("templates:show", "Show a template as its file has it."),
    "lock init": ("init:init", "Write a lockfile for the providers that this machine can use."),
    "lock chat": ("advising:chat", "Say in words what you need, and have a model propose bindings."),
    "lock show": ("info:show", "Show the lockfile resolved."),
    "lock diff": ("diff:diff", "Show what changed in the lockfile, and what that costs."),
    "lock validate": ("document:validate", "Say whether the lockfile is valid, and where it is not."),
    "lock check": (
        "check:check",
        "Check the lockfile, and the source code that relies on it. For CI: it asks nobody over the network.",
    ),
    "lock upgrade": ("check:upgrade", "Move bindings off models that end."),
    "lock convert": ("document:convert", "Print the lockfile in the other format, or write it."),
    "lock schema": ("document:schema", "Print the JSON Schema of the lockfile."),
    "lock profile list": ("aliases:list_profiles", "List the profiles and what they bind."),
    "lock profile add": ("aliases:add", "Add a profile without bindings."),
    "lock profile copy": ("aliases:copy", "Copy a profile with all that it binds."),
    "lock profile remove": ("aliases:remove", "Remove a profile with all that it binds."),
}
"""In the order of the help: where each command is, `module:function`, and the first line of its docstring."""

_GROUPS: Mapping[str, str] = {
    "batch": """Look after the batches that llmring map --batch has made. Alone, it lists them.

\b
Example:
  llmring batch list
  llmring batch collect labels.jsonl
  llmring batch cancel labels.jsonl""",
    "keys": """Keep the providers' keys in the system's keyring.

\b
Example:
  llmring keys set anthropic
  llmring keys list""",
    "template": """Look at the templates that llmring chat --template takes.

\b
Example:
  llmring template list
  llmring template show translate""",
    "log": """Look at what was asked and answered, where that is logged. Alone, it lists it.

\b
Example:
  llmring log
  llmring log show --conversation
  llmring log list --search invoice -n 5""",
    "state": """Look at what is counted for rates and budgets. Alone, it shows it.

\b
Example:
  llmring state
  llmring state --watch
  llmring state reset chatbot""",
    "replay": """Look after recordings of models.

\b
Example:
  llmring replay show tests/recordings/chat.jsonl
  llmring replay check tests/recordings/*.jsonl
  llmring replay prune tests/recordings/chat.jsonl -- pytest -q""",
    "lock": """Make and keep the lockfile.

\b
Example:
  llmring lock init
  llmring lock show
  llmring lock check --strict""",
    "lock profile": """Add, remove, list and copy profiles.

\b
Example:
  llmring lock profile list
  llmring lock profile copy default staging""",
}

_SETTINGS: Mapping[str, dict[str, Any]] = {"bind": {"allow_extra_args": True}}
"""What a command says itself where Typer's own words would not help."""


_ALONE: Mapping[str, str] = {"batch": "list", "log": "list", "state": "show"}
"""What a group does where no command of it is named."""


class _Plain:
    """What a word becomes: a path, or what it is; and pairs of words, which Typer has no type for."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def coerce(self, value: Any, **_: Any) -> Any:
        if self._kind is tuple:
            return value or ()
        return Path(value) if self._kind is Path and isinstance(value, str) else value


class _Group(TyperGroup):
    """Commands that are listed without their modules, quick to start, and plain in their errors."""

    def __init__(self, *, words: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        self._words = words
        for path, (_, line) in _COMMANDS.items():
            if path.startswith(f"{words} ".lstrip()):
                name, *deeper = path.removeprefix(words).split()
                if not deeper:
                    self.add_command(Command(name, help=line, rich_markup_mode=None))
                elif name not in self.commands:
                    self.add_command(_subgroup(f"{words} {name}".strip(), name))

    def get_help(self, ctx: Any) -> str:
        fit(ctx)
        return super().get_help(ctx)

    def get_usage(self, ctx: Any) -> str:
        fit(ctx)
        return super().get_usage(ctx)

    def get_short_help_str(self, limit: int = 0) -> str:
        return line_of(self.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        self.suggest_commands = False
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except Exception as error:
            self._advise(error, args[0])
            raise
        path = f"{self._words} {name}".strip()
        if path in _COMMANDS:
            command = load(path)
            _spare_pydantic(command.get_params(ctx))
        return name, command, rest

    def _advise(self, error: Exception, typed: str) -> None:
        """Say in Typer's own error about a command that there is none of which one was meant."""
        message = getattr(error, "message", None)
        if isinstance(message, str) and not typed.startswith("-"):
            from .synonyms import meant

            said = meant(self._words, typed, _COMMANDS)
            error.message = f"{message} {said}".rstrip()  # type: ignore[attr-defined]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _spare_pydantic(self.get_params(ctx))
        alone = _ALONE.get(self._words)
        if alone is not None and (not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)):
            args = [alone, *args]
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            _make_plain(error)
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LLMRingError as error:
            fail(f"{error}{_meant(error)}")
            raise typer.Exit(1) from None
        except Exception as error:
            _make_plain(error)
            raise


def _subgroup(words: str, name: str) -> _Group:
    return _Group(words=words, name=name, help=_GROUPS[words], no_args_is_help=True, rich_markup_mode=None)


def load(path: str) -> Any:
    """A command by its words (`"lock diff"`), with its module."""
    module, _, function = _COMMANDS[path][0].partition(":")
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    settings = _SETTINGS.get(path)
    alone.command(path.rpartition(" ")[2], cls=Command, context_settings=settings)(
        getattr(import_module(f".{module}", __package__), function)
    )
    command: Any = typer.main.get_command(alone)
    for param in command.params:
        if param.param_type_name == "option" and " " in (param.metavar or ""):  # as KEY VALUE
            param.nargs, param._runtime_param = 2, _Plain(tuple)
    return command


def commands() -> dict[tuple[str, ...], Any]:
    """Every command by its words (`("lock", "diff")`), in the order in which the help lists them; no groups."""
    return {tuple(path.split()): load(path) for path in _COMMANDS}


def _make_plain(error: Exception) -> None:
    """Have Typer, which prints the message of a usage error itself, print nothing that steers the terminal, in lines
    that fit it."""
    message = getattr(error, "message", None)
    if isinstance(message, str):
        error.message = printable(message)  # type: ignore[attr-defined]
    said: Any = getattr(error, "format_message", None)
    if said is not None:
        error.format_message = lambda: fitted(said(), len("Error: "))  # type: ignore[attr-defined]


def _meant(error: LLMRingError) -> str:
    """What to add where the name of a model was taken for an alias, since it named no provider."""
    if not isinstance(error, AliasNotFoundError | LockfileNotFoundError) or error.alias is None:
        return ""
    from .facts import of_some_provider

    model = of_some_provider(error.alias)
    return f". Did you mean {model}?" if model else ""


def _spare_pydantic(params: Iterable[Any]) -> None:
    """Let strings and switches through as they are, and make paths of plain strings.

    Typer 0.29 has pydantic check them, whose import takes longer than all the rest of `llmring aliases`. Where
    Typer has no such attribute, setting it does nothing.
    """
    for param in params:
        annotation = getattr(getattr(param, "type_descriptor", None), "annotation", None)
        if annotation in (str, bool, Path):
            param._runtime_param = _Plain(annotation)


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


app = typer.Typer(
    cls=_Group,
    help="One alias, any provider: the lockfile says which model answers, and the answer streams the same way.\n\n"
    "Start with `llmring demo`, which needs no key, or with `llmring lock init`. `python -m llmring.testing` is a "
    "server to try all of it on without a key.\n\n"
    '\b\nExample:\n  llmring lock init\n  llmring aliases\n  llmring chat "Why is the sky blue?"',
    epilog="LLMRING_LOCKFILE_PATH chooses the file for every command, LLMRING_PROFILE the profile for each that "
    "asks or shows one; lock check, lock diff and lock upgrade look at all profiles.\n\n"
    "Documentation: docs/index.md beside the source, and as a site, with `make site`.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(_root)


def run() -> None:
    """Run the command that the process was started with, and leave with its status."""
    sys.stdout = sys.stdout or Closed()
    escapes = Escapes()
    try:
        if logged_from() is not None:
            hear_warnings()
        if os.environ.get("_LLMRING_COMPLETE") == "complete_bash":
            from .completion import complete_in_bash

            complete_in_bash(lambda: app(prog_name="llmring"))
        else:
            app(prog_name="llmring")
    except KeyboardInterrupt:
        sys.exit(130)
    except LLMRingError as error:  # outside any command, as with --version
        fail(str(error))
        sys.exit(1)
    except Exception as error:
        fail(unwritable(error) if _is_of_typers_own_words(error) else unexpected(error))
        sys.exit(1)
    finally:
        escapes.explain()
        _flush()


def _is_of_typers_own_words(error: Exception) -> TypeGuard[OSError]:
    """Whether it is Typer that could not write: it prints the help and the completion scripts itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = trace.tb_frame.f_globals.get("__name__", "") if trace is not None else ""
    return isinstance(error, OSError) and where.partition(".")[0] in ("typer", "click")


def _flush() -> None:
    """Let a reader that has gone, as in `llmring aliases | head -1`, be no error when Python flushes at the end.

    A disk that is full has been spoken of already.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
