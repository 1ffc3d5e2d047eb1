"""Files on this machine or in a bucket: which objects are new, and how to open them."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import gzip
import hashlib
import itertools
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from config.errors import ConfigError, Problem
from config.sources import FileSource, ReportSource, WhatsappSource, expand
from tasks.sources import columnar, lines
from tasks.sources.mapping import ExtractError, Reading

_MAGIC_GZIP = b"\x1f\x8b"
_WILDCARDS = "*?["
_COPY_BYTES = 1 << 21

Open = Callable[[], contextlib.AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class Object:
    """One file or bucket object: its name, what tells its content from another, and how to open it."""

    key: str
    etag: str
    open: Open


def new_objects(
    source: FileSource | ReportSource | WhatsappSource, name: str, folder: Path, known: set[tuple[str, str]]
) -> Iterator[Object]:
    """Objects of a source whose (key, etag) is not known, in order of their keys.

    Raises ConfigError when a place without wildcards does not exist or an environment variable is not set.
    """
    place = expand(source.place, f"sources.{name}.place")
    found = _bucket(place) if place.startswith("s3://") else _local(place, name, folder, known)
    for entry in found:
        if (entry.key, entry.etag) not in known:
            yield entry


@contextlib.contextmanager
def read(source: FileSource, entry: Object) -> Iterator[Reading]:
    """The rows of one object in blocks of bounded memory. Raises ExtractError when it cannot be used as a whole."""
    if source.format == "parquet":
        with entry.open() as file:
            yield columnar.parquet(file, source, entry.key)
    else:
        with unpacked(entry) as plain:
            yield lines.read(plain, source, entry.key)


@contextlib.contextmanager
def unpacked(entry: Object) -> Iterator[IO[bytes]]:
    """The bytes of one object, out of gzip where they are. Raises ExtractError when they are damaged."""
    with entry.open() as file:
        try:
            with _plain(file) as plain:
                yield plain
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise ExtractError(f"{entry.key} is cut short or damaged gzip; nothing was loaded") from None


@contextlib.contextmanager
def _plain(file: IO[bytes]) -> Iterator[IO[bytes]]:
    file.seek(0)
    magic = file.read(len(_MAGIC_GZIP))
    file.seek(0)
    if magic != _MAGIC_GZIP:
        yield file
        return
    with gzip.GzipFile(fileobj=file) as opened:
        yield opened  # ty: ignore[invalid-yield]


def _local(place: str, name: str, folder: Path, known: set[tuple[str, str]]) -> Iterator[Object]:
    pattern = str(folder / Path(place).expanduser())
    many = any(mark in pattern for mark in _WILDCARDS) and not Path(pattern).exists()
    for text in sorted(glob.glob(pattern, recursive=True)) if many else [pattern]:  # noqa: PTH207 - absolute patterns
        path = Path(text)
        if path.is_dir():
            if many:
                continue
            raise ConfigError(Problem(f"sources.{name}.place", f"{path} is a folder; add /*.csv or the like"))
        try:
            before = path.stat()
        except OSError as error:
            raise ConfigError(Problem(f"sources.{name}.place", f"{path} cannot be read: {error.strerror}")) from None
        stamp = f"{before.st_size}-{before.st_mtime_ns}-"
        same = [etag for key, etag in known if key == text]
        if any(etag.startswith(stamp) for etag in same):
            continue
        digest = _sha256(path)
        if any(etag.endswith(f"-{digest}") for etag in same):
            continue  # touched or copied again: the content is known
        yield Object(text, stamp + digest, _unchanged(path, stamp))


def _unchanged(path: Path, stamp: str) -> Open:
    """Open a file, and refuse it afterwards when it was written to meanwhile."""

    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with path.open("rb") as file:
            yield file
        after = path.stat()
        if stamp != f"{after.st_size}-{after.st_mtime_ns}-":
            raise ExtractError(f"{path} changed while it was read; nothing was loaded, the next run reads it again")

    return opened


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bucket(place: str) -> Iterator[Object]:
    import boto3  # most commands never read a bucket, and the import takes most of a second
    from botocore.config import Config

    bucket, _, pattern = place.removeprefix("s3://").partition("/")
    # Reading may be tried again; only clients that send are built without retries.
    settings = Config(retries={"total_max_attempts": 4, "mode": "standard"}, connect_timeout=10, read_timeout=60)
    client = boto3.client("s3", config=settings)
    first = min((pattern.find(mark) for mark in _WILDCARDS if mark in pattern), default=len(pattern))
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=pattern[:first])
    for entry in itertools.chain.from_iterable(page.get("Contents", []) for page in pages):
        key = entry["Key"]
        if key == pattern or (first < len(pattern) and fnmatch.fnmatchcase(key, pattern)):
            yield Object(f"s3://{bucket}/{key}", entry["ETag"].strip('"'), _fetched(client, bucket, entry))


def _fetched(client: Any, bucket: str, entry: dict[str, Any]) -> Open:
    """A bucket object in a temporary file: Parquet seeks, and a slow load does not hold the connection open."""

    @contextlib.contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with tempfile.TemporaryFile() as file:
            body = client.get_object(Bucket=bucket, Key=entry["Key"], IfMatch=entry["ETag"])["Body"]
            shutil.copyfileobj(body, file, _COPY_BYTES)
            file.seek(0)
            yield file

    return opened
