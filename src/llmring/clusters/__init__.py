"""Many rows on more than one machine: Ray Data's stateful map, over actors that each have an `LLMRing`.

starting.py  Ray: the cluster that `RAY_ADDRESS` names, or one on this machine for the time
desk.py      where workers hear that it ends, and are given what they may spend
reading.py   the rows that are to be asked about, in blocks, as workers take them
worker.py    an actor: it asks about the rows of a block, and keeps each answer before the block is handed on
flow.py      all of these together: what comes back, block by block
job.py       `llmring map --engine ray`
mapping.py   `service.map(dataset, ..., engine="ray")`
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazily

if TYPE_CHECKING:
    from .job import RayJob
    from .mapping import RayMap

__all__ = ["RayJob", "RayMap"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, {"job": ("RayJob",), "mapping": ("RayMap",)})
