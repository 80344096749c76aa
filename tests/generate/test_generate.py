"""The generator: same seed, same bytes; the shape of the reference; truth that an independent reading confirms."""

from __future__ import annotations

import csv
import errno
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from statistics import correlation, median
from typing import Any

import pytest

from cloud_analytics.errors import UsageError
from cloud_analytics.generate import TRUTH_FILE, GeneratorSettings, Truth, generate, writer
from cloud_analytics.generate.catalog import COLUMNS
from cloud_analytics.generate.dirt_cases import ACCEPTED, MASTER_CASES, REJECTED
from cloud_analytics.generate.dirt_events import EventDirt, survivor_outcomes
from cloud_analytics.generate.events import EventStream
from cloud_analytics.generate.ids import topic_random
from cloud_analytics.generate.masters import Masters
from cloud_analytics.generate.plan import Calendar, draw_days
from cloud_analytics.lake.files import open_files
from cloud_analytics.landing.folder import look
from cloud_analytics.runtime.filelock import FileLock
from tests.oracle import compute

SMALL = GeneratorSettings(events=2_000, days=20, orgs=12)
DIRTY = replace(SMALL, dirty=True, dirt_per_kind=2)
INGEST = datetime(2026, 6, 1, tzinfo=timezone.utc)

Event = dict[str, Any]


def truth_of(landing: Path) -> dict[str, Any]:
    return json.loads((landing / TRUTH_FILE).read_text(encoding="utf-8"))


def ordinary_lines(landing: Path) -> Iterator[tuple[str, str]]:
    for path in sorted((landing / "usage_events_stream").glob("events_part_*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield path.name, line


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def fingerprint(landing: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in landing.rglob("*") if p.is_file() and p.name != TRUTH_FILE):
        digest.update(str(path.relative_to(landing)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def unit_price_ratios(events: list[Event]) -> dict[str, float]:
    """Unit price / median of its (service, metric), by event_id."""
    prices: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for event in events:
        if event["value"] is not None and float(event["value"]) > 0:
            price = event["cost_usd_increment"] / float(event["value"])
            prices[event["service"], event["metric"]][event["event_id"]] = price
    ratios: dict[str, float] = {}
    for group in prices.values():
        middle = median(group.values())
        ratios |= {event_id: price / middle for event_id, price in group.items()}
    return ratios


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth, list[Event]]:
    """The folder at the default settings, its summary, and its events as read back."""
    out = tmp_path_factory.mktemp("default")
    summary = generate(out)
    return out, summary, [json.loads(line) | {"file": name} for name, line in ordinary_lines(out)]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dirty")
    generate(out, DIRTY)
    return out


# Determinism


def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    settings = replace(DIRTY, anomalies=True)
    for name in ("one", "two"):
        generate(tmp_path / name, settings)
    generate(tmp_path / "other", replace(settings, seed=8))
    one, two = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()}
        for f in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert fingerprint(tmp_path / "one") != fingerprint(tmp_path / "other")


def test_new_options_leave_the_default_bytes_alone(reference: tuple[Path, Truth, list[Event]]) -> None:
    """What the default seed gave before there were these options."""
    assert fingerprint(reference[0]) == "e4385cc4d4c269a9885316bd3e3c07ae363cf3b9fac295d7ecebf5f9f8edfa25"


def test_dirt_is_added_and_changes_no_ordinary_event(tmp_path: Path, dirty: Path) -> None:
    generate(tmp_path, SMALL)
    for path in (tmp_path / "usage_events_stream").iterdir():
        mixed = Counter((dirty / "usage_events_stream" / path.name).read_bytes().split(b"\n"))
        clean = Counter(path.read_bytes().split(b"\n"))
        assert not clean - mixed


# Shape at the defaults, against what was measured on the reference data


def test_default_masters_have_the_size_of_the_reference(
    reference: tuple[Path, Truth, list[Event]],
) -> None:
    out, summary, _ = reference
    assert summary.landing == {
        "customers_orgs": 80,
        "users": 800,
        "resources": 400,
        "billing_monthly": 240,
        "support_tickets": 1000,
        "nps_surveys": 92,
        "marketing_touches": 1500,
        "usage_events": 43_200,
    }
    for source, columns in COLUMNS.items():
        found = rows(out / f"{source}.csv")
        assert len(found) == summary.landing[source]
        assert tuple(found[0]) == columns
    surveys = rows(out / "nps_surveys.csv")
    assert len({(row["org_id"], row["survey_date"]) for row in surveys}) == len(surveys)


def test_default_masters_have_the_quirks_of_the_reference(
    reference: tuple[Path, Truth, list[Event]],
) -> None:
    out, summary, _ = reference
    planted = truth_of(out)["planted"]
    orgs, users = rows(out / "customers_orgs.csv"), rows(out / "users.csv")
    bills, tickets = rows(out / "billing_monthly.csv"), rows(out / "support_tickets.csv")
    contradictions = sum((o["is_enterprise"] == "True") != (o["plan_tier"] == "enterprise") for o in orgs)
    early = sum(bool(u["last_login"]) and u["last_login"] < u["created_at"] for u in users)
    negative = sum(float(b["subtotal"]) < 0 for b in bills)
    strange_csat = sum(bool(t["csat"]) and not 1 <= float(t["csat"]) <= 5 for t in tickets)
    assert contradictions == planted["enterprise_contradicts_plan"] > 5
    assert early == planted["last_login_before_created"]
    assert 150 < early < 310
    assert negative == planted["negative_subtotal"] > 3
    assert strange_csat == planted["csat_out_of_range"] > 15
    assert sum(not t["resolved_at"] for t in tickets) == planted["ticket_unresolved"]
    assert {b["currency"] for b in bills} == {"USD", "EUR", "ARS"}
    assert {b["month"] for b in bills} == {"2025-06-01", "2025-07-01", "2025-08-01"}
    assert sum(b["currency"] == "USD" and float(b["exchange_rate_to_usd"]) != 1 for b in bills) > 100
    assert any(not b["credits"] for b in bills)
    assert all(not t["resolved_at"] or t["resolved_at"] >= t["created_at"] for t in tickets)
    assert not any(errors for source, errors in summary.quarantine.items() if source != "usage_events")


def test_default_events_have_the_shape_of_the_reference(
    reference: tuple[Path, Truth, list[Event]],
) -> None:
    _, _, events = reference
    assert set(Counter(e["file"] for e in events).values()) == {360}
    assert set(Counter(e["timestamp"][:10] for e in events).values()) == {720}
    assert len({e["event_id"] for e in events}) == 43_200
    assert len({e["resource_id"] for e in events}) == 400
    assert len({e["org_id"] for e in events}) == 80
    assert {e["timestamp"][:10] for e in events if e["schema_version"] == 1} == {
        f"2025-07-{d:02}" for d in range(3, 18)
    }
    total = len(events)
    assert sum(isinstance(e["value"], str) for e in events) / total == pytest.approx(0.03, abs=0.004)
    assert sum(e["value"] is None for e in events) / total == pytest.approx(0.02, abs=0.004)
    assert sum(e["unit"] is None for e in events) / total == pytest.approx(0.05, abs=0.006)
    assert sum(e["cost_usd_increment"] < -0.01 for e in events) / total == pytest.approx(0.005, abs=0.0015)
    assert sum(e["cost_usd_increment"] for e in events) / total == pytest.approx(3.41, abs=0.2)
    requests = [float(e["value"]) for e in events if e["metric"] == "requests" and e["value"] is not None]
    assert median(requests) == pytest.approx(120, abs=2)


def test_lines_are_spelled_like_the_reference(reference: tuple[Path, Truth, list[Event]]) -> None:
    out, _, _ = reference
    v1 = ["event_id", "timestamp", "org_id", "resource_id", "service", "region", "metric", "value", "unit"]
    v1 += ["cost_usd_increment", "schema_version"]
    for _, line in ordinary_lines(out):
        event = json.loads(line)
        assert json.dumps(event) == line
        extra = ["carbon_kg"] + ["genai_tokens"] * (event["service"] == "genai")
        assert list(event) == v1 + (extra if event["schema_version"] == 2 else [])


def test_events_belong_to_their_resources(reference: tuple[Path, Truth, list[Event]]) -> None:
    out, _, events = reference
    known = {r["resource_id"]: (r["org_id"], r["service"], r["region"]) for r in rows(out / "resources.csv")}
    assert all(known[e["resource_id"]] == (e["org_id"], e["service"], e["region"]) for e in events)


def test_files_are_in_no_order_of_time(reference: tuple[Path, Truth, list[Event]]) -> None:
    _, _, events = reference
    by_file: defaultdict[str, list[str]] = defaultdict(list)
    for event in events:
        by_file[event["file"]].append(event["timestamp"])
    # Every file spans nearly all the days, so whichever comes first makes most of the others late.
    assert all(max(t)[:10] >= "2025-08-29" and min(t)[:10] <= "2025-07-05" for t in by_file.values())
    assert all(t != sorted(t) for t in by_file.values())


def test_price_spikes_stand_clear_of_everything_else(
    reference: tuple[Path, Truth, list[Event]],
) -> None:
    out, summary, events = reference
    spikes = {a["event_ids"][0]: a for a in truth_of(out)["anomalies"]}
    ratios = unit_price_ratios(events)
    assert 110 < len(spikes) == summary.anomalies["price_spike"] < 190
    assert all(ratios[event_id] >= 11 for event_id in spikes)
    assert all(ratios[event_id] == pytest.approx(a["factor"], rel=0.05) for event_id, a in spikes.items())
    assert max(ratio for event_id, ratio in ratios.items() if event_id not in spikes) <= 2.2


# Truth


def test_clean_truth_is_what_a_plain_reading_finds(
    reference: tuple[Path, Truth, list[Event]],
) -> None:
    out, summary, events = reference
    truth = truth_of(out)
    costs = [e["cost_usd_increment"] for e in events]
    rejected = sum(cost < -0.01 for cost in costs)
    assert truth["expected"]["usage_events"] == {
        "landing": 43_200,
        "silver": 43_200 - rejected,
        "quarantine": {"negative_cost": rejected},
    }
    assert truth["planted"]["negative_cost"] == rejected
    assert truth["planted"]["rounding_noise_cost"] == sum(-0.01 <= cost < 0 for cost in costs) > 0
    assert truth["planted"]["null_value"] == sum(e["value"] is None for e in events)
    assert truth["planted"]["quoted_value"] == sum(isinstance(e["value"], str) for e in events)
    assert truth["planted"]["null_unit"] == sum(e["unit"] is None for e in events)
    assert truth["settings"]["files"] == 120
    assert {s: e["landing"] for s, e in truth["expected"].items()} == summary.landing
    assert {s: e["silver"] for s, e in truth["expected"].items()} == summary.silver


@pytest.mark.parametrize(
    "size", [{}, {"events": 400, "days": 1, "orgs": 1, "seed": 3}, {"anomalies": True, "files": 7}]
)
def test_dirty_truth_is_what_the_oracle_finds(tmp_path: Path, size: dict[str, Any]) -> None:
    generate(tmp_path, replace(DIRTY, **size))
    found = compute(tmp_path, INGEST).audit["sources"]
    for source, expected in truth_of(tmp_path)["expected"].items():
        assert found[source] == expected | {"balanced": True}, source


def test_every_kind_of_dirt_is_planted(dirty: Path) -> None:
    truth = truth_of(dirty)
    kinds = set(truth["dirt"])
    assert {f"usage_events.{case.kind}" for case in (*ACCEPTED, *REJECTED)} <= kinds
    assert {f"{source}.{case.kind}" for source, cases in MASTER_CASES.items() for case in cases} <= kinds
    assert set(truth["expected"]["usage_events"]["quarantine"]) == {
        *("malformed_json", "invalid_timestamp", "missing_key", "unsupported_schema_version", "unknown_service"),
        *("unknown_metric", "invalid_cost", "negative_cost", "invalid_value", "negative_quantity", "unit_mismatch"),
        *("future_timestamp", "duplicate_event", "conflicting_duplicate", "unreadable_file"),
        "implausible_value",
    }
    masters = {error for source in COLUMNS for error in truth["expected"][source]["quarantine"]}
    wanted = {"missing_key", "invalid_date", "invalid_number", "invalid_rate", "resolved_before_created"}
    assert masters == wanted | {"duplicate_key"}
    outcomes = truth["dirt"]["usage_events.far_future"]["outcomes"]
    assert outcomes == {"future_timestamp": 2 * DIRTY.dirt_per_kind}


def test_dirty_files_are_what_they_claim_to_be(dirty: Path) -> None:
    events = dirty / "usage_events_stream"
    assert (events / "events_dirt_bom.jsonl").read_bytes().startswith(b"\xef\xbb\xbf{")
    assert (events / "events_dirt_crlf.jsonl").read_bytes().count(b"\r\n") == 6
    assert (events / "events_dirt_empty.jsonl").read_bytes() == b""
    assert gzip.decompress((events / "events_dirt_empty.jsonl.gz").read_bytes()) == b""
    assert gzip.decompress((events / "events_dirt_gzip_members.jsonl.gz").read_bytes()).count(b"\n") == 2
    with pytest.raises(EOFError):
        gzip.decompress((events / "events_dirt_truncated.jsonl.gz").read_bytes())
    assert {p.name for p in events.iterdir() if p.name.startswith(("_", "."))} == {
        *("_events_upload.jsonl", ".events_hidden.jsonl", "_events_upload.jsonl.gz"),
    }
    for line in b"\n".join(p.read_bytes() for p in events.glob("events_part_*")).split(b"\n"):
        if b"\xff" in line:
            with pytest.raises(UnicodeDecodeError):
                line.decode()
    assert (dirty / "customers_orgs.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in (dirty / "resources.csv").read_bytes()
    assert rows(dirty / "billing_monthly.csv")[0].keys() == dict.fromkeys(reversed(COLUMNS["billing_monthly"])).keys()
    assert any("\n" in row["account_notes"] for row in rows(dirty / "customers_orgs.csv"))
    assert {p.name for p in (dirty / "users").iterdir()} == {"part_0001.csv", "part_0002.csv", "_half.csv"}
    assert not (dirty / "users.csv").exists()


def test_the_smallest_copy_survives() -> None:
    copies = [("b.jsonl", b"x"), ("a.jsonl", b" y "), ("a.jsonl", b"y"), ("c.jsonl", b"x")]
    assert survivor_outcomes(copies) == ["conflicting_duplicate", "silver", "duplicate_event", "conflicting_duplicate"]


# Labelled anomalies


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], dict[str, Event]]:
    out = tmp_path_factory.mktemp("labelled")
    generate(out, GeneratorSettings(events=12_000, days=40, orgs=20, anomalies=True, anomalies_per_kind=2))
    return truth_of(out)["anomalies"], {(e := json.loads(line))["event_id"]: e for _, line in ordinary_lines(out)}


def test_every_kind_of_anomaly_is_labelled_with_its_events(
    labelled: tuple[list[dict[str, Any]], dict[str, Event]],
) -> None:
    anomalies, events = labelled
    kinds = Counter(a["kind"] for a in anomalies)
    assert kinds.pop("price_spike") > 20
    rich = ("usage_spike", "level_shift", "slow_drift", "runaway_resource", "missing_day", "negative_burst")
    assert kinds == dict.fromkeys(rich, 2)
    taken: Counter[tuple[str, str]] = Counter()
    for label in (a for a in anomalies if a["kind"] != "price_spike"):
        taken[label["org_id"], label["service"]] += 1
        first, last = label["dates"]
        inside = {
            event_id
            for event_id, e in events.items()
            if (e["org_id"], e["service"]) == (label["org_id"], label["service"])
            and first <= e["timestamp"][:10] <= last
            and label["resource_id"] in (None, e["resource_id"])
        }
        assert set(label["event_ids"]) == inside
        assert bool(inside) == (label["kind"] != "missing_day")
    assert set(taken.values()) == {1}


def test_weekly_peaks_are_labelled_as_patterns(tmp_path: Path) -> None:
    summary = generate(tmp_path, GeneratorSettings(events=12_000, days=40, orgs=20, anomalies=True))
    events = {(e := json.loads(line))["event_id"]: e for _, line in ordinary_lines(tmp_path)}
    truth = truth_of(tmp_path)
    anomalous = {(a["org_id"], a["service"]) for a in truth["anomalies"] if a["kind"] != "price_spike"}
    assert len(truth["patterns"]) == truth["planted"]["weekly_peak"] == 3
    assert "weekly_peak" not in summary.anomalies
    for pattern in truth["patterns"]:
        peaks = [events[event_id] for event_id in pattern["event_ids"]]
        days = sorted({e["timestamp"][:10] for e in peaks})
        (weekday,) = {date.fromisoformat(day).weekday() for day in days}
        group = [e for e in events.values() if (e["org_id"], e["service"]) == (pattern["org_id"], pattern["service"])]
        of_weekday = {
            e["timestamp"][:10] for e in group if date.fromisoformat(e["timestamp"][:10]).weekday() == weekday
        }
        assert set(days) == of_weekday  # on every such day that has usage
        assert len(days) > 1
        assert (pattern["org_id"], pattern["service"]) not in anomalous
        requests = [float(e["value"]) for e in peaks if e["metric"] == "requests" and e["value"] is not None]
        assert all(value == pytest.approx(120 * pattern["factor"], rel=0.4) for value in requests)


def test_labelled_anomalies_change_what_they_say(
    labelled: tuple[list[dict[str, Any]], dict[str, Event]],
) -> None:
    anomalies, events = labelled
    ratios = unit_price_ratios(list(events.values()))
    factors = [a["factor"] for a in anomalies if a["kind"] == "price_spike"]
    assert 4.9 < min(factors) < 9
    assert 25 < max(factors) < 30.1
    for label in anomalies:
        members = [events[event_id] for event_id in label["event_ids"]]
        requests = [float(e["value"]) for e in members if e["metric"] == "requests" and e["value"] is not None]
        if label["kind"] == "price_spike":
            assert ratios[members[0]["event_id"]] == pytest.approx(label["factor"], rel=0.1)
        elif label["kind"] == "negative_burst":
            assert all(e["cost_usd_increment"] <= 0 for e in members)
        elif label["kind"] in ("usage_spike", "level_shift", "runaway_resource"):
            assert all(value == pytest.approx(120 * label["factor"], rel=0.4) for value in requests)
            assert all(0 <= ratios.get(e["event_id"], 1) < 2.2 for e in members)
        elif label["kind"] == "slow_drift":
            by_date = sorted(
                (e["timestamp"], float(e["value"])) for e in members if e["metric"] == "requests" and e["value"]
            )
            assert by_date[-1][1] > 1.5 * by_date[0][1]


# Rhythm, growth, invoices that follow usage, figures that say something

MATCHED = GeneratorSettings(events=12_000, days=50, orgs=10, billing="matched", leaks_per_kind=2)


@pytest.fixture(scope="module")
def informative(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    out = tmp_path_factory.mktemp("informative")
    generate(out, replace(MATCHED, informative=True, billing="independent"))
    return out, [json.loads(line) for _, line in ordinary_lines(out)]


def usage_by_month(landing: Path) -> defaultdict[tuple[str, str], float]:
    usage: defaultdict[tuple[str, str], float] = defaultdict(float)
    for _, line in ordinary_lines(landing):
        event = json.loads(line)
        if event["cost_usd_increment"] >= -0.01:
            usage[event["org_id"], event["timestamp"][:7]] += event["cost_usd_increment"]
    return usage


def test_days_follow_the_week_and_grow(tmp_path: Path) -> None:
    settings = GeneratorSettings(events=28_000, days=56, orgs=10, weekly=True, growth=0.5)
    generate(tmp_path, settings)
    per_day = Counter(json.loads(line)["timestamp"][:10] for _, line in ordinary_lines(tmp_path))
    assert per_day.total() == 28_000
    weeks = [[per_day[day.isoformat()] for day in settings.dates[first : first + 7]] for first in range(0, 56, 7)]
    for week, later in zip(
        weeks, weeks[1:]
    ):  # the first day is a Thursday: Saturday and Sunday are the third and fourth
        assert max(week[2:4]) < 0.6 * min(week[:2] + week[4:])
        assert sum(later) / sum(week) == pytest.approx(1.5 ** (7 / 30), abs=0.01)


def test_matched_invoices_follow_the_usage_but_for_the_leaks(tmp_path: Path) -> None:
    generate(tmp_path, MATCHED)
    usage = usage_by_month(tmp_path)
    invoices: defaultdict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows(tmp_path / "billing_monthly.csv"):
        invoices[row["org_id"], row["month"][:7]].append(row)
    leaks = {(leak["org_id"], leak["month"]): leak for leak in truth_of(tmp_path)["leaks"]}
    kinds = ("skipped_invoice", "doubled_invoice", "wrong_currency", "wrong_amount")
    planned = Counter(leak["kind"] for leak in leaks.values())
    assert set(planned) == set(kinds)
    assert planned.total() == len(usage) // 4 < 8
    assert len({row["invoice_id"] for found in invoices.values() for row in found}) == sum(map(len, invoices.values()))
    assert {row["currency"] for found in invoices.values() for row in found} == {"USD", "EUR", "ARS"}
    for key, cost in usage.items():
        usd = sum(
            float(row["subtotal"]) * (1 if row["currency"] == "USD" else float(row["exchange_rate_to_usd"]))
            for row in invoices[key]
        )
        if key not in leaks:
            assert (len(invoices[key]), usd) == (1, pytest.approx(cost, abs=0.01))
            continue
        leak = leaks[key]
        assert leak["usage_usd"] == pytest.approx(cost, abs=0.0001)
        status = "not_invoiced" if not usd else "overbilled" if usd > cost else "underbilled"
        assert abs(usd - cost) > 4
        assert (leak["status"], leak["currency_suspect"]) == (status, leak["kind"] == "wrong_currency")
        if leak["kind"] == "doubled_invoice":
            assert [float(row["subtotal"]) for row in invoices[key]] == [pytest.approx(cost, abs=0.01)] * 2
        elif leak["kind"] == "wrong_currency":
            assert float(invoices[key][0]["subtotal"]) == pytest.approx(cost, abs=0.01)
            assert invoices[key][0]["currency"] != "USD"


def test_informative_figures_carry_the_signal(
    informative: tuple[Path, list[Event]], reference: tuple[Path, Truth, list[Event]]
) -> None:
    def tokens(events: list[Event]) -> float:
        pairs = [(e["cost_usd_increment"], e["genai_tokens"]) for e in events if e.get("genai_tokens") is not None]
        return correlation(*zip(*((cost, count) for cost, count in pairs if 0 < cost < 30)))

    def intensities(events: list[Event]) -> set[float]:
        known = [e for e in events if e.get("carbon_kg") and float(e["value"]) > 100]
        return {round(e["carbon_kg"] / float(e["value"]) / 0.0002, 2) for e in known}

    out, events = informative
    assert tokens(events) > 0.9 > 0.1 > abs(tokens(reference[2]))
    assert intensities(reference[2]) == {1.0}
    assert len(intensities(events)) > 10
    assert truth_of(out)["leaks"]
    invoices = rows(out / "billing_monthly.csv")
    sizes = {c: median(float(r["subtotal"]) for r in invoices if r["currency"] == c) for c in ("USD", "ARS")}
    assert sizes["ARS"] > 100 * sizes["USD"]


# Memory, sizes, refusals


def test_memory_does_not_grow_with_the_number_of_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BLOCK", 250)  # the real one would need a million events to tell

    def peak(events: int) -> int:
        settings = GeneratorSettings(events=events, orgs=5, files=1)
        truth = Truth(settings)
        masters = Masters(settings, truth.planted)
        calendar = Calendar(settings, topic_random(7, "calendar"))
        stream = EventStream(settings, masters.resources, calendar, {}, truth)
        tracemalloc.start()
        writer._write_events(tmp_path, settings, stream, EventDirt(settings, masters.resources, truth))
        _, high = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return high

    few, many = peak(1_000), peak(8_000)
    assert many < 1.2 * few + 50_000 < 8_000 * 300 / 2  # a line has 300 bytes


def test_days_are_dealt_like_a_shuffled_deck() -> None:
    deck = [5, 0, 3, 1]
    rng = topic_random(1, "deck")
    first = draw_days(rng, deck, 4)
    rest = draw_days(rng, deck, 5)
    assert Counter(first + rest) == {0: 5, 2: 3, 3: 1}
    assert deck == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("events", "days", "orgs"), [(1, 1, 1), (7, 60, 3), (1_000, 7, 200), (997, 13, 1), (5_000, 3, 2)]
)
def test_any_size_gives_exactly_the_events_asked_for(tmp_path: Path, events: int, days: int, orgs: int) -> None:
    settings = GeneratorSettings(events=events, days=days, orgs=orgs, anomalies=True)
    generate(tmp_path, settings)
    found = [json.loads(line) for _, line in ordinary_lines(tmp_path)]
    assert len({e["event_id"] for e in found}) == len(found) == events
    assert {e["timestamp"][:10] for e in found} <= {day.isoformat() for day in settings.dates}
    assert len(list((tmp_path / "usage_events_stream").iterdir())) == settings.file_count


def test_sizes_scale_with_orgs_and_events() -> None:
    large = GeneratorSettings(events=10_000_000, orgs=200)
    assert (large.resources, large.users, large.file_count) == (1_000, 2_000, 200)
    assert GeneratorSettings(events=1_000).file_count == 2
    assert GeneratorSettings(files=3).file_count == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"events": 0}, "events must be at least 1, not 0"),
        ({"days": 0}, "days must be at least 1"),
        ({"orgs": -1}, "orgs must be at least 1"),
        ({"files": 0}, "files must be at least 1"),
        ({"events": 5, "files": 6}, r"files \(6\) cannot be more than events \(5\)"),
        ({"events": 3_000_000_000}, "events must be at most"),
        ({"start_date": date(1999, 1, 1)}, "start_date must be 2001-01-01 or later"),
        ({"days": 10_000_000}, "beyond the calendar"),
        ({"growth": -1.0}, "growth must lie between -0.9 and 10"),
        ({"dirty": True, "billing": "matched"}, "leave out dirty"),
        ({"dirty": True, "informative": True}, "leave out dirty"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        GeneratorSettings(**wrong)
    assert "\n" not in str(error.value)


def test_a_folder_with_landing_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "usage_events_stream").mkdir()
    (tmp_path / "usage_events_stream" / "mine.jsonl").write_text("{}\n")
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(FileExistsError, match="mine.jsonl"):
        generate(tmp_path, SMALL)
    assert {p.name for p in tmp_path.iterdir()} == {"usage_events_stream", "README.md"}


def test_overwrite_leaves_only_the_new_landing(tmp_path: Path) -> None:
    generate(tmp_path / "fresh", SMALL)
    generate(tmp_path / "again", DIRTY)
    (tmp_path / "again" / "README.md").write_text("mine")
    generate(tmp_path / "again", SMALL, overwrite=True)
    assert (tmp_path / "again" / "README.md").read_text() == "mine"
    (tmp_path / "again" / "README.md").unlink()
    assert fingerprint(tmp_path / "fresh") == fingerprint(tmp_path / "again")
    assert not (tmp_path / "again" / "users").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
@pytest.mark.parametrize("which", ["folder", "folder above", "link to the events"])
def test_a_folder_in_the_hands_of_another_user_is_refused(which: str, tmp_path: Path) -> None:
    """That user could exchange a folder in it for a link, and the files overwrote those of the link's folder."""
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    theirs.mkdir()
    mine.mkdir()
    if which == "link to the events":
        (theirs / "usage_events_stream").symlink_to(mine)
        os.lchown(theirs / "usage_events_stream", 54321, 54321)
    else:
        os.chown(theirs, 54321, 54321)
    with pytest.raises(UsageError, match="belongs to another user, .*: name a folder of your own"):
        generate(theirs / "new" if which == "folder above" else theirs, SMALL)
    assert list(mine.iterdir()) == []
    assert [path.name for path in theirs.iterdir() if not path.is_symlink()] == []


def test_no_file_is_written_through_a_link_that_lies_in_the_folder(tmp_path: Path) -> None:
    kept, out = tmp_path / "kept", tmp_path / "out"
    kept.write_text("kept")
    out.mkdir()
    for name in ("_users.csv.upload", "users.csv", "_truth.json"):
        (out / name).symlink_to(kept if name == "_users.csv.upload" else tmp_path / "nowhere")
    generate(out, GeneratorSettings(events=20, days=2, orgs=2))
    assert kept.read_text() == "kept"
    assert not (tmp_path / "nowhere").exists()
    assert (out / "users.csv").is_file()
    assert not (out / "users.csv").is_symlink()


# Whole or not at all


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "other files"])
@pytest.mark.parametrize("fail", [full_disk, interrupt])
@pytest.mark.parametrize("place", ["events", "_truth.json", "the move"])
def test_what_fails_or_is_stopped_leaves_the_folder_as_it_was(
    there: str, fail: Callable[..., None], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, usual = tmp_path / "a" / "landing", os.replace
    if there != "nothing":
        (out / "usage_events_stream").mkdir(parents=True)
    if there == "other files":
        (out / "README.md").write_text("mine")
        (out / "usage_events_stream" / "README.md").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with monkeypatch.context() as patched:
        if place == "events":
            patched.setattr(EventStream, "block", fail)
        elif place == "_truth.json":
            patched.setattr(Truth, "write", fail)
        else:
            last = "events_part_0001.jsonl" if there == "other files" else "usage_events_stream"
            patched.setattr(os, "replace", lambda a, b: fail() if Path(b).name == last else usual(a, b))
        with pytest.raises((OSError, KeyboardInterrupt)):
            generate(out, SMALL)
    assert sorted(tmp_path.rglob("*")) == before
    generate(out, SMALL)
    generate(tmp_path / "whole", SMALL)
    for mine in out.rglob("README.md"):
        mine.unlink()
    assert fingerprint(out) == fingerprint(tmp_path / "whole")


def test_events_appear_last_and_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appeared: list[str] = []
    usual = os.replace

    def replace_and_note(source: Path, target: Path) -> None:
        appeared.append(target.name)
        usual(source, target)

    (tmp_path / "usage_events_stream").mkdir()
    monkeypatch.setattr(os, "replace", replace_and_note)
    generate(tmp_path, SMALL)
    assert appeared[-1] == "usage_events_stream"
    assert {"users.csv", "billing_monthly.csv", "_truth.json"} <= set(appeared[:-1])


def test_what_a_killed_process_left_is_no_landing_and_goes_with_the_next_one(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from cloud_analytics.generate import GeneratorSettings, Truth, generate
Truth.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
generate(Path(sys.argv[1]), GeneratorSettings(events=20, days=2, orgs=2))
"""
    out = tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", code, str(out)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (left,) = out.iterdir()
    assert look(open_files(str(out))).is_empty
    with FileLock(left / "lock"), pytest.raises(FileExistsError, match="another `generate` is writing"):
        generate(out, SMALL)
    os.rename(left / "landing" / "users.csv", out / "users.csv")  # had it been killed while it moved them
    with pytest.raises(FileExistsError, match=r"\(users.csv\) of a `generate` that was killed"):
        generate(out, SMALL)
    (out / "users.csv").unlink()
    generate(out, SMALL)
    generate(tmp_path / "whole", SMALL)
    assert fingerprint(out) == fingerprint(tmp_path / "whole")
    assert not left.exists()
