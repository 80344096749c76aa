"""That the extractor sees what is printed, and tells a document that hides something: else its test could not fail."""

from __future__ import annotations

import click
import pytest

from tests.docs.commands import BadDocument, check_call, extract


def _texts(document: str) -> list[str]:
    return [command.text for command in extract(document, "x.md")]


def test_blocks_spans_and_tables_are_seen() -> None:
    document = """# Title
Run `make run`, or `cloud-analytics audit
--format json`; `cloud-analytics` and `--lake` alone are names.

```
# only a comment
cloud-analytics run   --lake L   # what it does
cloud-analytics --spark a=b \\
    reconcile
```

```console
$ cloud-analytics doctor
ok   Python
```

| job | command |
|---|---|
| law | `cloud-analytics rules` |
"""
    assert _texts(document) == [
        "make run",
        "cloud-analytics audit --format json",
        "cloud-analytics run --lake L",
        "cloud-analytics --spark a=b reconcile",
        "cloud-analytics doctor",
        "cloud-analytics rules",
    ]


def test_the_place_is_that_of_the_command() -> None:
    (command,) = extract("one\n\n```\n\nmake run\n```\n", "x.md")
    assert (command.document, command.line) == ("x.md", 5)


@pytest.mark.parametrize(
    ("document", "untried"),
    [
        ("## Databricks (untried)\n\n### A\n\n```\nmake a\n```\n", True),
        ("## Databricks (untried)\n\n## B\n\n```\nmake a\n```\n", False),
        ("```\n# untried: needs an account\nmake a\n```\n", True),
        ("```\nmake a   # untried\n```\n", False),
        ("EMR (untried): `make a`.\n", True),
        ("EMR (untried).\n\nHere `make a`.\n", False),
    ],
)
def test_what_was_not_tried_says_so(document: str, untried: bool) -> None:
    (command,) = extract(document, "x.md")
    assert command.untried is untried


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("```\nmake run\n", "x.md:2: a fence without its end"),
        ("```rust\nfn\n```\n", "unknown language 'rust'"),
        ("```text\ncloud-analytics nonsense\n```\n", "a command in a block of text: cloud-analytics nonsense"),
        ('```\nmake "run\n```\n', "No closing quotation"),
    ],
)
def test_a_document_that_hides_commands_is_told(document: str, message: str) -> None:
    with pytest.raises(BadDocument, match=message):
        list(extract(document, "x.md"))


@pytest.mark.parametrize(
    "call",
    ["cloud-analytics nonsense", "cloud-analytics audit --nonsense", "cloud-analytics query --org o",
     "cloud-analytics query moon --org o", "cloud-analytics trace --org o", "cloud-analytics quarantine"],
)  # fmt: skip
def test_a_call_that_the_command_line_does_not_take_is_told(call: str) -> None:
    with pytest.raises(click.UsageError):
        check_call(tuple(call.split()))


@pytest.mark.parametrize(
    "call", ["cloud-analytics --help", "cloud-analytics --spark a=b quarantine list --source users"]
)
def test_a_good_call_passes_and_runs_nothing(call: str, capsys: pytest.CaptureFixture[str]) -> None:
    check_call(tuple(call.split()))
    assert capsys.readouterr().out == ""
