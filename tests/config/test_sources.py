"""sources.yaml: what it accepts, and that every problem is told at once with its path."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.settings import CHECKOUT
from config.sources import ENTITIES, FileSource, Sources, expand, load_sources


def _load(tmp_path: Path, text: str):
    path = tmp_path / "sources.yaml"
    path.write_text(text, "utf-8")
    return load_sources(path)


def _problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    return [str(problem).removeprefix(f"{tmp_path}/sources.yaml: ") for problem in caught.value.problems]


def test_a_missing_file_has_no_sources(tmp_path):
    assert load_sources(tmp_path / "sources.yaml") == {}


@pytest.mark.parametrize("folder", ["config", "config/examples/cdnow", "config/examples/shop"])
def test_every_mapping_we_ship_is_right(folder):
    path = CHECKOUT / folder / "sources.yaml"

    assert path.exists()
    load_sources(path)


def test_a_column_name_alone_is_short_for_a_column(tmp_path):
    [source] = _load(
        tmp_path,
        """
        sources:
          events:
            {kind: file, entity: events, place: events.jsonl, format: jsonl,
             columns: {event_id: id, customer_id: {column: who}, name: {constant: seen},
                       occurred_at: {column: at, format: epoch_ms}}}
        """,
    ).values()

    assert source.columns["event_id"].column == "id"
    assert source.columns["occurred_at"].format == ("epoch_ms",)
    assert source.options() == {
        "key": "column",
        "group": None,
        "content_excludes": [],
        "mapped": ["event_id", "customer_id", "name", "occurred_at"],
        "reads": {"event_id": ["id"], "customer_id": ["who"], "name": [], "occurred_at": ["at"]},
        "sparse": True,
        "cancellation_prefixes": [],
    }


def test_every_problem_of_a_mapping_is_told_at_once_with_its_path(tmp_path):
    told = _problems(
        tmp_path,
        """
        sources:
          orders:
            kind: file
            entity: purchases
            place: orders.csv
            group: order_id
            key: generated
            missing_updated_at: amount
            columns:
              order_id: number
              amount: {product: [a, b], format: "%Y"}
              status: {column: s, number: plain}
              colour: c
          events:
            kind: sql
            entity: events
            url_from: SHOP_URL
            columns: {event_id: id, customer_id: c, name: {product: [a, b]}, occurred_at: t}
        """,
    )

    assert [line.split(": ", 1)[0] for line in told] == [
        "sources.orders.columns.colour",
        "sources.orders.columns.customer_id",
        "sources.orders.columns.purchased_at",
        "sources.orders.columns.currency",
        "sources.orders.key",
        "sources.orders.group",
        "sources.orders.missing_updated_at",
        "sources.orders.columns.amount.format",
        "sources.orders.columns.status",
        "sources.events.columns.name.product",
        "sources.events.table",
    ]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("colour: red", "sources.a.file.colour"),
        ("delimiter: '||'", "sources.a.file.delimiter"),
        ("encoding: klingon", "sources.a.file.encoding"),
        ("place: 'https://example.com/x.csv'", "sources.a.file.place"),
        ("time_zone: Mars/Phobos", "sources.a.file.time_zone"),
        ("fresh_within: soon", "sources.a.file.fresh_within"),
        ("columns: {event_id: {column: a, constant: b}}", "sources.a.file.columns.event_id"),
        ("columns: {occurred_at: {column: a, format: '%Q'}}", "sources.a.file.columns.occurred_at.format"),
        ("columns: {event_id: {constant: b, words: {a: b}}}", "sources.a.file.columns.event_id"),
        ("columns: {event_id: {column: b, number: '12'}}", "sources.a.file.columns.event_id.number"),
    ],
)
def test_a_wrong_value_is_told_with_its_path(tmp_path, given, where):
    fields = {"place": "place: x.csv", "columns": "columns: {event_id: a}"}
    fields[given.split(":")[0]] = given
    text = "sources:\n  a:\n    kind: file\n    entity: events\n" + "".join(f"    {line}\n" for line in fields.values())

    told = _problems(tmp_path, text)

    assert [line.split(": ", 1)[0] for line in told] == [where]


@pytest.mark.parametrize(
    ("column", "where"),
    [
        ("{order_id: No}", "order_id.column"),
        ("{order_id: {column: off}}", "order_id.column"),
        ("{order_id: a, status: {column: a, words: {b: No}}}", "status.words.b"),
        ("{order_id: a, status: {column: a, words: {No: b}}}", "status.words.0.[key]"),
    ],
)
def test_a_word_that_yaml_reads_as_false_is_told_to_be_put_in_quotes(tmp_path, column, where):
    text = f"sources: {{shop: {{kind: file, place: a.csv, entity: purchases, header: [a, Yes], columns: {column}}}}}"

    found = _problems(tmp_path, text)

    quoted = "put the word in quotes"
    assert found == [
        f"sources.shop.file.columns.{where}: YAML reads No, Off and False without quotes as false: {quoted}",
        f"sources.shop.file.header.1: YAML reads Yes, On and True without quotes as true: {quoted}",
    ]


def test_a_secret_never_appears_in_what_is_told(tmp_path):
    told = _problems(
        tmp_path,
        """
        sources:
          a: {kind: sql, entity: events, url_from: "postgresql://u:hunter2@h/d", table: t, columns: {event_id: a}}
        """,
    )

    assert "hunter2" not in " ".join(told)


def test_a_place_takes_its_variables_from_the_environment():
    assert expand("${A_B}/x-${C}.csv", "p", {"A_B": "/data", "C": "7"}) == "/data/x-7.csv"


def test_an_unset_variable_is_named():
    with pytest.raises(ConfigError, match=r"sources\.x\.place: environment variable NOWHERE is not set"):
        expand("${NOWHERE}/x.csv", "sources.x.place", {})


def test_every_field_says_what_it_is():
    models = [Sources, FileSource, *(FileSource.__mro__[1:2])]

    assert all(field.description for model in models for field in model.model_fields.values())


def test_the_key_of_every_entity_is_required():
    assert all(entity.key in entity.required for entity in ENTITIES.values())
