"""`llmring state`: what is counted for the aliases, in the store that the lockfile names."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..lockfile.policy import each
from .project import ProfileOption, open_lockfile
from .terminal import again, confirm, note, say, say_json, say_table, working
from .trust import Service

if TYPE_CHECKING:
    from ..state import AliasStanding, BudgetStanding, ModelStanding, Standing

_SECONDS = 2.0
_CLEAR = "\x1b[H\x1b[2J"


def show_state(
    profile: ProfileOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --watch, an object a line.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again and again, until Ctrl-C.")] = False,
) -> None:
    """Show what is spent and left of budgets, how rates stand, and which models are left alone.

    It is what the store holds that the lockfile's [state] names. Without one, each process counts for itself, and this
    command sees nothing of it: then ask the program, with service.state().

    \b
    Example:
      llmring state show
      llmring state show --watch
      llmring state show --json | jq '.aliases[].budgets'
    """
    open_lockfile()  # says what is wrong with it, where something is
    asyncio.run(_show(profile, as_json=as_json, watch=watch))


async def _show(profile: str | None, *, as_json: bool, watch: bool) -> None:
    async with Service(profile=profile) as service:
        while True:
            with working("Asking the store"):
                standing = await service.state()
            if as_json:
                _print_json(standing, on_a_line=watch)
            else:
                if watch and sys.stdout.isatty():
                    sys.stdout.write(_CLEAR)
                _print(standing)
            if not watch:
                return
            sys.stdout.flush()
            await asyncio.sleep(_SECONDS)


def reset_state(
    alias: Annotated[str | None, typer.Argument(metavar="[ALIAS]", help="Whose counts; else all.")] = None,
    profile: ProfileOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget what was counted: what was spent, what waits, and, without an alias, how the models stand.

    What is held for requests under way is forgotten, too.

    \b
    Example:
      llmring state reset chatbot
      llmring state reset --yes
    """
    open_lockfile()
    if not yes:
        whose = f"of {alias}" if alias else "of all aliases"
        otherwise = again("state", "reset", *([alias] if alias else []), profile=profile)
        confirm(f"Forget what was counted {whose}, and what was spent?", otherwise=otherwise)

    async def reset() -> int:
        async with Service(profile=profile) as service:
            return await service.reset_state(alias)

    with working("Asking the store"):
        number = asyncio.run(reset())
    note(f"Forgot {number} {'record' if number == 1 else 'records'}.", dim=False)


def data_of(standing: Standing) -> dict[str, Any]:
    """As JSON has it: times as ISO 8601, in UTC."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(it) for key, it in value.items()}
        if isinstance(value, list | tuple):
            return [plain(it) for it in value]
        return value.isoformat() if isinstance(value, datetime) else value

    data: dict[str, Any] = plain(asdict(standing))
    return data


def _print_json(standing: Standing, *, on_a_line: bool) -> None:
    if on_a_line:
        import json

        say(json.dumps(data_of(standing)))
    else:
        say_json(data_of(standing))


def _print(standing: Standing) -> None:
    if not standing.aliases and not standing.models:
        note(
            f'No alias of the profile "{standing.profile}" has a rate or a budget, and nothing is known of its models. '
            'Write one into a binding: rate = { requests = 600, per = "minute" }'
        )
        return
    rows: list[tuple[str, ...]] = [("ALIAS", "BUDGET", "SPENT", "HELD", "LEFT", "OPENS", "RATE", "FREE NOW", "WAITING")]
    for alias in standing.aliases:
        budgets: tuple[BudgetStanding | None, ...] = alias.budgets or (None,)
        for number, budget in enumerate(budgets):
            rows.append((*_of_budget(alias, budget), *(_of_rate(alias) if not number else ("", "", ""))))
    if standing.aliases:
        say_table(rows, 2, 3, 4, 8)
    if standing.models:
        if standing.aliases:
            say()
        say_table(
            [("MODEL", "BREAKER", "FAILURES", "LEFT ALONE", "ITS OWN LIMITS"), *map(_of_model, standing.models)], 2
        )
    if standing.store == "process":
        note("Each process counts for itself, and this one has asked nobody. To share counts, name a store in [state].")


def _of_budget(alias: AliasStanding, budget: BudgetStanding | None) -> tuple[str, ...]:
    if budget is None:
        return (alias.alias, "", "", "", "", "")
    name = alias.alias if budget.by is None else f"{alias.alias} ({budget.by} {budget.who or 'none'})"
    opens = budget.opens_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (name, f"{_usd(budget.usd)} {each(budget.per)}", *map(_usd, (budget.spent, budget.held, budget.left)), opens)


def _of_rate(alias: AliasStanding) -> tuple[str, str, str]:
    rate = alias.rate
    if rate is None:
        return "", "", ""
    parts = [(rate.requests, "requests"), (rate.tokens, "tokens")]
    free = ", ".join(f"{left:,} {what}" for left, what in parts if left is not None)
    return each(rate.per), free, str(rate.waiting)


def _of_model(model: ModelStanding) -> tuple[str, ...]:
    alone = f"{model.alone:.0f} s" if model.alone else ""
    own = ", ".join(
        f"{left:,} {what}"
        for left, what in ((model.requests, "requests"), (model.tokens, "tokens"))
        if left is not None
    )
    return model.model, model.breaker, str(model.failures), alone, own


def _usd(dollars: float) -> str:
    return f"${dollars:,.4f}" if 0 < dollars < 1 else f"${dollars:,.2f}"
