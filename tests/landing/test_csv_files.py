from __future__ import annotations

from pathlib import Path

import pytest

from cloud_analytics.config import SourceContract
from cloud_analytics.config.pipeline import LandingSettings
from cloud_analytics.lake.file_system import FileInfo
from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.landing.csv_files import extra_columns, parse, parse_master, read_masters
from cloud_analytics.landing.folder import KnownFile

CONTRACT = SourceContract(key=["a"], required=["a", "b"])
ORGS = SourceContract(key=["org_id"], required=["org_id", "name"])


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
    headers = [["a", "b", "notes", "raw", ""], ["b", "a", "raw_", "notes"]]
    assert extra_columns(headers, CONTRACT, taken=["raw"]) == {"notes": "notes", "raw": "raw_", "raw_": "raw__"}


def test_names_match_without_regard_to_case_and_blanks() -> None:
    header, records, problem = parse(b" B ,Notes,\xc2\xa0A\n2,x,1\n", "f.csv", CONTRACT)
    assert (header, problem) == (["b", "notes", "a"], None)
    assert records[0].values == {"b": "2", "notes": "x", "a": "1"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b,A\n1,2,3\n", "the header holds the column a more than once (case does not count): keep one"),
        (b"a,b,x, X\n1,2,3,4\n", "the header holds the column x more than once"),
        (b"org_id;name\n1;2\n", "it holds org_id;name: its fields are separated by ';', save it with commas"),
        (b"org_id\tname\n", "it holds org_id\\tname: its fields are separated by '\\t', save it with commas"),
        (b"sep=,\norg_id,name\n", "it holds sep=, : this is a line for Excel, remove it"),
        ("\ufefforg_id,name\n".encode("utf-16"), "the file is UTF-16: save it as UTF-8"),
        ("org_id,name\n".encode("utf-16-be").join([b"\xfe\xff", b""]), "the file is UTF-16: save it as UTF-8"),
        (b"\xef\xbb\xbf\xef\xbb\xbforg_id,name\n", "it begins with two byte order marks, remove one"),
        (b"Org ID,name\n", "it holds Org ID, name; rename 'Org ID' to org_id"),
        (b"OrgId,full-name\n", "it holds OrgId, full-name; rename 'OrgId' to org_id"),
        (b"PK\x03\x04\x14\x00", "the file is a ZIP archive or an Excel workbook: save it as CSV"),
        (b"\x1f\x8b\x08\x00", "the file is compressed: unpack it"),
        (b"\x1b[31mid,name\n", "it holds \\u001b[31mid, name"),
        (b"x" * 5000 + b",name\n", "it holds " + "x" * 200),
    ],
)
def test_what_is_wrong_with_a_header_is_said_with_what_it_holds(content: bytes, said: str) -> None:
    contract = SourceContract(key=["a"], required=["a", "b"]) if content[:1] == b"a" else ORGS
    _, records, problem = parse(content, "f.csv", contract)
    assert records == []
    assert problem is not None
    assert problem.startswith("f.csv: the header ")
    assert said in problem
    assert problem.isprintable()
    assert len(problem) < 400


def test_a_lacking_column_is_named_with_its_file() -> None:
    _, _, problem = parse(b"a,c\n1,2\n", "f.csv", CONTRACT)
    assert problem == "f.csv: the header lacks the column b; it holds a, c"


def test_a_master_is_unfinished_where_an_upload_has_just_begun() -> None:
    def unfinished(known: int | None, **contents: bytes) -> list[str]:
        found = {name: FileInfo(f"/{name}", len(content), 0) for name, content in contents.items()}
        of_before = {} if known is None else {"x": KnownFile(known, 0)}
        paths = {f"/{name}": content for name, content in contents.items()}
        return parse_master(found, paths, CONTRACT, of_before, 100).unfinished

    good, begun = b"a,b\n1,2\n", ["x is empty, as an upload that has just begun"]
    assert unfinished(None, x=good) == unfinished(None, x=b"", y=good) == unfinished(0, x=b"", y=good) == []
    assert unfinished(None, x=b"") == unfinished(9, x=b"\xef\xbb\xbf\n", y=good) == unfinished(9, x=b" \n") == begun
    assert unfinished(9, x=b"a,b\n") == []
    assert unfinished(9, x=good + b'3,"' + b"\n" * 96 + b'"\n') == []
    (reason,) = unfinished(9, x=good + b'3,"' + b"\n" * 97 + b'"\n')
    assert reason == "x holds a record of more than 100 bytes (landing.max_line_bytes, max_master_bytes)"


def test_a_master_with_a_line_of_any_length_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\n1,2\n")
    with (tmp_path / "y.csv").open("wb") as file:
        file.truncate(2**40)  # a hole, which takes no room on the disk
    files = LocalFileSystem(str(tmp_path))
    found = {info.name: info for info in files.files("")}
    limits = LandingSettings(max_line_bytes=1024, max_master_bytes=2**41)
    master = parse_master(found, read_masters(files, [found.values()], limits), CONTRACT, {}, 1024)
    assert [name for name, _, _ in master.files] == ["x.csv"]
    assert master.unfinished == [
        "y.csv holds a record of more than 1,024 bytes (landing.max_line_bytes, max_master_bytes)"
    ]


def test_a_master_of_any_size_is_not_read(tmp_path: Path) -> None:
    """Its files together: each of them may be small."""
    for name in ("x", "y"):
        with (tmp_path / f"{name}.csv").open("wb") as file:
            for _ in range(100):
                file.seek(1000, 1)
                file.write(b"\n")
    (tmp_path / "other.csv").write_bytes(b"a,b\n1,2\n")
    files = LocalFileSystem(str(tmp_path))
    found = {info.name: info for info in files.files("")}
    other = {"other.csv": found.pop("other.csv")}
    contents = read_masters(files, [found.values(), other.values()], LandingSettings(max_master_bytes=200_000))
    master = parse_master(found, contents, CONTRACT, {}, 2**20)
    assert master.unfinished == ["its files have 200,200 bytes, more than 200,000 (landing.max_master_bytes)"]
    assert parse_master(other, contents, CONTRACT, {}, 2**20).records == 1


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_master_of_too_many_lines_is_not_read(tmp_path: Path, end: str) -> None:
    """A record takes some hundred bytes in memory, and may have two in its file."""
    for name in ("x", "y"):
        (tmp_path / f"{name}.csv").write_text(f"a,b{end}" + f"1{end}" * 99, newline="")
    files = LocalFileSystem(str(tmp_path))
    found = {info.name: info for info in files.files("")}
    for limit, refused in ((64 * 200, False), (64 * 200 - 1, True)):
        contents = read_masters(files, [found.values()], LandingSettings(max_master_bytes=limit))
        master = parse_master(found, contents, CONTRACT, {}, 2**20)
        told = "its files have 200 lines, more than 199 (one for 64 bytes of landing.max_master_bytes)"
        assert master.unfinished == [told] * refused


def test_an_empty_file_is_legal() -> None:
    assert parse(b"", "f.csv", CONTRACT) == ([], [], None)
