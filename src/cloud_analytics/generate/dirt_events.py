"""Makes hostile usage events: lines for the ordinary files, and files that are hostile as a whole."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Sequence

from cloud_analytics.config import EVENTS
from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.dirt_cases import ACCEPTED, DROP, REJECTED, REPEATED_KEYS, Changes, Raw
from cloud_analytics.generate.events import carbon_text, clipped_noise
from cloud_analytics.generate.ids import TRIPLES, endings, keys, topic_random
from cloud_analytics.generate.masters import Resource
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import IGNORED, SILVER, Truth

Event = dict[str, object]
BOM = b"\xef\xbb\xbf"


def encode(event: Event, *repeated: tuple[str, object]) -> str:
    """One JSON object in the spelling of the reference data; `repeated` are keys that occur again at its end."""
    pairs = (*event.items(), *repeated)
    return "{" + ", ".join(f'"{k}": {v if isinstance(v, Raw) else json.dumps(v)}' for k, v in pairs) + "}"


def survivor_outcomes(copies: Sequence[tuple[str, bytes]]) -> list[str]:
    """The outcome of each valid copy (file name, line) of one event_id: the smallest copy survives."""
    keys = [(name, line.strip()) for name, line in copies]
    survivor = min(range(len(keys)), key=keys.__getitem__)
    return [
        SILVER if i == survivor else "duplicate_event" if key[1] == keys[survivor][1] else "conflicting_duplicate"
        for i, key in enumerate(keys)
    ]


class EventDirt:
    """All dirt of the event folder, if `settings.dirty`. Its size does not depend on the number of events.

    `lines`: index of an ordinary file → lines to mix into it. `files`: name → content of an additional file. The truth
    records the outcome of each line.
    """

    def __init__(self, settings: GeneratorSettings, resources: Sequence[Resource], truth: Truth) -> None:
        self.lines: defaultdict[int, list[bytes]] = defaultdict(list)
        self.files: dict[str, bytes] = {}
        self._settings, self._resources, self._truth = settings, resources, truth
        self._rng = topic_random(settings.seed, "dirt")
        last = endings(topic_random(settings.seed, "event-ids"), skip=settings.events)
        self._ids = keys("evt", topic_random(settings.seed, "dirt-event-ids"), TRIPLES, last)
        if settings.dirty:
            for _ in range(settings.dirt_per_kind):
                self._changed_fields()
                self._broken_lines()
                self._copies()
            self._files()

    def _event(self, changes: Changes | None = None) -> Event:
        """A valid v2 event of an existing resource, at about the list price, with the changes."""
        rng, changes = self._rng, changes or {}
        resource = rng.choice(self._resources)
        metric = rng.choice(tuple(c.METRIC_UNITS))
        value = float(rng.randint(90, 150)) if metric == "requests" else round(rng.uniform(1, 8), 4)
        # A service in another spelling has its own price, so that only the spelling is odd.
        service = str(changes.get("service", "")).strip().lower()
        price = c.UNIT_PRICES.get(service, c.UNIT_PRICES[resource.service])
        day = rng.choice(self._settings.dates).isoformat()
        fields: Event = {
            "event_id": next(self._ids),
            "timestamp": f"{day}T{rng.randrange(24):02}:{rng.randrange(60):02}:00Z",
            "org_id": resource.org_id,
            "resource_id": resource.resource_id,
            "service": resource.service,
            "region": resource.region,
            "metric": metric,
            "value": value,
            "unit": c.METRIC_UNITS[metric],
            "cost_usd_increment": round(value * price * clipped_noise(rng), 4),
            "schema_version": 2,
            "carbon_kg": Raw(carbon_text(value)),
        }
        fields.update(changes)
        stamp = fields["timestamp"]
        if isinstance(stamp, str) and not isinstance(stamp, Raw):
            fields["timestamp"] = stamp.replace("{date}", day)
        return {key: value for key, value in fields.items() if value is not DROP}

    def _good(self) -> str:
        return encode(self._event())

    def _put(self, kind: str, outcome: str, line: str | bytes) -> None:
        """Add a line to an ordinary file, chosen by chance."""
        self.lines[self._rng.randrange(self._settings.file_count)].append(_bytes(line))
        self._truth.dirt(EVENTS, kind, outcome)

    def _changed_fields(self) -> None:
        for case in (*ACCEPTED, *REJECTED):
            self._put(case.kind, case.outcome, encode(self._event(case.changes)))
        for key, first, last, outcome in REPEATED_KEYS:
            event = self._event()
            once, again = (event[key] if value is ... else value for value in (first, last))
            self._put("repeated_key", outcome, encode({**event, key: once}, (key, again)))

    def _broken_lines(self) -> None:
        good = self._good
        malformed: dict[str, Callable[[], str | bytes]] = {
            "truncated_line": lambda: (line := good())[: len(line) * 2 // 3],
            "two_objects": lambda: good() + good(),
            "two_objects_apart": lambda: good() + " " + good(),
            "array": lambda: f"[{good()}]",
            "scalar": lambda: self._rng.choice(["42", '"text"', "null", "true"]),
            "no_json": lambda: "value=12;unit=count",
            "single_quotes": lambda: good().replace('"', "'"),
            "bare_keys": lambda: good().replace('"event_id"', "event_id"),
            "trailing_comma": lambda: good()[:-1] + ",}",
            "trailing_text": lambda: good() + " end",
            "comment": lambda: good()[:-1] + " /* odd */}",
            "leading_zero": lambda: encode(self._event({"value": Raw("0120")})),
            "invalid_utf8": lambda: _bytes(good()).replace(b'"region": "', b'"region": "\xff\xfe'),
            "invalid_utf8_cut": lambda: _bytes(good()).replace(b'"region": "', b'"region": "\xc3'),
            "invalid_utf8_surrogate": lambda: _bytes(good()).replace(b'"region": "', b'"region": "\xed\xa0\x80'),
        }
        for kind, make in malformed.items():
            self._put(kind, "malformed_json", make())
        self._put("empty_object", "invalid_timestamp", "{}")
        self._put("surrounding_blanks", SILVER, f"  {good()} ")
        self._put("lone_carriage_return", SILVER, good().replace(", ", ",\r", 1))
        self._put("escaped_key", SILVER, good().replace('"metric"', '"me\\u0074ric"'))
        self._put("no_blanks", SILVER, json.dumps(json.loads(good()), separators=(",", ":")))
        for line in ("", "   "):
            self._put("blank_line", IGNORED, line)

    def _copies(self) -> None:
        """Add copies of one event_id. Their outcome depends on the file names, so the files are chosen here."""
        dates = [day.isoformat() for day in self._settings.dates]

        def in_the_morning(event: Event) -> str:
            return encode({**event, "timestamp": f"{str(event['timestamp'])[:10]}T10:15:00Z"})

        spellings: dict[str, tuple[Callable[[Event], str], ...]] = {
            "copy_identical": (in_the_morning, in_the_morning),
            "copy_with_blanks_around": (encode, lambda e: f" {encode(e)}  "),
            "copy_conflicting": (encode, lambda e: encode({**e, "cost_usd_increment": 0.0123})),
            "copy_on_another_date": (
                encode,
                lambda e: encode({**e, "timestamp": f"{self._rng.choice(dates)}T11:11:11Z"}),
            ),
            "copy_with_blank_id": (encode, lambda e: encode({**e, "event_id": f" {e['event_id']} "})),
            "copies_of_both_sorts": (encode, lambda e: encode({**e, "region": "us-west-2"}), encode),
        }
        for kind, spell in spellings.items():
            event = self._event()
            lines = [_bytes(spelled(event)) for spelled in spell]
            chosen = [self._rng.randrange(self._settings.file_count) for _ in lines]
            copies = [(self._settings.event_file(index), line) for index, line in zip(chosen, lines)]
            for index, line, outcome in zip(chosen, lines, survivor_outcomes(copies)):
                self.lines[index].append(line)
                self._truth.dirt(EVENTS, kind, outcome)
        event = self._event()
        self._put("copy_that_is_invalid", SILVER, encode(event))
        self._put("copy_that_is_invalid", "invalid_cost", encode({**event, "cost_usd_increment": None}))

    def _files(self) -> None:
        good = [_bytes(self._good()) for _ in range(30)]
        bad = b'{"event_id": "evt_half'
        long = _zip(_lines([_bytes(self._good()) for _ in range(200)]))  # some lines can be read before it ends
        twice = _bytes(self._good())
        self.lines[0].append(twice)  # its copy in the CRLF file ends in \r\n, which is not part of the text
        self._truth.dirt(EVENTS, "file_crlf_copy", SILVER)
        self._truth.dirt(EVENTS, "file_crlf_copy", "duplicate_event")
        crlf = _lines([*good[0:1], b"", *good[1:2], b"  ", bad, twice], b"\r\n")
        zipped_crlf = _zip(BOM + _lines(good[12:14], b"\r\n"))
        members = b"".join(_zip(_lines([line])) for line in good[14:16])

        def put(kind: str, name: str, content: bytes, **outcomes: int) -> None:
            self.files[name] = content
            for outcome, count in outcomes.items():
                self._truth.dirt(EVENTS, kind, outcome, count)

        put("file_bom", "events_dirt_bom.jsonl", BOM + _lines([*good[2:4], bad]), silver=2, malformed_json=1)
        put("file_crlf", "events_dirt_crlf.jsonl", crlf, silver=2, malformed_json=1)
        put("file_blank_lines", "events_dirt_blank_lines.jsonl", b"\n\n" + _lines(good[4:6], b"\n\n"), silver=2)
        put("file_no_last_newline", "events_dirt_no_last_newline.jsonl", b"\n".join(good[6:8]), silver=2)
        put("file_json", "events_dirt_json.json", _lines([*good[8:10], bad]), silver=2, malformed_json=1)
        put("file_gzip", "events_dirt_gzip.jsonl.gz", _zip(_lines([*good[10:12], bad])), silver=2, malformed_json=1)
        put("file_gzip_bom_crlf", "events_dirt_gzip_bom_crlf.json.gz", zipped_crlf, silver=2)
        put("file_gzip_members", "events_dirt_gzip_members.jsonl.gz", members, silver=2)
        # A name that must not be read as a URL.
        put("file_odd_name", "events dirt 100%.jsonl", _lines(good[16:18]), silver=2)
        truncated = long[: len(long) * 3 // 5]
        put("file_truncated_gzip", "events_dirt_truncated.jsonl.gz", truncated, unreadable_file=1)
        put("file_empty", "events_dirt_empty.jsonl", b"", ignored=1)
        put("file_empty", "events_dirt_empty.jsonl.gz", _zip(b""), ignored=1)
        put("file_only_blanks", "events_dirt_only_blanks.jsonl", b"\n \r\n\n", ignored=1)
        put("file_ignored_name", "_events_upload.jsonl", _lines(good[18:19]), ignored=1)
        put("file_ignored_name", ".events_hidden.jsonl", _lines(good[19:20]), ignored=1)
        put("file_ignored_name", "_events_upload.jsonl.gz", _zip(_lines(good[20:21])), ignored=1)
        put("file_ignored_name", "events_part.jsonl.tmp", _lines(good[21:22]), ignored=1)


def _zip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _bytes(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else line.encode()


def _lines(lines: Sequence[bytes], end: bytes = b"\n") -> bytes:
    return b"".join(line + end for line in lines)
