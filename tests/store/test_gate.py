"""The gate: which line becomes a fact, and what becomes of every other line."""

from __future__ import annotations

import pytest

from tasks.store.queries import Queries
from tests.store.conftest import OneTransaction
from tests.store.landing import ENTITIES, good, load, rows


@pytest.fixture
def database(undone: OneTransaction) -> OneTransaction:
    """An empty database; what a test does is undone."""
    return undone


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_good_line_of_every_entity_is_stored(database: OneTransaction, queries: Queries, entity: str) -> None:
    load(database, queries, "customers", [good("customers")])

    counts = load(
        database,
        queries,
        entity,
        [good(entity, updated_at="2026-05-02T10:00:00Z") if "updated_at" in good(entity) else good(entity)],
    )

    assert (counts.lines_in, counts.accepted) == (1, 1)
    assert len(rows(database, f"core.{entity}")) == 1


@pytest.mark.parametrize("entity", ENTITIES)
def test_the_same_line_again_is_a_duplicate(database: OneTransaction, queries: Queries, entity: str) -> None:
    load(database, queries, "customers", [good("customers")])
    load(database, queries, entity, [good(entity)])
    before = rows(database, f"core.{entity}")

    counts = load(database, queries, entity, [good(entity), good(entity)])

    assert (counts.lines_in, counts.duplicate) == (2, 2)
    assert rows(database, f"core.{entity}") == before
