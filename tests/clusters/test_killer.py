"""Over Ray, too, a run that is killed loses nothing, nor pays for it twice; `make killer` does it at length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from .killing import kill_again_and_again

pytest.importorskip("ray.data")


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_each_row_is_answered_once_though_a_worker_and_the_driver_are_killed(bare: Path) -> None:
    found = kill_again_and_again(bare, 500, 1, 1, 7)
    assert (found.rows, found.workers, found.drivers) == (500, 1, 1)
