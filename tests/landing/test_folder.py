"""What is read of a landing folder, what is passed over and named, and what changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from cloud_analytics.lake.file_system import FileInfo
from cloud_analytics.lake.files import LocalFileSystem
from cloud_analytics.landing.folder import (
    Contents,
    KnownFile,
    changes,
    event_files,
    is_event_file,
    look,
    tell_passed_over,
)

STREAM = "usage_events_stream"


def put(landing: Path, *names: str) -> None:
    for name in names:
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        (landing / name).write_text("text\n")


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    put(folder, "users.csv", "resources/b.csv", "resources/a.csv", f"{STREAM}/a.jsonl", f"{STREAM}/b.json.gz")
    return folder


def seen(landing: Path, follow_links: bool = False) -> Contents:
    return look(LocalFileSystem(str(landing)), follow_links)


def read(contents: Contents) -> set[str]:
    return {*contents.events, *(name for files in contents.masters.values() for name in files)}


USUAL = {"users.csv", "resources/a.csv", "resources/b.csv", "a.jsonl", "b.json.gz"}


def test_sources_go_by_their_names(landing: Path) -> None:
    put(landing, "_users.csv", "README.md", "resources/.half.csv", f"{STREAM}/_half.jsonl")
    contents = seen(landing)
    assert read(contents) == USUAL
    assert contents.passed_over == {}
    assert [info.name for info in event_files(LocalFileSystem(str(landing)))] == ["a.jsonl", "b.json.gz"]
    assert seen(landing / "nowhere").is_empty


def test_what_people_may_expect_to_be_read_is_named(landing: Path) -> None:
    put(landing, "Users.CSV", "users.csv.1", "events.jsonl", "usage_events/a.jsonl", "lost+found/x", "notes.txt",
        "resources/2025/c.csv", "resources/c.CSV", f"{STREAM}/lost+found/x")  # fmt: skip
    put(landing, *(f"{STREAM}/{name}" for name in ("a.jsonl.1", "c.bz2", "d.ndjson", "E.JSONL", "deep/f.jsonl")))
    contents = seen(landing)
    assert read(contents) == USUAL
    assert contents.passed_over == {
        **dict.fromkeys(["Users.CSV", "users.csv.1", "events.jsonl", "usage_events"],
                        "belongs to no source by its name"),
        "resources/2025": "is a folder",
        "resources/c.CSV": "does not end in .csv",
        f"{STREAM}/deep": "is a folder",
        **{f"{STREAM}/{name}": "does not end in .jsonl or .json or .jsonl.gz or .json.gz"
           for name in ("a.jsonl.1", "c.bz2", "d.ndjson", "E.JSONL")},
    }  # fmt: skip


def test_only_regular_files_are_read(landing: Path) -> None:
    os.mkfifo(landing / "users.pipe")
    (landing / "nps_surveys.csv").symlink_to(landing / "users.pipe")
    os.mkfifo(landing / STREAM / "pipe.jsonl")
    for name in (f"{STREAM}/loop.jsonl", "support_tickets.csv"):
        (landing / name).symlink_to(landing / name)
    contents = seen(landing)
    assert read(contents) == USUAL
    odd = {"nps_surveys.csv", f"{STREAM}/pipe.jsonl", f"{STREAM}/loop.jsonl", "support_tickets.csv"}
    assert contents.passed_over == dict.fromkeys(odd, "is no regular file")
    (landing / "billing_monthly.csv").symlink_to("/dev/zero")
    assert "billing_monthly.csv" not in read(seen(landing, follow_links=True))


def test_links_that_leave_landing_are_read_on_demand_alone(landing: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/x.jsonl", "elsewhere/nps.csv", "landing_too/x.jsonl")
    (landing / STREAM / "inside.jsonl").symlink_to(landing / STREAM / "a.jsonl")
    (landing / STREAM / "out.jsonl").symlink_to(tmp_path / "elsewhere/x.jsonl")
    (landing / STREAM / "beside.jsonl").symlink_to(tmp_path / "landing_too/x.jsonl")  # no folder but a prefix of it
    (landing / STREAM / "lost.jsonl").symlink_to(tmp_path / "nowhere")
    (landing / "nps_surveys").symlink_to(tmp_path / "elsewhere")
    (landing / "marketing_touches.csv").symlink_to(tmp_path / "elsewhere/nps.csv")
    contents = seen(landing)
    assert read(contents) == {*USUAL, "inside.jsonl"}
    assert {path for path, reason in contents.passed_over.items() if "landing.follow_links" in reason} == {
        f"{STREAM}/out.jsonl", f"{STREAM}/beside.jsonl", f"{STREAM}/lost.jsonl", "nps_surveys", "marketing_touches.csv",
    }  # fmt: skip
    followed = {"inside.jsonl", "out.jsonl", "beside.jsonl", "nps_surveys/nps.csv", "marketing_touches.csv"}
    assert read(seen(landing, follow_links=True)) == USUAL | followed
    (tmp_path / "link").symlink_to(landing)  # the folder itself may be one
    assert read(seen(tmp_path / "link")) == {*USUAL, "inside.jsonl"}


def test_a_single_file_is_judged_as_in_the_listing(landing: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/x.jsonl")
    (landing / STREAM / "out.jsonl").symlink_to(tmp_path / "elsewhere/x.jsonl")
    put(landing, f"{STREAM}/_half.jsonl", f"{STREAM}/x.txt", f"{STREAM}/deep.jsonl/y.jsonl")
    files = LocalFileSystem(str(landing))
    names = os.listdir(landing / STREAM)
    for follow in (False, True):
        assert {name for name in names if is_event_file(files, name, follow)} == set(look(files, follow).events)
    assert not is_event_file(files, "absent.jsonl")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / STREAM).symlink_to(landing / STREAM)
    assert not is_event_file(LocalFileSystem(str(tmp_path / "other")), "a.jsonl")


def test_what_is_passed_over_is_told_once_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    contents = Contents(passed_over={f"u/{n}.bz2": "is packed" for n in range(9)} | {"pipe": "is no regular file"})
    told: set[str] = set()
    with caplog.at_level(logging.WARNING):
        tell_passed_over(contents, told)
        tell_passed_over(contents, told)
    (line,) = caplog.messages
    assert line == (
        "passed over in landing: pipe (is no regular file); u/0.bz2, u/1.bz2, u/2.bz2, u/3.bz2, u/4.bz2 and 4 more"
        " (is packed)"
    )


def test_new_changed_and_left_are_found_by_name_length_and_time() -> None:
    known = {"same": KnownFile(1, 5, "batch"), **dict.fromkeys(("grown", "touched", "gone"), KnownFile(1, 5))}
    found = {name: FileInfo(f"/{name}", *what) for name, what in
             {"same": (1, 5), "grown": (2, 5), "touched": (1, 6), "fresh": (1, 5)}.items()}  # fmt: skip
    difference = changes(known, found)
    assert [info.name for info in difference.new] == ["fresh"]
    assert [info.name for info in difference.changed] == ["grown", "touched"]
    assert difference.left == ["gone"]
    assert difference
    assert not changes({"same": KnownFile(1, 5)}, {"same": found["same"]})
