"""A story that lasts until somebody writes a line to its process: for tests that kill it."""

from __future__ import annotations

import sys

from flows.story import story


@story(run_name=lambda given: given["name"])
def waiting(name: str) -> str:
    """Wait for a line.

    Args:
        name: What the run is called.
    """
    return f"{name}: {sys.stdin.readline()}"


if __name__ == "__main__":
    waiting(sys.argv[1])
