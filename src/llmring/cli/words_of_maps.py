"""What `llmring map` says of a run in words: what it would take, and what is there already."""

from __future__ import annotations

from ..bulk import Asking, Output, Rows, Summary, Survey
from ..bulk.output import failed_beside
from .amounts import dollars
from .pictures_of_maps import lasting
from .terminal import note, warn

__all__ = ["CTRL_C", "tell_how_it_ended", "tell_what_is_asked", "tell_what_is_there", "told"]

CTRL_C = "Ctrl-C"
"""Why a run ended, where that is known to who did it."""


def tell_what_is_asked(asking: Asking, found: Survey) -> None:
    """Say what of a question one may not have meant, before anybody is asked."""
    if found.to_ask > 1 and not asking.is_of_rows:
        warn("Nothing of a row is in the prompt: all are asked the same. A field is {text}; {{ and }} are braces.")
    if found.without_picture:
        warn(f"{found.without_picture} rows have no picture in {asking.image}, and are asked without one.")


def tell_what_is_there(output: Output, asking: Asking, rows: Rows, found: Survey) -> None:
    """Say what is there of a file of answers that one may not expect, before anybody is asked."""
    if output.changed and not output.redoes_changed:
        warn(
            f"{output.changed} of these rows were asked otherwise: by another prompt, schema, parameter or model. "
            "Their answers stay; to ask again: --redo-changed"
        )
    others = output.answered - output.done
    if others and found.to_ask and (rows.limit is None or not output.done):
        warn(
            f"{others} answers in {output.path} are of no row of this run, and stay. They are of other rows, or were "
            "asked by another prompt, schema, parameter or --key."
        )
    if asking.key is not None and output.repeated:
        warn(
            f"{output.repeated} values of {asking.key} are those of several rows, which only their order tells apart. "
            "A field that each row has its own value of: --key"
        )
    if output.failed:
        note(f"{output.failed} rows failed for good before. To take them up: --retry-failed", dim=False)


def tell_how_it_ended(summary: Summary, output: Output | None) -> None:
    """Say what there is to do after a run."""
    if not summary.rows:
        note("There are no rows.", dim=False)
    if summary.left and summary.stopped not in (None, CTRL_C):
        note(f"It ended with {summary.left:,} rows left: {summary.stopped}.", dim=False)
    if output is not None and summary.failed:
        file = failed_beside(output.path)
        note(f"{summary.failed:,} rows failed: {file} says why. To ask about them again: --retry-failed", dim=False)


def told(found: Survey) -> str:
    """What a run would take."""
    done = f", {found.rows - found.to_ask:,} of them done" if found.to_ask != found.rows else ""
    cost = dollars(found.usd) if found.usd is not None else f"not known ({found.reason})"
    guess = "; how long answers are is a guess: run some first, with --limit and -o" if found.guessed else ""
    guess += f", by the {found.sample:,} answers that were looked at" if found.sample else ""
    if not found.to_ask:
        return f"{found.rows:,} rows{done}. Nothing is left to ask."
    return (
        f"{found.rows:,} rows{done}. {found.to_ask:,} to ask {found.model}: about {found.prompt_tokens:,} tokens in, "
        f"{found.completion_tokens:,} out. Cost: {cost}. Time: about {lasting(found.seconds)}{guess}."
    )
