"""The reference of the command line, as Markdown, made from the commands: `python -m docs.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from llmring.cli.app import app, commands

__all__ = ["render"]

_HEAD = """\
# The command line

Made from the commands themselves by `make docs`; to change it, change their help texts.

Data goes to standard output; messages, also of what was done, to standard error. `--json` prints one JSON document and
nothing else. Colours are for terminals only, and `NO_COLOR` turns them off. The exit status is 0 where all is well, 1
on an error or a finding, 2 where the command was not understood."""


def render() -> str:
    """The whole reference."""
    root: Any = typer.main.get_command(app)
    found = commands()
    parts = [_HEAD, f"{root.epilog}"]
    parts.append("\n".join(_contents(found)))
    for words, command in found.items():
        parts.append("\n\n".join(_section(words, command)))
    parts.append("## `llmring` itself\n\n" + "\n".join(_options(root)))
    return "\n\n".join(parts) + "\n"


def _contents(found: dict[tuple[str, ...], Any]) -> Iterator[str]:
    yield "| command | |"
    yield "|---|---|"
    for words, command in found.items():
        name = " ".join(("llmring", *words))
        anchor = name.replace(" ", "-")
        yield f"| [`{name}`](#{anchor}) | {_cell(command.help.partition(chr(10) * 2)[0])} |"


def _section(words: tuple[str, ...], command: Any) -> Iterator[str]:
    name = " ".join(("llmring", *words))
    yield f"## `{name}`"
    yield f"```text\n{' '.join((name, *_usage(command)))}\n```"
    for paragraph in command.help.split("\n\n"):
        heading, _, lines = paragraph.partition("\n")
        if heading != "\b":
            yield paragraph
        else:
            title, _, examples = lines.partition("\n")
            yield title
            yield "```sh\n" + "\n".join(line.strip() for line in examples.splitlines()) + "\n```"
    listed = "\n".join((*_arguments(command), *_options(command)))
    if listed:
        yield listed


def _usage(command: Any) -> Iterator[str]:
    if any(_is_option(param) for param in command.params):
        yield "[OPTIONS]"
    for param in command.params:
        if not _is_option(param):
            yield _metavar(param) if param.required else f"[{_metavar(param)}]"


def _arguments(command: Any) -> Iterator[str]:
    for param in command.params:
        if not _is_option(param):
            yield f"- `{_metavar(param)}`: {_described(param)}"


def _options(command: Any) -> Iterator[str]:
    for param in command.params:
        if _is_option(param) and not param.hidden:
            names = ", ".join(sorted((*param.opts, *param.secondary_opts), key=len, reverse=True))
            value = "" if param.is_flag else f" {_metavar(param)}"
            yield f"- `{names}{value}`: {_described(param)}"


def _described(param: Any) -> str:
    """What it is for, what it is if it is not given, and the environment variable that gives it too."""
    said = " ".join((param.help or "").split())
    default = param.default
    if isinstance(default, str | int | float) and not isinstance(default, bool) and default != "":
        said += f" Not given: `{default}`."
    if param.envvar:
        said += f" Environment: `{param.envvar}`."
    return said


def _metavar(param: Any) -> str:
    name = param.metavar or param.name.upper()
    name = name[1:-1] if name.startswith("[") else name
    return f"{name}..." if param.nargs == -1 and not name.endswith("...") else name


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
