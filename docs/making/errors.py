"""Every error with its cause and its step, from the docstrings of the classes."""

from __future__ import annotations

import inspect

from llmring import exceptions

__all__ = ["STEP", "errors", "errors_table", "step_of"]

STEP = "What to do:"


def errors() -> list[type[exceptions.LLMRingError]]:
    """The classes, each below the one it is a kind of."""
    named = [getattr(exceptions, name) for name in exceptions.__all__]
    found = [it for it in named if isinstance(it, type)]
    return sorted(found, key=lambda it: [base.__name__ for base in reversed(it.__mro__) if base in found])


def step_of(error: type) -> str:
    """The paragraph that says what to do, as a sentence."""
    paragraphs = inspect.cleandoc(error.__doc__ or "").split("\n\n")
    (step,) = [it for it in paragraphs if it.startswith(STEP)] or [""]
    said = " ".join(step.removeprefix(STEP).split())
    return said[:1].upper() + said[1:]


def errors_table() -> str:
    """A section for each: what happened, what to do."""
    return "\n\n".join(_section(error) for error in errors())


def _section(error: type) -> str:
    cause = " ".join(inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].split())
    where = f"reference/llmring.exceptions.md#llmring.exceptions.{error.__name__}"
    if error is exceptions.LLMRingError:
        where = "reference/llmring.md#llmring.LLMRingError"
    bases = ", ".join(f"`{base.__name__}`" for base in error.__bases__)
    return (
        f"### {error.__name__}\n\n**What happened.** {cause}\n\n**What to do.** {step_of(error)}\n\n"
        f"A kind of {bases}. [Its attributes]({where})."
    )
