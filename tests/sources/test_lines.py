"""Text files line by line: what is split, what is broken, and which line it was."""

import io
import json
import random

import pytest

from config.sources import FileSource
from tasks.sources import lines
from tasks.sources.mapping import ExtractError

MB = 1_048_576


def _source(**given) -> FileSource:
    fields = {"kind": "file", "entity": "events", "place": "x", "columns": {"event_id": "a", "name": "b"}}
    return FileSource.model_validate(fields | given)


def _read(content: bytes | str, **given):
    """Rows by line number, raw lines by line number, and reason codes by line number."""
    source = _source(**given)
    data = content if isinstance(content, bytes) else content.encode()
    reading = lines.read(io.BytesIO(data), source, "x")
    rows, raws, broken = {}, {}, {}
    for block in reading.blocks:
        columns = [list(column) for column in block.columns]
        assert all(len(column) == len(block.numbers) for column in columns)
        for place, number in enumerate(block.numbers):
            rows[number] = [column[place] for column in columns]
            raws[number] = block.raws[place]
        for number, raw, code in block.broken:
            assert number not in broken
            raws[number], broken[number] = raw, code
    assert not rows.keys() & broken.keys()
    return reading.header, rows, raws, broken


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_every_line_end_and_a_byte_order_mark_are_fine(end, mark, last):
    text = end.join(["a,b", "1,x", "2,y"]) + (end if last else "")

    header, rows, raws, broken = _read(mark + text.encode())

    assert header == ["a", "b"]
    assert rows == {2: ["1", "x"], 3: ["2", "y"]}
    assert raws == {2: "1,x", 3: "2,y"}
    assert broken == {}


def test_mixed_line_ends_are_fine():
    _, rows, _, broken = _read("a,b\r\n1,x\n2,y\r3,z\n")

    assert rows == {2: ["1", "x"], 3: ["2", "y"], 4: ["3", "z"]}
    assert broken == {}


def test_an_empty_file_has_no_header_and_a_header_alone_no_lines():
    assert _read("")[0] is None
    assert _read("\n\n")[0] is None
    assert _read("a,b\n") == (["a", "b"], {}, {}, {})
    assert _read("a,b") == (["a", "b"], {}, {}, {})


def test_header_names_are_trimmed_and_blank_lines_are_no_lines():
    header, rows, _, broken = _read("\n a , b\n\n1,x\n\n\n2,y\n")

    assert header == ["a", "b"]
    assert rows == {4: ["1", "x"], 7: ["2", "y"]}
    assert broken == {}


def test_runs_of_blanks_part_fields():
    header, rows, raws, broken = _read(" a  b\r\n  1   x \r\n2 y\r\n3\r\n", delimiter="whitespace")

    assert header == ["a", "b"]
    assert rows == {2: ["1", "x"], 3: ["2", "y"]}
    assert raws[2] == "  1   x "
    assert broken == {4: "wrong_field_count"}


def test_quoted_fields_may_hold_delimiters_quotes_and_line_ends():
    _, rows, raws, broken = _read('a,b\n1,"x, ""y"""\n2,"one\r\ntwo"\n3,z\n')

    assert rows == {2: ["1", 'x, "y"'], 3: ["2", "one\ntwo"], 5: ["3", "z"]}
    assert raws[3] == '2,"one\ntwo"'
    assert broken == {}


def test_quotes_mean_nothing_where_the_mapping_says_so():
    _, rows, _, broken = _read('a,b\n1,"x\n2,5" nails\n', quote="")

    assert rows == {2: ["1", '"x'], 3: ["2", '5" nails']}
    assert broken == {}


def test_a_header_given_in_the_mapping_makes_the_first_line_a_row():
    header, rows, _, _ = _read("1,x\n", header=["a", "b"])

    assert header == ["a", "b"]
    assert rows == {1: ["1", "x"]}


@pytest.mark.parametrize(
    ("bad", "code", "raw"),
    [
        (b"1,x\xff\xfe", "invalid_utf8", "1,x\\xff\\xfe"),
        (b"1,\x00x", "nul_byte", "1,\\x00x"),
        (b"1,x,y", "wrong_field_count", "1,x,y"),
        (b"1", "wrong_field_count", "1"),
        (b'1,"x"y', "malformed_quotes", '1,"x"y'),
    ],
)
def test_one_bad_line_costs_one_line_and_keeps_its_raw(bad, code, raw):
    _, rows, raws, broken = _read(b"a,b\n0,w\n" + bad + b'\n2,"y"\n3,z\n')

    assert rows == {2: ["0", "w"], 4: ["2", "y"], 5: ["3", "z"]}
    assert broken == {3: code}
    assert raws[3] == raw


def test_a_last_line_that_is_cut_off_is_truncated():
    assert _read("a,b\n1,x\n2")[3] == {3: "truncated_line"}
    assert _read('a,b\n1,x\n2,"y')[3] == {3: "truncated_line"}
    assert _read("a,b\n1,x\n2\n")[3] == {3: "wrong_field_count"}


def test_an_open_quote_costs_its_line_and_not_the_rest_of_the_file():
    text = 'a,b\n1,x\n2,"y\n' + "".join(f"{number},z\n" for number in range(3, 200_000))

    _, rows, _, broken = _read(text)

    assert broken == {3: "truncated_line"}
    assert len(rows) == 199_998


def test_a_field_over_a_megabyte_is_too_long_and_one_of_a_megabyte_is_not():
    for quote in ("", '"'):
        _, rows, raws, broken = _read(f"a,b\n1,{quote}{'x' * (MB + 1)}{quote}\n2,{quote}{'y' * (MB - 3)}{quote}\n3,z\n")

        assert broken == {2: "field_too_long"}
        assert sorted(rows) == [3, 4]
        assert len(raws[2]) == MB


def test_a_line_without_end_is_cut_and_the_lines_after_it_are_read():
    for end in (b"\n", b"\r\n", b"\r"):
        _, rows, raws, broken = _read(b"a,b" + end + b"1," + b"x" * (40 * MB) + end + b"2,y" + end)

        assert broken == {2: "field_too_long"}
        assert rows == {3: ["2", "y"]}
        assert len(raws[2]) == MB


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-32", "iso-8859-15", "utf-8-sig"])
def test_other_encodings_are_read(encoding):
    text = "a,b\r\n1,Müller\r\n2,é\r\n"

    header, rows, _, broken = _read(text.encode(encoding), encoding=encoding)

    assert header == ["a", "b"]
    assert rows == {2: ["1", "Müller"], 3: ["2", "é"]}
    assert broken == {}


def test_a_header_that_is_no_text_fails_the_extract():
    with pytest.raises(ExtractError, match="header line cannot be read"):
        _read(b"a,b\xff\n1,x\n")


def test_any_mixture_of_good_and_bad_lines_is_read_as_it_was_written():
    draw = random.Random(11)
    kinds = ["plain", "quoted", "break", "bad", "short", "blank"]
    data, number, wanted, wrong = b"a,b\n", 1, {}, {}
    for row in range(60_000):
        kind = draw.choices(kinds, [60, 20, 5, 2, 2, 1])[0] if row % 20_000 > 15_000 else "plain"
        number += 1
        text = "x" * draw.randrange(40)
        if kind == "plain":
            data, wanted[number] = data + f"{row},{text}\n".encode(), [str(row), text]
        elif kind == "quoted":
            data, wanted[number] = data + f'{row},"{text},""q"\n'.encode(), [str(row), f'{text},"q']
        elif kind == "break":
            data, wanted[number] = data + f'{row},"{text}\n\n{text}"\n'.encode(), [str(row), f"{text}\n\n{text}"]
            number += 2
        elif kind == "bad":
            data, wrong[number] = data + f"{row},".encode() + b"\xc3\x28\n", "invalid_utf8"
        elif kind == "short":
            data, wrong[number] = data + f"{row}\n".encode(), "wrong_field_count"
        else:
            data += b"  \n"

    _, rows, _, broken = _read(data)

    assert rows == wanted
    assert broken == wrong


def _json(text: str | bytes, **given):
    columns = {"event_id": "id", "customer_id": "customer.id", "name": "name", "properties": "properties"}
    return _read(text, format="jsonl", columns={**columns, "occurred_at": "at"}, **given)


def test_json_lines_keep_digits_and_nested_values():
    line = json.dumps({"id": "1", "customer": {"id": "007"}, "name": True, "properties": {"a": [1, None]}})
    line = line[:-1] + ', "at": 1767225600.10, "more": 1}'

    header, rows, raws, broken = _json(line + "\n\n" + line + "\n")

    assert header == ["id", "customer.id", "name", "properties", "at"]
    assert rows[1] == ["1", "007", "true", '{"a": [1, null]}', "1767225600.10"]
    assert sorted(rows) == [1, 3]
    assert raws[1] == line
    assert broken == {}


def test_numbers_inside_a_json_value_stay_numbers_with_their_digits():
    numbers = '{"price": 9.950, "all": [1.10, 2, 1E+400], "far": 0.1234567890123456789012345}'

    _, rows, _, broken = _json(f'{{"id": "1", "properties": {numbers}}}')

    assert rows[1][3] == numbers
    assert broken == {}


def test_what_is_no_number_in_json_is_left_for_the_gate_to_refuse():
    _, rows, _, _ = _json('{"id": "1", "properties": {"price": NaN, "all": [-Infinity]}, "at": Infinity}')

    assert rows[1][3:] == ['{"price": NaN, "all": [-Infinity]}', "Infinity"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "malformed_json"),
        (b"[1]", "malformed_json"),
        (b"[" * 10_000 + b"]" * 10_000, "malformed_json"),
        (b'{"id": ' + b"9" * 5_000 + b"}", "malformed_json"),
        (b'{"id": "a\xff"}', "invalid_utf8"),
        (b'{"id": "a\\ud800"}', "invalid_utf8"),
        (b'{"id": "1", "properties": {"k": "\\udfff"}}', "invalid_utf8"),
        (b'{"id": "a\x00"}', "nul_byte"),
        (b'{"id": "a\\u0000"}', "nul_byte"),
        (b'{"id": 7, "name": "x"}', "id_is_number"),
        (b'{"id": "' + b"x" * (MB + 1) + b'"}', "field_too_long"),
    ],
)
def test_one_bad_json_line_costs_one_line(line, code):
    _, rows, _, broken = _json(b'{"id": "1"}\n' + line + b'\n{"id": "3"}\n')

    assert broken == {2: code}
    assert sorted(rows) == [1, 3]


def test_a_json_line_that_is_cut_off_is_truncated():
    assert _json('{"id": "1"}\n{"id": "2')[3] == {2: "truncated_line"}
