"""`python -m llmring.testing`: a practice server to try things on by hand, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import sys
import threading
from dataclasses import replace
from datetime import datetime

from ..references import KEY_SHAPE, escaped
from .batches import BatchScript
from .exchange import RecordedRequest, Reply
from .script import Script
from .server import PracticeServer
from .stand_in import stand_in

_LONGEST = 200
"""Characters of a path or a model that the log shows."""
_ABOUT = """\
It prints the variables that point every SDK here, and logs each request to standard error, a line each. For the shell
that it is called in, which it lets go on:

  eval "$(python -m llmring.testing &)"

It answers with what was asked for: a schema with a sample that fits it; a text that names a tool ("use get_weather")
with a call of it, with sample arguments; results of tools with what they say; anything else with the question, and what
was attached to it.
"""


def main() -> None:
    """Start the server, print how to point the SDKs at it, log what it is asked, wait."""
    parser = argparse.ArgumentParser(
        prog="python -m llmring.testing",
        description=__doc__,
        epilog=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="where to listen (a free port)")
    parser.add_argument("--text", help="answer this (what was asked for, see below)")
    parser.add_argument("--chunks", type=int, metavar="N", help="answer with this many short pieces")
    parser.add_argument("--interval", type=float, default=0.0, metavar="S", help="seconds between pieces")
    parser.add_argument("--delay", type=float, default=0.0, metavar="S", help="seconds before the answer")
    parser.add_argument(
        "--batch-seconds", type=float, metavar="S", help="seconds that a batch takes (it is done at the third look)"
    )
    parser.add_argument("--quiet", action="store_true", help="log no requests")
    asked = parser.parse_args()
    server = (PracticeServer if asked.quiet else _Logging)(port=asked.port, record=False)
    try:
        server.start()
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        parser.exit(1, f"Error: cannot listen on port {asked.port}: {reason}. Without --port, a free one is taken.\n")
    with contextlib.closing(server):
        if asked.batch_seconds is not None:
            server.batches.default = BatchScript(polls=0, seconds=asked.batch_seconds)
        pace = {"interval": asked.interval, "delay": asked.delay}
        if asked.chunks is not None:
            server.default = Reply(chunks=["word "] * asked.chunks, **pace)
        elif asked.text is not None:
            server.default = Reply(asked.text, **pace)
        else:
            server.script(lambda request: replace(stand_in(request), **pace))
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as a shell has Ctrl-C for what runs behind it
                signal.signal(number, lambda *_: stop.set())
        _note(f"Listening at {server.url}. To end it: Ctrl-C, or kill {os.getpid()}")
        _tell(server.environ())
        stop.wait()


class _Logging(PracticeServer):
    """A server that logs what it is asked, once it knows its answer."""

    def answer(self, request: RecordedRequest) -> Script:
        """What to do about a request."""
        script = super().answer(request)
        said = script.status if script.opening == "answer" else script.opening
        time = datetime.now().astimezone().isoformat(timespec="milliseconds")
        _note(f"{time} {request.method} {_safe(request.path)} {_safe(request.model or '-')} {said}")
        return script


def _tell(variables: dict[str, str]) -> None:
    """Print the variables for a shell, and let go of standard output: who reads it to the end goes on."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    with contextlib.suppress(OSError, ValueError):  # nobody reads it
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _note(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # whoever was to hear of it has gone
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _safe(text: str) -> str:
    """One word of a log: in visible characters, and never a key. The query, where Gemini's stands, is left out."""
    text = KEY_SHAPE.sub("[key]", escaped(text)).replace(" ", "%20")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


if __name__ == "__main__":
    main()
