"""The server of the soak, in a process of its own: what it keeps is not measured, and it answers at random."""

from __future__ import annotations

import random
import sys

from llmring.testing import Fault, PracticeServer, Reply, Tokens
from llmring.testing.exchange import RecordedRequest

WORDS = [f" w{n}" for n in range(12)]

FAULTS = [
    *(Fault.cut_after(n) for n in (0, 1, 5)),
    *(Fault.reset_after(n) for n in (0, 1, 5)),
    *(Fault.stall_after(n) for n in (0, 1, 5, 99)),
    *(Fault.end_early(n) for n in (0, 3, None)),
    *(Fault.error_event(n, status) for n in (0, 4) for status in (400, 429, 500, 529)),
    *(Fault.never_answer(), Fault.hang_up(), Fault.headers_only(), Fault.chatter_after(3), Fault.linger()),
    *(Fault.malformed_event(2), Fault.invalid_utf8(3), Fault.unknown_events(), Fault.not_a_stream()),
    *(Fault.gzip(), Fault.comments(), Fault.bom(), Fault.newlines("\r"), Fault.one_byte(), Fault.big_event(100_000)),
    *(Fault.no_usage(), Fault.no_finish_reason()),
]
STATUSES = [400, 401, 404, 408, 413, 429, 500, 502, 503, 529]


def main() -> None:
    """Say where it is and where nobody is, and serve until nobody listens any more."""
    chance = random.Random(int(sys.argv[1]))

    def decide(request: RecordedRequest) -> Reply:
        kind = chance.random()
        if kind < 0.1:
            return Reply(status=chance.choice(STATUSES), retry_after=chance.choice([None, 0.01]))
        fault = (chance.choice(FAULTS),) if kind < 0.5 else ()
        interval = chance.choice([0.0, 0.0, 0.01, 0.03])
        checkpoints = dict.fromkeys(range(0, 12, 2), "cHJhY3RpY2U=")
        return Reply(chunks=WORDS, interval=interval, usage=Tokens(10, 12), checkpoints=checkpoints, fault=fault)

    with PracticeServer(record=False) as server:
        server.script(decide)
        print(server.url, server.refused_url(), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
