"""What makes a function a step: a Prefect task inside a flow run, a plain call everywhere else.

So a story is written once. Prefect runs `reengage(...)` with task runs, names and artifacts; the command line,
`make demo` and tests run `reengage.fn(...)`, the same steps in one process without a server.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from prefect import task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.logging import get_logger, get_run_logger
from prefect.utilities.annotations import quote

from tasks.rules.errors import Busy, DatabaseError, ReengageError, Superseded
from tasks.store.engine import place, scrubbed

P = ParamSpec("P")
R = TypeVar("R")

# What a parameter of a step may be for Prefect to look at it; a Workspace or a list of people it must not walk through.
_PLAIN = (str, int, float, bool, date, type(None))


def step(
    *,
    name: str | Callable[[], str],
    tags: Sequence[str] = (),
    retries: int = 0,
    retry_delay_seconds: float = 10,
    longest_wait_seconds: float = 300,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as a step. `retries` only where repeating is safe: never on what sends (finding 5).

    A provider that asks for more time than the delay gets it, up to `longest_wait_seconds`; one that asks for more is
    left to the next run.
    """

    def wrap(function: Callable[P, R]) -> Callable[P, R]:
        as_task = task(  # ty: ignore[no-matching-overload] - its overloads do not know ParamSpec
            discreet(function),
            task_run_name=name,
            tags=list(tags),
            retries=retries,
            retry_delay_seconds=retry_delay_seconds,
            retry_condition_fn=_retry(retry_delay_seconds, longest_wait_seconds) if retries else None,
            cache_policy=NO_CACHE,
            persist_result=False,
        )

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if FlowRunContext.get() is None:
                return function(*args, **kwargs)
            quoted = {name: _opaque(value) for name, value in kwargs.items()}
            mine = as_task.with_options() if retries else as_task  # how long it waits is its own
            return mine(*map(_opaque, args), **quoted)

        return call

    return wrap


def discreet(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with every error that Prefect would record reduced to words known to name no person (I17).

    Our own errors are written so; of any other one only the kind and the place in our code are kept.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except ReengageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote a person
            problem = _reduced(error)
        raise problem from None

    return call


@contextlib.contextmanager
def going_on(
    what_waits: str, failures: list[str] | None = None, errors: list[ReengageError] | None = None
) -> Iterator[None]:
    """Tell a failure of this block and go on after it; its words join `failures`, itself `errors`: no person is named.

    That another run does this work is no failure.
    """
    try:
        yield
    except Superseded as why:
        say(str(why))
    except Exception as error:  # noqa: BLE001 - whatever it is, what comes after does not need this block
        reduced = _reduced(error)
        failure = f"{what_waits}: {reduced}"
        say(failure)
        if failures is not None:
            failures.append(failure)
        if errors is not None:
            errors.append(reduced)


def _reduced(error: Exception) -> ReengageError:
    if isinstance(error, ReengageError):
        return error
    if isinstance(error, sa.exc.DBAPIError):
        return DatabaseError(f"{scrubbed(error)} ({place(error)})")
    return ReengageError(f"{type(error).__name__} at {place(error)}")


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


def _opaque(value: Any) -> Any:
    return value if isinstance(value, _PLAIN) else quote(value)


def _retry(delay: float, longest: float) -> Callable[[Any, Any, Any], bool]:
    """Whether a task is tried again, and after how many seconds: what a provider asks for is what it waits."""

    def retry(task: Any, task_run: Any, state: Any) -> bool:
        error = getattr(state.data, "result", state.data)
        asked = (error.retry_after or 0) if isinstance(error, Busy) else 0
        task.retry_delay_seconds = max(delay, asked)
        return asked <= longest and _may_pass(task, task_run, state)

    return retry


def _may_pass(_task: Any, _task_run: Any, state: Any) -> bool:
    """A failure that repeating may cure: not a file at fault, not work that another run does."""
    error = getattr(state.data, "result", state.data)
    return not isinstance(error, ReengageError) or isinstance(error, Busy | DatabaseError)
