"""Files in object stores, `s3://` and `gs://`, by way of pyarrow's file systems."""

from __future__ import annotations

import io
import os
import re
from fnmatch import fnmatchcase
from glob import has_magic
from typing import IO, Any, Final, cast

from ..exceptions import ConfigurationError
from ..references import shown

__all__ = ["found", "is_far", "opened"]

_FAR: Final = re.compile(r"(s3|gs|gcs)://([^/]+)/(.+)", re.DOTALL)
_AT_ONCE: Final = 1 << 20
"""Bytes that are read together."""


def is_far(source: str) -> bool:
    """Whether a file is in an object store."""
    return source.startswith(("s3://", "gs://", "gcs://"))


def found(source: str) -> list[str]:
    """The files that a name or a glob means, in order.

    Raises:
        ConfigurationError: there are none, or the store cannot be asked.
    """
    scheme, bucket, path = _parts(source)
    if not has_magic(path):
        return [source]
    store = _store(scheme, bucket)
    from pyarrow.fs import FileSelector, FileType

    steps = path.split("/")
    fixed = next(n for n, it in enumerate(steps) if has_magic(it))
    base = "/".join([bucket, *steps[:fixed]])
    selector = FileSelector(base, recursive=True, allow_not_found=True)
    try:
        there = [it.path for it in store.get_file_info(selector) if it.type == FileType.File]
    except OSError as error:
        raise ConfigurationError(f"{source} cannot be looked for: {error}") from None
    wanted = [it for it in sorted(there) if _fits(it.split("/")[1:], steps)]
    if not wanted:
        raise ConfigurationError(f"no file fits {shown(source)}.")
    return [f"{scheme}://{it}" for it in wanted]


def opened(source: str) -> IO[bytes]:
    """A file, for reading.

    Raises:
        OSError: it is not there, or the store cannot be asked.
    """
    scheme, bucket, path = _parts(source)
    file = _store(scheme, bucket).open_input_file(f"{bucket}/{path}")
    return cast(IO[bytes], io.BufferedReader(file, _AT_ONCE))


def _parts(source: str) -> tuple[str, str, str]:
    if (parts := _FAR.fullmatch(source)) is None:
        raise ConfigurationError(f"{shown(source)} names no file: it takes BUCKET/FILE behind the two slashes.")
    return parts[1], parts[2], parts[3]


def _fits(names: list[str], steps: list[str]) -> bool:
    """Whether folders and a file are those of a glob; `**` stands for any folders, or none."""
    if not steps or not names:
        return not steps and not names
    if steps[0] == "**":
        return _fits(names, steps[1:]) or (len(names) > 1 and _fits(names[1:], steps))
    return fnmatchcase(names[0], steps[0]) and _fits(names[1:], steps[1:])


def _store(scheme: str, bucket: str) -> Any:
    try:
        from pyarrow import fs
    except ImportError:
        raise ConfigurationError(
            f"{scheme}:// is read by pyarrow (the extra parquet), which is not installed: pip install pyarrow"
        ) from None
    if scheme != "s3":
        return fs.GcsFileSystem()
    environ = os.environ
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if endpoint := environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"):
        return fs.S3FileSystem(endpoint_override=endpoint, region=region or "us-east-1")
    try:
        return fs.S3FileSystem(region=region or fs.resolve_s3_region(bucket))
    except OSError as error:
        raise ConfigurationError(f"s3://{bucket} is not to be reached: {error}") from None
