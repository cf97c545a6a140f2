"""`llmring lock show`: the lockfile resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..figures import aligned, price, remark, tokens
from ..known import described, key_of, known_of
from ..printing import say_json
from ..progress import working
from ..project import ProfileOption, bindings_in, open_lockfile
from ..terminal import columns, note, paint, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...lockfile import Binding, Lockfile, Profile

__all__ = ["show"]

_LOOKING = "Looking for keys"


def show(
    profile: ProfileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the lockfile resolved.

    Every alias of the profile, those of extended packages too: who serves it, who stands by (below it), what a
    million tokens cost in and out, how much fits into the window, and whether the key that it needs is set.

    \b
    Example:
      llmring lock show
      llmring lock show --profile dev
      llmring lock show --json | jq '.aliases.chatbot.models[0].key'
    """
    lockfile = open_lockfile()
    chosen = lockfile.profile(profile)
    bindings = bindings_in(lockfile, chosen)
    if as_json:
        with working(_LOOKING):
            data = _described(lockfile, chosen, bindings)
        say_json(data)
        return
    others = [name for name in lockfile.profiles if name != chosen.name]
    also = f" (there is also {', '.join(others)})" if others else ""
    head = [("File", str(lockfile.path)), ("Profile", f"{chosen.name}{also}")]
    head += [("Extends", ", ".join(lockfile.extends))] if lockfile.extends else []
    say(columns(head))
    if not bindings:
        note(f'No aliases in the profile "{chosen.name}". Bind one: llmring bind ALIAS provider:model')
        return
    say()
    with working(_LOOKING):
        rows = _rows(lockfile, bindings)
    heading, *lines = aligned(rows, 2, 3, 4).splitlines()
    say(paint(heading, bold=True))
    say("\n".join(lines))


def _rows(lockfile: Lockfile, bindings: Mapping[str, Binding]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("ALIAS", "MODEL", "IN", "OUT", "WINDOW", "KEY", "REMARKS")]
    for alias, binding in bindings.items():
        for number, reference in enumerate(binding.models):
            model = known_of(reference, lockfile)
            rows.append(
                (
                    "" if number else alias,
                    f"  {reference}" if number else reference,
                    price(model.input_price),
                    price(model.output_price),
                    tokens(model.context_window),
                    _key(key_of(model.provider, lockfile)),
                    ", ".join(filter(None, (remark(model), "" if number else _params(binding)))),
                )
            )
    return rows


def _params(binding: Binding) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in binding.params.items())


def _key(key: Mapping[str, Any]) -> str:
    if key["source"]:
        return f"{key['source']} (holds {key['wrong']})" if key["wrong"] else str(key["source"])
    if key["needed"]:
        return f"{' or '.join(key['variables'])} (not set)"
    return "none needed" if key["needed"] is False else "no such provider"


def _described(lockfile: Lockfile, profile: Profile, bindings: Mapping[str, Binding]) -> dict[str, Any]:
    return {
        "file": str(lockfile.path),
        "profile": profile.name,
        "profiles": list(lockfile.profiles),
        "default_profile": lockfile.default_profile,
        "extends": list(lockfile.extends),
        "aliases": {
            alias: {
                "params": dict(binding.params),
                "models": [
                    described(known := known_of(reference, lockfile)) | {"key": key_of(known.provider, lockfile)}
                    for reference in binding.models
                ],
            }
            for alias, binding in bindings.items()
        },
    }
