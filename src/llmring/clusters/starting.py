"""Ray: the cluster that `RAY_ADDRESS` names, or one on this machine for the time."""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..exceptions import ConfigurationError

__all__ = ["check_room", "here", "imported", "started"]

_PATIENCE: Final = 10.0
"""Seconds in which a cluster lets somebody in."""
_STORE: Final = 256 << 20
"""Bytes of memory that a Ray of this machine's own has for blocks on their way."""


def imported() -> Any:
    """Ray.

    Raises:
        ConfigurationError: it is not installed, or not for this system.
    """
    if sys.platform == "win32":
        raise ConfigurationError('engine="ray" needs Linux or macOS.')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own parts, which nobody here can mend
            import ray
            import ray.data

            ray.data.DataContext.get_current()
    except ImportError as error:
        raise ConfigurationError(
            f"More than one machine is the work of Ray (the extra ray), which is not installed ({error}). "
            "To install it: pip install 'ray[data]'"
        ) from None
    return ray


@contextmanager
def started(workers: int | None) -> Iterator[tuple[Any, int]]:
    """Ray, for the time, and how many workers there are to be.

    Args:
        workers: `None`: one for each CPU. In a Ray of this machine's own so many find room, and the reader of the rows.

    Raises:
        ConfigurationError: it is not installed, or there is none at `RAY_ADDRESS`.
    """
    module = imported()
    if module.is_initialized():  # whoever did so ends it
        yield module, workers or _cpus(module)
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what its own parts tell each other
    address = os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address}
    if not address:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        workers = workers or os.cpu_count() or 1
        options = {"address": "local", "num_cpus": workers + 1, "include_dashboard": False}
        options["object_store_memory"] = _STORE
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        _knock(address or "")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a later Ray will do otherwise
            module.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, RuntimeError, ValueError) as error:
        where = f"There is no Ray to be had at RAY_ADDRESS={address}" if address else "Ray does not start"
        raise ConfigurationError(f"{where}: {str(error).strip().partition(chr(10))[0] or error!r}") from None
    try:
        yield module, workers or _cpus(module)
    finally:
        module.shutdown()


def here(module: Any) -> dict[str, str]:
    """The label of this machine, for what is to be on no other."""
    return {"ray.io/node-id": module.get_runtime_context().get_node_id()}


def _cpus(module: Any) -> int:
    return max(1, int(module.cluster_resources().get("CPU", 2)) - 1)


def check_room(module: Any, workers: int) -> None:
    """See to it that a data set of Ray's can be read while workers are there: both take CPUs.

    Raises:
        ConfigurationError: there are too few, and this Ray does not grow.
    """
    there = int(module.cluster_resources().get("CPU", 0))
    growing: dict[str, int] = (
        getattr(module._private.state.state, "get_max_resources_from_cluster_config", dict)() or {}
    )
    if workers >= max(there, int(growing.get("CPU", 0))):
        advice = f"Ask for fewer: workers={there - 1}" if there > 1 else "Have one with more: ray.init(num_cpus=2)"
        raise ConfigurationError(
            f"{workers} workers need {workers + 1} CPUs, with the one that reads the rows, and this Ray has {there}. "
            f"{advice}"
        )


def _knock(address: str) -> None:
    """See whether anybody is there, which Ray itself does for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
