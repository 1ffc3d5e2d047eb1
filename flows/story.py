"""What makes a function a story: a Prefect flow that opens its own workspace and ends quietly when superseded."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from prefect import Flow, flow, runtime
from prefect.context import FlowRunContext
from prefect.states import Completed

from tasks.rules.errors import Superseded
from tasks.step import discreet
from tasks.store.workspace import Workspace

P = ParamSpec("P")
R = TypeVar("R")

_given: ContextVar[Workspace | None] = ContextVar("workspace", default=None)


def story(*, run_name: Callable[[dict[str, Any]], str]) -> Callable[[Callable[P, R]], Flow[P, Any]]:
    """Mark a function as a story, named for itself; `run_name` names a run from its parameters.

    `story.fn(...)` tells it in this process without Prefect, and there a superseded run raises Superseded. A flow
    is never retried as a whole: the steps that may be repeated say so themselves.
    """

    def wrap(function: Callable[P, R]) -> Flow[P, Any]:
        @functools.wraps(function)
        def tell(*args: P.args, **kwargs: P.kwargs) -> Any:
            if FlowRunContext.get() is None:
                return function(*args, **kwargs)
            try:
                return discreet(function)(*args, **kwargs)
            except Superseded as why:
                return Completed(name="Superseded", message=str(why))

        # Types, not their names: Prefect looks names up where this wrapper is, not where the story is.
        tell.__signature__ = inspect.signature(function, eval_str=True)  # ty: ignore[unresolved-attribute]
        return flow(
            tell,
            name=function.__name__,
            flow_run_name=lambda: run_name(runtime.flow_run.parameters),
            description=(function.__doc__ or "").partition("Args:")[0].strip(),
            persist_result=False,
        )

    return wrap


@contextlib.contextmanager
def workspace() -> Iterator[Workspace]:
    """The workspace of this story: the one given by `using`, else one from the environment, closed at the end."""
    given = _given.get()
    if given is not None:
        yield given
        return
    opened = Workspace.open()
    try:
        yield opened
    finally:
        opened.close()


@contextlib.contextmanager
def using(work: Workspace) -> Iterator[None]:
    """Stories told inside this block use `work`: one process, one set of connections and checked SQL files."""
    token = _given.set(work)
    try:
        yield
    finally:
        _given.reset(token)


def named(first: str | None, as_of: Any) -> str:
    """A run's name: what it is about and, when it was asked about another moment, which."""
    moment = f" as of {str(as_of)[:16].replace('T', ' ')}" if as_of else ""
    return f"{first}{moment}"
