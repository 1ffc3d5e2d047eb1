"""Reading one step ahead in a thread: the next block is made while the database takes in the one before."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")

_DEPTH = 2  # blocks waiting; more would only use memory
_POLL_SECONDS = 0.1
_END = object()


def read_ahead(values: Iterator[T]) -> Generator[T]:
    """The same values, made in a thread; closing this generator stops the thread before it returns.

    An error in the thread is raised here, after the values before it.
    """
    waiting: queue.Queue[object] = queue.Queue(_DEPTH)
    failures: list[Exception] = []
    stopped = threading.Event()

    def hand_over(value: object) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put(value, timeout=_POLL_SECONDS)
                return

    def work() -> None:
        try:
            for value in values:
                hand_over(value)
                if stopped.is_set():
                    return
        except Exception as error:  # noqa: BLE001 - raised again by the reader
            failures.append(error)
        hand_over(_END)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (value := waiting.get()) is not _END:
            yield value  # ty: ignore[invalid-yield]
        if failures:
            raise failures[0]
    finally:
        stopped.set()
        thread.join()
