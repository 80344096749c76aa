from __future__ import annotations

from cloud_analytics.config import SourceContract
from cloud_analytics.landing.csv_files import extra_columns, parse

CONTRACT = SourceContract(key=["a"], required=["a", "b"])


def test_a_quoted_field_may_hold_commas_and_newlines() -> None:
    header, records, problem = parse(b'a,b\n1,"x,\ny"\n2,z\n', "f.csv", CONTRACT)
    assert header == ["a", "b"]
    assert problem is None
    assert [record.values for record in records] == [{"a": "1", "b": "x,\ny"}, {"a": "2", "b": "z"}]
    assert records[0].raw == '1,"x,\ny"'


def test_columns_may_come_in_any_order_with_others_and_a_byte_order_mark() -> None:
    _, records, problem = parse(b"\xef\xbb\xbfb,more,a\r\ny,m,1\r\n", "f.csv", CONTRACT)
    assert problem is None
    assert records[0].values == {"b": "y", "more": "m", "a": "1"}


def test_blank_lines_are_no_records() -> None:
    _, records, _ = parse(b"a,b\n\n  \n1,2\n\n", "f.csv", CONTRACT)
    assert len(records) == 1


def test_a_record_of_another_width_is_kept_and_marked() -> None:
    _, records, _ = parse(b"a,b\n1\n1,2,3\n1,2\n", "f.csv", CONTRACT)
    assert [record.fits_header for record in records] == [False, False, True]
    assert [record.raw for record in records] == ["1", "1,2,3", "1,2"]


def test_bytes_that_are_no_utf8_are_kept_and_marked() -> None:
    _, records, _ = parse(b"a,b\n1,\xff\n1,2\n", "f.csv", CONTRACT)
    assert [record.fits_header for record in records] == [False, True]
    assert records[0].raw_bytes == b"1,\xff"
    assert records[1].raw_bytes is None


def test_a_quote_that_is_never_closed_makes_one_marked_record() -> None:
    _, records, _ = parse(b'a,b\n0,"x"\n1,"y\n2,z\n', "f.csv", CONTRACT)
    assert [(record.fits_header, record.raw) for record in records] == [(True, '0,"x"'), (False, '1,"y\n2,z\n')]
    for content in (b'a,b\n1,"y"', b'a,b\n1,"y"\n', b'a,b\n1,"y"\n\n'):
        _, records, _ = parse(content, "f.csv", CONTRACT)
        assert [record.fits_header for record in records] == [True]


def test_a_nul_is_a_character_like_others() -> None:
    _, records, _ = parse(b"a,b\n1,x\0y\n", "f.csv", CONTRACT)
    assert records[0].values == {"a": "1", "b": "x\0y"}
    assert (records[0].raw, records[0].fits_header) == ("1,x\0y", True)


def test_additional_columns_keep_their_names_unless_another_one_has_it() -> None:
    headers = [["a", "b", "Notes", "A", "raw", ""], ["b", "a", "notes", "Notes"]]
    assert extra_columns(headers, CONTRACT, taken=["raw"]) == {
        "Notes": "Notes", "A": "A_", "raw": "raw_", "notes": "notes_",
    }  # fmt: skip


def test_a_lacking_column_is_named_with_its_file() -> None:
    _, _, problem = parse(b"a,c\n1,2\n", "f.csv", CONTRACT)
    assert problem == "f.csv: the header lacks the column b"


def test_an_empty_file_is_legal() -> None:
    assert parse(b"", "f.csv", CONTRACT) == ([], [], None)
