"""What makes a function a step: a Prefect task inside a flow run, a plain call everywhere else.

So a story is written once. Prefect runs `reengage(...)` with task runs, names and artifacts; the command line,
`make demo` and tests run `reengage.fn(...)`, the same steps in one process without a server.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.logging import get_logger, get_run_logger

P = ParamSpec("P")
R = TypeVar("R")


def step(
    *, name: str | Callable[[], str], tags: Sequence[str] = (), retries: int = 0, retry_delay_seconds: float = 10
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as a step. `retries` only where repeating is safe: never on what sends (finding 5)."""

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        as_task = task(
            function,
            task_run_name=name,
            tags=list(tags),
            retries=retries,
            retry_delay_seconds=retry_delay_seconds,
            cache_policy=NO_CACHE,
            persist_result=False,
        )

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if FlowRunContext.get() is None:
                return function(*args, **kwargs)
            return as_task(*args, **kwargs)

        return call

    return wrap


def say(sentence: str) -> None:
    """One line of log in words; counts and names of campaigns only, never a person."""
    logger = get_run_logger() if FlowRunContext.get() else get_logger("reengage")
    logger.info(sentence)


def show_table(key: str, rows: list[dict[str, Any]], description: str) -> None:
    """A table artifact of counts in the Prefect UI; nothing outside a flow run."""
    if FlowRunContext.get():
        create_table_artifact(table=rows, key=key, description=description)


def show_markdown(key: str, markdown: str, description: str) -> None:
    """A markdown artifact of counts in the Prefect UI; nothing outside a flow run."""
    if FlowRunContext.get():
        create_markdown_artifact(markdown=markdown, key=key, description=description)
