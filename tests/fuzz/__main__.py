"""`python -m tests.fuzz --seconds 600 [TARGET ...]`: each target in a process of its own, guided by coverage."""

from __future__ import annotations

import argparse
import importlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def main() -> int:
    """Share the time among the targets, and say what came of each. The status is 1 if one has failed."""
    from .targets import TARGETS

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("targets", nargs="*", choices=[*TARGETS, []], default=[], help="all, if none is named")
    options.add_argument("--seconds", type=int, default=600, help="for all of them together")
    options.add_argument("--one", choices=TARGETS, help=argparse.SUPPRESS)
    options.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    logging.getLogger("llmring").setLevel(logging.CRITICAL)
    if asked.one:
        return _fuzz(asked.one, asked.seconds, asked.corpus)
    failed = 0
    names = asked.targets or list(TARGETS)
    for name in names:
        each = max(1, asked.seconds // len(names))
        with tempfile.TemporaryDirectory() as corpus:
            command = [sys.executable, "-m", "tests.fuzz", "--one", name, "--seconds", str(each), "--corpus", corpus]
            ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        done = [line for line in ran.stderr.splitlines() if line.startswith("Done ")]
        print(f"{name:18} {'failed' if ran.returncode else 'holds':7} {done[-1] if done else ''}", flush=True)
        if ran.returncode:
            failed = 1
            print(ran.stdout[-4000:], ran.stderr[-4000:], sep="\n", flush=True)
    return failed


def _fuzz(name: str, seconds: int, corpus: Path) -> int:
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print("make fuzz needs atheris, which is not to be had for this Python: pip install atheris", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["llmring"]):
        from .targets import TARGETS, seeds

    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    run: Any = TARGETS[name]
    flags = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], str(corpus), *flags, f"-artifact_prefix={corpus}/"], run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
