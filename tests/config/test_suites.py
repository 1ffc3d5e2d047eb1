"""Suites: every entity has one, and what is wrong in one is told with its path."""

import shutil

import pytest

from config.errors import ConfigError
from config.settings import CHECKOUT
from config.sources import ENTITIES
from config.suites import COLUMN_SET, load_suites

SUITES = CHECKOUT / "config" / "suites"


def test_every_entity_has_a_suite_with_the_promises_every_load_must_keep():
    suites = load_suites(SUITES)

    assert set(suites) == set(ENTITIES)
    for entity, suite in suites.items():
        types = [entry.type for entry in suite.expectations]
        missing, unmapped = (entry for entry in suite.expectations if entry.type == COLUMN_SET)
        shape = ENTITIES[entity]
        assert (missing.severity, missing.kwargs["column_set"]) == ("critical", list(shape.columns))
        assert (unmapped.severity, unmapped.kwargs) == ("warning", {"exact_match": True})
        promised = {(entry.type, entry.kwargs.get("column")) for entry in suite.expectations}
        never_null = {column for name, column in promised if name == "expect_column_values_to_not_be_null"}
        # a message that names no conversation names its group or its writer
        named = {"conversation_id" if name == "belongs_to" else name for name in never_null}
        assert named == shape.required - shape.sometimes
        knows_people = ("expect_column_values_to_be_in_set", "customer_known") in promised
        assert knows_people == ("customer_id" in shape.columns and entity != "customers")
        assert ("expect_column_values_to_not_be_in_set", "verdict") in promised
        assert "expect_column_values_to_be_between" in types
        assert any("unique" in name for name in types)
        assert suite.freshness is not None
        assert suite.volume is not None


def test_every_problem_of_the_suites_is_told_at_once(tmp_path):
    shutil.copytree(SUITES, tmp_path / "suites")
    (tmp_path / "suites" / "events.yaml").write_text(
        "freshness: name\nexpectations: [{type: expect_column_to_exist, kwargs: {column: event_id}}]\n"
    )
    (tmp_path / "suites" / "ads.yaml").write_text(
        "expectations: [{type: unexpected_rows_expectation}, {type: expect_query_results_to_match_comparison}]\n"
    )
    (tmp_path / "suites" / "customers.yaml").write_text(
        f"expectations: [{{type: {COLUMN_SET}, kwargs: {{column_set: [customer_id, e_mail]}}}}]\n"
    )
    (tmp_path / "suites" / "orders.yaml").write_text("{}\n")
    (tmp_path / "suites" / "visits.yaml").unlink()

    with pytest.raises(ConfigError) as caught:
        load_suites(tmp_path / "suites")

    told = [problem.where.removeprefix(f"{tmp_path}/suites/") for problem in caught.value.problems]
    assert told == [
        "customers.yaml: expectations.0.kwargs.column_set",
        "events.yaml: freshness",
        "ads.yaml: expectations.0.type",
        "ads.yaml: expectations.1.type",
        "visits.yaml",
        "orders.yaml",
    ]
