"""Batches: many requests in one, answered later and for less, as OpenAI, Anthropic and Gemini run them.

`desk.py` takes what is asked and knows all batches, `work.py` has what a batch is and how it goes on, `script.py` what
a test may say of it. A module for each vendor has its words: what it takes, what it refuses, and what it says of a
batch and of its rows. Each row is answered as a request of its own would be, by the server.
"""

from __future__ import annotations

from .desk import Batches
from .script import BatchLimits, BatchProblem, BatchScript
from .work import Batch, BatchRow

__all__ = ["Batch", "BatchLimits", "BatchProblem", "BatchRow", "BatchScript", "Batches"]
