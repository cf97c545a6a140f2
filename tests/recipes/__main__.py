"""`python -m tests.recipes`: a thousand clients of the relay recipe, who come and go.

Ends with 1 if a connection to the provider outlives its client by more than a second.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from llmring.testing import PracticeServer

from .pages import write
from .relay import Answers, serving, visits

LOCKFILE = 'version = "1.0"\n[[profiles.default.bindings]]\nalias = "chatbot"\nmodels = ["{model}"]\n'
MODELS = ("openai:gpt-6-luna", "anthropic:claude-haiku-5-5", "google:gemini-3.5-flash", "ollama:llama3.2")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--models", nargs="+", default=MODELS[:1])
    asked = parser.parse_args()
    late = 0
    for model in asked.models:
        with tempfile.TemporaryDirectory() as folder, PracticeServer() as server:
            answers = Answers()
            server.script(answers)
            write("relay", Path(folder))
            (Path(folder) / "llmring.lock").write_text(LOCKFILE.format(model=model), encoding="utf-8")
            with serving("relay:app", Path(folder), server) as port:
                began = time.monotonic()
                made = asyncio.run(visits(port, answers, asked.clients, asked.at_once))
                waits = sorted(made.waits(server))
                seconds = time.monotonic() - began
            late += sum(wait > 1.0 for wait in waits)
            print(
                f"{model}: {sum(made.came.values())} clients in {seconds:.0f} s, {made.whole} stayed and got all of it,"
                f" {len(waits)} left; the provider's connection closed after {waits[len(waits) // 2]:.3f} s (median),"
                f" {waits[-1]:.3f} s (longest)"
            )
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
