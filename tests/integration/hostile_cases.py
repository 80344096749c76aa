"""Each kind of hostile input with its verdict: files for a landing folder, and the table of docs/hostile_input.md.

`python -m tests.integration.hostile_cases` prints the table. A test holds every row of it against a pipeline.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.hostile import MASTERS, event, spliced, without

STREAM = "usage_events_stream"
SILVER = "Silver"
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Case:
    """One kind: its files, how many of their lines end where (SILVER or an error_type), and the warnings on the way.

    `files`: path below the landing folder → bytes. `verdict`: empty where no line counts.
    """

    kind: str
    files: Mapping[str, bytes]
    verdict: Mapping[str, int]
    warnings: tuple[str, ...] = ()
    note: str = ""

    def row(self) -> str:
        """The case as a row of the table."""
        many = sum(self.verdict.values()) > 1 and len(self.verdict) > 1
        ends = [f"{n if many else ''} {_code(name)}".strip() for name, n in self.verdict.items()]
        words = ", ".join(ends) or "no line, nothing to account for"
        if self.warnings:
            words += ", warning " + ", ".join(map(_code, self.warnings))
        return f"| {self.kind} | {words} | {self.note} |"


def _code(name: str) -> str:
    return name if name == SILVER else f"`{name}`"


@dataclass
class _Cases:
    """Collects cases; each has a file of its own, whose name no other test uses."""

    name: str
    found: list[Case] = field(default_factory=list)

    def lines(
        self, kind: str, verdict: str, lines: Iterable[str | bytes], *warnings: str, note: str = "", end: bytes = b"\n"
    ) -> None:
        """Lines that all have the same verdict."""
        encoded = [line if isinstance(line, bytes) else line.encode() for line in lines]
        self.raw(kind, {verdict: len(encoded)}, b"".join(line + end for line in encoded), *warnings, note=note)

    def raw(
        self, kind: str, verdict: Mapping[str, int], content: bytes, *warnings: str, note: str = "",
        ending: str = "jsonl",
    ) -> None:  # fmt: skip
        """The bytes of one file of the stream."""
        self.files(kind, verdict, {f"{STREAM}/{self.id()}.{ending}": content}, *warnings, note=note)

    def files(
        self, kind: str, verdict: Mapping[str, int], files: Mapping[str, bytes], *warnings: str, note: str = ""
    ) -> None:
        """Several files, or of another kind."""
        self.found.append(Case(kind, files, verdict, warnings, note))

    def event(self, **changes: object) -> str:
        """A good event of this case with some fields changed."""
        return event(self.id(), **changes)

    def id(self) -> str:
        return f"kind_{self.name}_{len(self.found):02}"


# fmt: off
def lines_of_text() -> list[Case]:
    """What is wrong, or odd, with a line or a file before any rule looks at an event."""
    c = _Cases("line")
    good = c.event
    c.lines("a line that is no JSON", "malformed_json", ["not json", "{'a':1}", '{"a":1,}', '{"a":01}'])
    c.lines("a truncated line (an upload cut short)", "malformed_json", [good()[:60], good()[:-1]],
            note="the file is read again when it grows")
    c.lines("two objects on a line", "malformed_json", [good() + good(), f"{good()},{good()}", f"{good()} {good()}"],
            note="neither is taken: which one was meant is not known")
    c.lines("an object with a tail", "malformed_json", [f"{good()} tail", f"{good()}]", f'{good()}],"x":[{{}}'])
    c.lines("a top-level array or scalar", "malformed_json",
            ["[]", f"[{good()}]", "1", '"text"', "null", "true", "NaN"])
    c.lines("invalid UTF-8", "malformed_json", [good().encode()[:-1] + b', "x": "\xff\xfe"}', b"\xc0\xaf"],
            note="its bytes are kept in `raw_bytes`")
    c.lines("control characters inside a string", "malformed_json", [good()[:-1] + ', "x": "\t"}'])
    c.lines("an escape that is cut short, or none", "malformed_json",
            [good(region="@@").replace("@@", text) for text in ("us-east\\u00e", "us-east\\q")])
    c.lines("the escape of an unpaired surrogate", "malformed_json",
            [good(note="@@").replace("@@", text) for text in
             ("\\ud800", "\\uDBFF", "a\\udc00", "\\ude00\\ud83d", "\\ud83dx\\ude00", "\\\\\\ud83d")],
            note="it is no character: two different ids would become the same one")
    c.lines("the escapes of a surrogate pair, or what looks like one", SILVER,
            [good(note="@@").replace("@@", "\\ud83d\\ude00 \\uD83D\\uDE00 \\\\ud800 \\ud7ff")])
    c.lines("a good line of 5 MB", SILVER, [good(note="x" * 5 * _MEGABYTE)])
    c.lines("a line of 5 MB that is no JSON, or cut short", "malformed_json",
            ["x" * 5 * _MEGABYTE, good(note="x" * 5 * _MEGABYTE)[:-2]], note="kept whole")
    c.lines("NaN and infinity under other names (`-INF`, `+Infinity`, `-NaN`)", "malformed_json",
            [spliced(c.id(), "value", v) for v in ("-INF", "+INF", "INF", "+Infinity", "-NaN", "+NaN", "nan", "Inf")],
            note="Spark would take some of them for numbers")
    c.lines("these names inside a text", SILVER, [good(note='-INF "+INF", +Infinity -NaN', x=["-INF"])])
    c.lines("nested 5,000 levels deep", "malformed_json", [good()[:-1] + ', "x": ' + "[" * 5000 + "]" * 5000 + "}"],
            note="Spark's parser stops at 1,000")
    c.raw("a byte order mark at the start of a file", {SILVER: 1}, b"\xef\xbb\xbf" + good().encode() + b"\n")
    c.raw("a byte order mark elsewhere", {SILVER: 1, "malformed_json": 1},
          f"{good()}\n\ufeff{event('kind_bom')}\n".encode())
    c.lines("lines that end in CRLF", SILVER, [good()], end=b"\r\n")
    c.raw("no end of line after the last line", {SILVER: 1}, good().encode())
    c.raw("blank lines, of any white space", {}, b"\n \t\r\n\r\n\xe3\x80\x80\n")
    c.lines("blanks around the object", SILVER, ["  \t" + good() + "  "])
    c.lines("line separators of other readers (U+2028, U+0085) inside a string", SILVER,
            [good()[:-1] + ', "x": "a\u2028b\x85c"}'])
    c.raw("an empty file", {}, b"")
    c.raw("a gzip file", {SILVER: 1}, gzip.compress(good().encode() + b"\n"), ending="jsonl.gz")
    c.raw("a gzip file of several members", {SILVER: 2},
          gzip.compress(good().encode() + b"\n") + gzip.compress(event("kind_member").encode() + b"\n"),
          ending="json.gz")
    packed = gzip.compress("\n".join(event(f"kind_cut_{n}", value=n * 7919) for n in range(99)).encode())
    c.raw("a truncated gzip file", {"unreadable_file": 1}, packed[:-40], ending="jsonl.gz",
          note="one record; none of its content is used, the run goes on")
    c.raw("a gzip file that is none, or corrupt", {"unreadable_file": 1}, good().encode(), ending="jsonl.gz")
    c.raw("a gzip file of 60 KB that unpacks to one line of 64 MiB and more", {"unreadable_file": 1},
          gzip.compress(bytes(2**26 + 1)), ending="jsonl.gz",
          note="found before it is read, as in a plain file; the limit is `landing.max_line_bytes`")
    c.files("names that begin with `_` or `.`", {},
            {f"{STREAM}/_kind.jsonl": good().encode(), f"{STREAM}/.kind.jsonl": good().encode()},
            note="half-written uploads")
    c.files("files of other types", {}, {f"{STREAM}/kind.txt": b"text\n", f"{STREAM}/kind.jsonl.tmp": b"text\n"})
    c.files("a name with blanks and glob characters", {SILVER: 1},
            {f"{STREAM}/kind 1+%41 [x]{{y}}*.jsonl": good().encode()})
    c.files("names with a colon", {SILVER: 2},
            {f"{STREAM}/kind:12:30.jsonl": good().encode(), f"{STREAM}/kind:[a].jsonl": event("kind_colon").encode()})
    return c.found


def values_of_events() -> list[Case]:
    """What is wrong, or odd, with the fields of an event."""
    c = _Cases("value")
    good = c.event
    c.lines("a repeated key", SILVER, [good(value="x")[:-1] + ', "value": 7}'], note="the last value counts")
    c.lines("additional fields, of any shape", SILVER, [good(tags={"a": [1, {"b": None}]}, VALUE=-5)],
            note="kept in Bronze's `raw`")
    c.lines("a missing, null or blank key", "missing_key",
            [good(org_id=None), good(resource_id=" "), without(c.id(), "org_id"), event("  ")])
    c.lines("a key of 64 KiB", "missing_key", [good(org_id="o" * 65_536), good(resource_id="r" * 65_536)],
            note="no store takes it as one")
    c.lines(
        "an orphan organisation",
        SILVER,
        [good(org_id="org_none")],
        note="`org_matched` is false, its columns read `unknown`",
    )
    c.lines("an orphan resource", SILVER, [good(resource_id="res_none")], note="`resource_matched` is false")
    c.lines("an unknown schema version", "unsupported_schema_version",
            [good(schema_version=v) for v in (3, 0, "", None, True)])
    c.lines("a schema version as text", SILVER, [good(schema_version="2")])
    c.lines("a schema version that is no integer", "unsupported_schema_version",
            [spliced(c.id(), "schema_version", v) for v in ("2.0", "1e0")])
    c.lines("fields of version 2 in version 1", SILVER, [good(schema_version=1, carbon_kg=5, genai_tokens=-1)],
            note="read as null")
    c.lines("NaN, Infinity or a literal as value", "invalid_value",
            [*(spliced(c.id(), "value", v) for v in ("NaN", "Infinity", "-Infinity", "true")),
             good(value="NaN")])
    c.lines("NaN, Infinity, null or text as cost", "invalid_cost",
            [*(spliced(c.id(), "cost_usd_increment", v) for v in ("NaN", "null", "[]")),
             good(cost_usd_increment="Infinity"), good(cost_usd_increment="1,000")])
    c.lines("a number as text", SILVER, [good(value=" 5.25 ", cost_usd_increment="1e-2")])
    c.lines("a number from 10^12 on", "invalid_value",
            [spliced(c.id(), "value", v) for v in ("1e12", "999999999999.9999995", "1e400")])
    c.lines("more than one event can be: a value above the `max` of its metric", "implausible_value",
            [good(value=v) for v in (1_000_000_001, "1.1e9", "999999999999.999999")]
            + [good(value=100_000.5, metric="cpu_hours", unit="hours")],
            note="`conf/taxonomy.yaml`; it would outweigh all others in a sum")
    c.lines("ids that are long numbers, or have large exponents", SILVER,
            [spliced(f"{c.id()}_{key}_{v}", key, v) for key in ("org_id", "resource_id")
             for v in ("12345678901234567.1", "12345678901234567.2", "1e999", "2e999", "1e-999")],
            note="their text is kept, so that two numbers are two ids")
    c.lines("a number of 300,000 digits", "invalid_value", [good(value="9" * 300_000), good(value="9" * 300_000 + "x")])
    c.lines("a null value", SILVER, [good(value=None)], "missing_value")
    c.lines("a negative cost", "negative_cost", [good(cost_usd_increment=-0.02)])
    c.lines("rounding noise: a cost in [-0.01, 0)", SILVER, [good(cost_usd_increment=-0.01)])
    c.lines("a negative quantity", "negative_quantity", [good(value=-1), good(carbon_kg=-1), good(genai_tokens="-5")])
    c.lines("carbon or tokens that are no number", SILVER, [good(carbon_kg="n/a")], "invalid_carbon_kg",
            note="read as null")
    words = ("moon", None, "ANALYTİCS", "ΑΝΑΛΥΤΙΚΟΣ ΣΑΣ")  # letters whose lower case is not one letter, or not always
    c.lines("an unknown service", "unknown_service", [good(service=word) for word in words])
    c.lines("an unknown region", SILVER, [good(region="mars")], "unknown_region", note="`region_code` is null")
    c.lines("an unknown metric", "unknown_metric", [good(metric="clicks")])
    c.lines("a unit that is not the metric's", "unit_mismatch", [good(unit="hours")])
    c.lines("no unit", SILVER, [good(unit=None)], note="the metric's; `unit_imputed` is true")
    c.lines("an offset in the timestamp", SILVER,
            [good(timestamp="2025-06-01T23:30:00-0330")], note="the date is that of UTC")
    c.lines("a timestamp without zone, or without seconds", SILVER, [good(timestamp="2025-06-01 10:00")],
            note="read as UTC")
    c.lines("a timestamp that is none", "invalid_timestamp",
            [good(timestamp=t) for t in ("2025-06-01", "2025-02-29T10:00Z", "2025-06-01T10:00+18:01", "soon", "", None,
                                         1717236000)])
    c.lines("the far past: before the year 2000", "invalid_timestamp", [good(timestamp="1999-12-31T23:59:59Z")])
    c.lines("the far future", "future_timestamp", [good(timestamp="9999-12-31T23:59:59Z")],
            note="more than 24 h after its ingest; it does not advance the clock of lateness. When its time has come,"
            " `quarantine replay` lets it in")
    c.lines("several faults", "missing_key", [good(org_id=None, service="x", value="w", cost_usd_increment=-5)],
            note="the first in the order of the contract; `errors` holds all")
    return c.found


def copies() -> list[Case]:
    """Copies of one event_id, and rows of one key."""
    c = _Cases("copy")
    other_day = {"timestamp": "2025-06-12T12:00:00Z"}
    one, two = "duplicate_event", "conflicting_duplicate"
    c.raw("an identical copy", {SILVER: 1, one: 2}, f"{c.event()}\n{c.event()}\n  {c.event()}\n".encode())
    c.raw("a copy that differs", {SILVER: 1, two: 1}, f"{c.event(value=5)}\n{c.event(value=3)}\n".encode(),
          note="the smallest (file name, text) stays, in whatever order they come")
    c.files("copies in other files", {SILVER: 1, one: 1, two: 1},
            {f"{STREAM}/kind_copy_{n}.jsonl": text.encode() for n, text in
             (("b", c.event()), ("a", c.event()), ("c", c.event(value=7)))})
    c.raw("a copy on another date", {SILVER: 1, two: 1}, f"{c.event()}\n{c.event(**other_day)}\n".encode(),
          note="settled by `run` and `reconcile`; `stream` alone looks at each date")
    c.raw("a copy of which one breaks a rule", {SILVER: 1, "negative_cost": 1},
          f"{c.event(cost_usd_increment=-5)}\n{c.event()}\n".encode(), note="only what passed is compared")
    return c.found


def _csv(source: str, *rows: str, name: str) -> dict[str, bytes]:
    header = MASTERS[f"{source}.csv"].lstrip("\ufeff").splitlines()[0] if f"{source}.csv" in MASTERS else None
    return {f"{source}/{name}.csv": "".join(f"{row}\n" for row in (header, *rows) if row).encode()}


def masters() -> list[Case]:
    """CSV files."""
    c = _Cases("master")
    tickets, orgs = "support_tickets", "customers_orgs"

    def ticket(
        kind: str, verdict: Mapping[str, int], *rows: str, warnings: tuple[str, ...] = (), note: str = ""
    ) -> None:
        files = _csv(tickets, *rows, name=f"kind_{len(c.found):02}")
        c.files(kind, verdict, files, *warnings, note=note)

    c.files("quoted commas, quotes and line ends in a field", {SILVER: 1},
            _csv(orgs,
                 'kind_1,"Acme, ""The""\r\nBest",x,us-east,enterprise,True,2025-02-20,r,lead,event,5', name="kind_org"))
    c.files("reordered and additional columns, a byte order mark, CRLF, blank lines", {SILVER: 1},
            {"resources/kind_reordered.csv":
             b"\xef\xbb\xbfowner,tags_json,state,created_at,region,service,org_id,resource_id\r\n"
             b"\r\nme,,running,2025-01-01,us-west,storage,org_a,kind_r\r\n  \r\n"},
            note="additional columns stay in Bronze")
    c.files("an empty file", {}, {"resources/kind_empty.csv": b""})
    c.files("names that begin with `_` or `.`", {},
            {"resources/_kind_half.csv": b"x\n", "resources/.kind_half.csv": b"x\n"})
    ticket("fewer or more fields than the header", {"malformed_csv": 2}, "k1,org_a", "k2,org_a,b,low,2025-06-02,,,,,9")
    c.files("invalid UTF-8", {"malformed_csv": 1},
            {k: v + b"k3,org_\xff,billing,low,2025-06-02,,,\n" for k, v in _csv(tickets, name="kind_utf8").items()},
            note="its bytes are kept in `raw_bytes`")
    ticket("a quote that is never closed", {"malformed_csv": 1}, 'k11,org_a,"billing,low,2025-06-02,,,', "k12,org_a,b",
           note="one record to the end of the file")
    c.files("a NUL in a field", {SILVER: 1},
            _csv(orgs, "kind_2,A\0B,x,us-east,enterprise,True,2025-02-20,r,lead,event,5", name="kind_nul"))
    c.files("names of columns in another case, with blanks around", {SILVER: 1},
            {"nps_surveys/kind_case.csv":
             b" Org_ID,SURVEY_DATE ,\xc2\xa0Nps_Score,comment,Mood\nkind_c,2025-08-22,5,good,better\n"},
            note="they match; additional columns are called by their lower case")
    c.files("additional columns called like Bronze's own", {SILVER: 1},
            {"nps_surveys/kind_own.csv":
             b"org_id,survey_date,nps_score,comment,source_file,Raw\nkind_o,2025-08-22,5,good,better,best\n"},
            note="kept in Bronze with a `_`")
    ticket("a blank key", {"missing_key": 2}, ",org_a,billing,low,2025-06-02,,,", "k4,,billing,low,2025-06-02,,,")
    ticket("a key of 64 KiB", {"missing_key": 2}, f"k4,{'o' * 65_536},billing,low,2025-06-02,,,",
           f"{'k' * 65_536},org_a,billing,low,2025-06-02,,,")
    ticket(
        "a date that is none",
        {"invalid_date": 2},
        "k5,org_a,billing,low,2025-02-30,,,",
        "k6,org_a,b,low,2025-06-02,x,,",
    )
    ticket(
        "resolved before it was created", {"resolved_before_created": 1},
           "k7,org_a,billing,low,2025-06-02,2025-06-01,,"
    )
    ticket(
        "a score out of range",
        {SILVER: 1},
        "k8,org_a,billing,low,2025-06-02,,9,no",
        warnings=("invalid_csat",),
        note="read as null",
    )
    ticket("a ticket of the far future, or from before the year 2000", {SILVER: 2},
           "k13,org_a,billing,low,9999-01-01,,5,no", "k14,org_a,billing,low,0001-01-01,,5,no",
           warnings=("implausible_created_at",),
           note="left out of `support_backlog_daily` alone: every day up to it would have a row for each open ticket")
    ticket("a word outside its vocabulary", {SILVER: 1}, "k9,org_a,billing,WEİRD,2025-06-02,,5,no",
           warnings=("unknown_severity",))
    ticket("several rows of one key", {SILVER: 1, "duplicate_key": 1}, "k10,org_a,billing,low,2025-06-02,,5,no",
           "k10,org_b,billing,low,2025-06-03,,5,no", note="the last row of the last file stays")
    c.files("tags that are no JSON", {SILVER: 1},
            {"resources/kind_tags.csv": b"resource_id,org_id,service,region,created_at,state,tags_json\n"
             b"kind_t,org_a,storage,us-west,2025-01-01,running,{env\n"}, "invalid_tags_json", note="read as null")
    many = [json.dumps(tags).replace('"', '""') for tags in
            ([f"key{n}:v" for n in range(201)], {f"key{n}": "v" for n in range(201)})]
    c.files("more than 200 tags of a resource", {SILVER: 2},
            {"resources/kind_many_tags.csv": b"resource_id,org_id,service,region,created_at,state,tags_json\n"
             + "".join(f'kind_m{place},org_a,storage,us-west,2025-01-01,running,"{text}"\n'
                       for place, text in enumerate(many)).encode()}, "too_many_tags",
            note="read as null: each key is a row of every organisation and day in the costs by tag")
    billing = "billing_monthly"
    c.files("tags with the escape of an unpaired surrogate", {SILVER: 1},
            {"resources/kind_surrogate.csv": b"resource_id,org_id,service,region,created_at,state,tags_json\n"
             b'kind_u,org_a,storage,us-west,2025-01-01,running,"[""env:\\ud800""]"\n'},
            "invalid_tags_json", note="read as null")
    c.files("an amount that is no number", {"invalid_number": 2},
            _csv(billing, "kind_b1,org_a,2025-08,x,0,0,EUR,1.3", "kind_b2,org_a,2025-08,1,0,NaN,EUR,1",
                 name="kind_b1"))
    c.files("an invoice of 10^16 USD and more", {"invalid_number": 2},
            _csv(billing, "kind_b6,org_a,2025-08,999999999999.99,0,0,EUR,99999999.99",
                 "kind_b7,org_a,2025-08,1,-500000000000,0,USD,20000", name="kind_b4"),
            note="a sum over enough of them would exceed its type, and Spark would make it null")
    c.files("credits below 0", {SILVER: 1}, _csv(billing, "kind_b5,org_a,2025-08,1,-3,0,EUR,1.3", name="kind_b3"),
            "negative_credits", note="they raise the net revenue")
    c.files("a rate or currency that is none", {"invalid_rate": 2},
            _csv(billing, "kind_b3,org_a,2025-08,1,0,0,EUR,0", "kind_b4,org_a,2025-08,1,0,0,,1",
                 name="kind_b2"))
    return c.found
# fmt: on


TABLES = {
    "Lines and files": lines_of_text,
    "Values of an event": values_of_events,
    "Copies": copies,
    "Masters": masters,
}


def cases() -> list[Case]:
    return [case for make in TABLES.values() for case in make()]


def write(landing: Path) -> None:
    """Add the files of every case to a landing folder."""
    for case in cases():
        for name, content in case.files.items():
            path = landing / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def tables() -> str:
    """The tables of docs/hostile_input.md."""
    head = "| what comes | what becomes of it | |\n|---|---|---|\n"
    return "\n\n".join(
        f"## {title}\n\n{head}" + "\n".join(case.row() for case in make()) for title, make in TABLES.items()
    )


if __name__ == "__main__":
    print(tables())
