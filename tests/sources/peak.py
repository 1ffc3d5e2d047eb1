"""`python -m tests.sources.peak FOLDER SOURCE ...`: land the sources one after the other and print the peak after each.

A process of its own, since a peak never falls; the extracts land in one transaction each that is rolled back.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from config.settings import Settings
from config.sources import FileSource, SqlSource
from tasks.sources import files, landing
from tasks.sources import sql as databases
from tasks.sources.mapping import Reading
from tasks.store.workspace import Workspace

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)


def peak() -> int:
    """The most memory that this process has had, in bytes.

    On Linux not `ru_maxrss`, which begins with that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.exists():  # macOS, which counts bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [kilobytes] = [line.split()[1] for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM")]
    return int(kilobytes) * 1024


@contextmanager
def _read(work: Workspace, name: str) -> Iterator[tuple[FileSource | SqlSource, Reading]]:
    source = work.sources[name]
    if isinstance(source, SqlSource):
        with databases.read(source, name, None) as (reading, _):
            yield source, reading
    elif isinstance(source, FileSource):
        [entry] = files.new_objects(source, name, work.settings.config, set())
        with files.read(source, entry) as reading:
            yield source, reading


def main(folder: str, *names: str) -> None:
    """Land each source and print its lines and the peak so far."""
    url = SecretStr(os.environ["PEAK_DATABASE_URL"])
    work = Workspace(Settings(config=Path(folder), home=Path(folder), database_url=url, _env_file=None))
    for name in names:
        with _read(work, name) as (source, reading), work.database.transaction() as connection:
            extract = landing.Extract(name, source, name, None, AS_OF, "a key")
            load_id = landing.begin(connection, work.queries, extract)
            lines = landing.fill(connection, work.queries, extract, load_id, reading)
            connection.rollback()
        print(lines, peak())
    work.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
