"""A provider to practise on: a real HTTP server that speaks the wires of all four SDKs.

For this library's own tests and demo, and for the tests of whoever builds on it. Needs h11, which
the extra `testing` brings.

    from llmring.testing import PracticeServer

    with PracticeServer() as server:
        server.reply("Hello")
        os.environ.update(server.environ())

`python -m llmring.testing` starts one to try things on by hand.
"""

from .batches import BatchLimits, BatchProblem, BatchScript
from .exchange import RecordedRequest, Reply, Tokens, ToolCallScript
from .faults import Fault
from .server import PracticeServer

__all__ = [
    "BatchLimits",
    "BatchProblem",
    "BatchScript",
    "Fault",
    "PracticeServer",
    "RecordedRequest",
    "Reply",
    "Tokens",
    "ToolCallScript",
]
