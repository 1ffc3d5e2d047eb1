"""What the tests of the store share."""

from __future__ import annotations

import pytest

from tasks.store.queries import Queries


@pytest.fixture(scope="session")
def queries() -> Queries:
    """Every SQL file, read and checked."""
    return Queries.load()
