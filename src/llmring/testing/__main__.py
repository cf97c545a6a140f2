"""`python -m llmring.testing`: a practice server to try things on by hand, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from dataclasses import replace

from .exchange import Reply
from .server import PracticeServer, echo


def main() -> None:
    """Start the server, print where it is and how to point the SDKs at it, wait."""
    parser = argparse.ArgumentParser(prog="python -m llmring.testing", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where to listen (a free port)")
    parser.add_argument("--text", help="answer this (echo the question)")
    parser.add_argument("--chunks", type=int, metavar="N", help="answer with this many short pieces")
    parser.add_argument("--interval", type=float, default=0.0, metavar="S", help="seconds between pieces")
    parser.add_argument("--delay", type=float, default=0.0, metavar="S", help="seconds before the answer")
    asked = parser.parse_args()
    server = PracticeServer(port=asked.port, record=False)
    try:
        server.start()
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".")
        parser.exit(1, f"Error: cannot listen on port {asked.port}: {reason}. Without --port, a free one is taken.\n")
    with contextlib.closing(server):
        pace = {"interval": asked.interval, "delay": asked.delay}
        if asked.chunks is not None:
            server.default = Reply(chunks=["word "] * asked.chunks, **pace)
        elif asked.text is not None:
            server.default = Reply(asked.text, **pace)
        else:
            server.script(lambda request: replace(echo(request), **pace))
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        lines = [server.url, *(f"export {name}={value}" for name, value in server.environ().items())]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        stop.wait()


if __name__ == "__main__":
    main()
