"""Makes the rows and CSV files of the seven masters, with the contradictions and blanks of the reference data."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from pathlib import Path
from random import Random

from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.dirt_cases import LAYOUTS, MASTER_CASES, QUOTED, RIVAL, Case, Layout
from cloud_analytics.generate.ids import master_keys, topic_random
from cloud_analytics.generate.settings import HISTORY_DAYS, GeneratorSettings
from cloud_analytics.generate.truth import IGNORED, Leak, Truth

Row = tuple[str, ...]
"""The cells of a row as texts, in the order of catalog.COLUMNS."""

TICKETS_PER_ORG = 12.5
TOUCHES_PER_ORG = 18.75
IMPOSSIBLE_NPS = 101  # the reference data hold one such score, outside -100..100
ORGS_PER_IMPOSSIBLE_NPS = 80

LEAKS = ("skipped_invoice", "doubled_invoice", "wrong_currency", "wrong_amount")
LEAST_USAGE_USD = 100.0  # usage of a month with a leak, so that a leak is larger than any rounding or tolerance
FOREIGN = tuple(currency for currency in c.CURRENCIES if currency != "USD")

Usage = Mapping[tuple[str, str], float]
"""(org_id, first day of the month) → USD that Silver should hold."""


@dataclass(frozen=True)
class Resource:
    """A resource, with the facts that its events repeat."""

    resource_id: str
    org_id: str
    service: str
    region: str


def weighted(rng: Random, words: Mapping[str, float]) -> str:
    """One of the words, by its weight."""
    return rng.choices(tuple(words), weights=tuple(words.values()))[0]


class Masters:
    """Makes the rows of every master. Only organisations and resources are kept, since other data refer to them.

    `quirks` counts the planted oddities.
    """

    def __init__(self, settings: GeneratorSettings, quirks: Counter[str]) -> None:
        self._settings, self._quirks = settings, quirks
        self._first = settings.start_date - timedelta(days=HISTORY_DAYS)
        rng = topic_random(settings.seed, "org-keys")
        self.org_ids = list(islice(master_keys(settings.seed, "org"), settings.orgs))
        self.resources = [
            Resource(resource_id, org_id, rng.choices(c.SERVICES, weights=c.SERVICE_WEIGHTS)[0], rng.choice(c.REGIONS))
            for resource_id, org_id in zip(master_keys(settings.seed, "res"), self._owners(rng, settings.resources))
        ]

    def rows(self, source: str) -> Iterator[Row]:
        """The clean rows of a master, one by one."""
        rng = topic_random(self._settings.seed, source)
        makers: dict[str, Callable[[Random], Iterator[Row]]] = {
            "customers_orgs": self._org_rows,
            "users": self._user_rows,
            "resources": self._resource_rows,
            "billing_monthly": self._invoice_rows,
            "support_tickets": self._ticket_rows,
            "nps_surveys": self._survey_rows,
            "marketing_touches": self._touch_rows,
        }
        return makers[source](rng)

    def _owners(self, rng: Random, count: int) -> list[str]:
        """A random org for each of `count` things; every org occurs at least once, unless `count` is too small."""
        once = self.org_ids[:count]
        owners = once + [rng.choice(self.org_ids) for _ in range(count - len(once))]
        rng.shuffle(owners)
        return owners

    def _day(self, rng: Random, first: int, before_end: int = 0) -> date:
        """A random date from `first` days after the start of the history to `before_end` days before the last event."""
        begin = self._first + timedelta(days=first)
        return begin + timedelta(days=rng.randrange((self._settings.end_date - begin).days - before_end + 1))

    def _org_rows(self, rng: Random) -> Iterator[Row]:
        for number, org_id in enumerate(self.org_ids):
            plan = weighted(rng, c.PLAN_TIERS)
            enterprise = rng.random() < 0.21  # whatever the plan says, as in the reference
            if enterprise != (plan == "enterprise"):
                self._quirks["enterprise_contradicts_plan"] += 1
            score = "" if rng.random() < 0.14 else f"{round(rng.gauss(c.PLAN_NPS[plan], 25))}.0"
            if number % ORGS_PER_IMPOSSIBLE_NPS == ORGS_PER_IMPOSSIBLE_NPS - 1:
                score = f"{IMPOSSIBLE_NPS}.0"
            if score and not -100 <= float(score) <= 100:
                self._quirks["org_nps_out_of_range"] += 1
            name = f"{rng.choice(c.NAME_STARTS)} {rng.choice(c.NAME_ENDS)} {number}"
            signup = self._first + timedelta(days=rng.randrange(HISTORY_DAYS))
            yield (
                org_id, name, weighted(rng, c.INDUSTRIES), rng.choice(c.REGIONS), plan, str(enterprise),
                signup.isoformat(), weighted(rng, c.SALES_REPS), weighted(rng, c.LIFECYCLE_STAGES),
                weighted(rng, c.MARKETING_SOURCES), score,
            )  # fmt: skip

    def _user_rows(self, rng: Random) -> Iterator[Row]:
        ids = master_keys(self._settings.seed, "user")
        for user_id, org_id in zip(ids, self._owners(rng, self._settings.users)):
            created, login = self._day(rng, 0, 20), self._day(rng, 10)
            never = rng.random() < 0.174
            if login < created and not never:
                self._quirks["last_login_before_created"] += 1
            yield (
                user_id, org_id, f"{user_id}@example.com", weighted(rng, c.ROLES), str(rng.random() < 0.91),
                created.isoformat(), "" if never else login.isoformat(),
            )  # fmt: skip

    def _resource_rows(self, rng: Random) -> Iterator[Row]:
        for resource in self.resources:
            tags = json.dumps(rng.sample(c.TAGS, rng.randint(1, 3))) if rng.random() < 0.79 else ""
            created = self._day(rng, 0, 10).isoformat()
            yield (
                resource.resource_id, resource.org_id, resource.service, resource.region, created,
                weighted(rng, c.STATES), tags,
            )  # fmt: skip

    def _invoice_rows(self, rng: Random) -> Iterator[Row]:
        ids, months = master_keys(self._settings.seed, "inv"), []
        day = (self._settings.start_date.replace(day=1) - timedelta(days=1)).replace(day=1)
        while day <= self._settings.end_date:  # from the month before the first event to the month of the last one
            months.append(day.isoformat())
            day = (day + timedelta(days=32)).replace(day=1)
        for org_id in self.org_ids:
            for month in months:
                subtotal = round(rng.gammavariate(4.2, 194.0), 2)
                currency = weighted(rng, c.CURRENCIES)
                rate = _rate(rng, currency)
                credits, taxes = credits_and_taxes(rng, subtotal)
                if rng.random() < 0.054:
                    subtotal = -subtotal
                    self._quirks["negative_subtotal"] += 1
                if currency == "USD" and rate != 1:
                    self._quirks["usd_rate_not_one"] += 1
                yield (next(ids), org_id, month, repr(subtotal), credits, taxes, currency, repr(rate))

    def _ticket_rows(self, rng: Random) -> Iterator[Row]:
        ids = master_keys(self._settings.seed, "tkt")
        for _ in range(round(TICKETS_PER_ORG * self._settings.orgs)):
            created = self._day(rng, 5)
            resolved = (created + timedelta(days=int(rng.expovariate(1 / 4.8)))).isoformat()
            if rng.random() < 0.24:
                resolved = ""
                self._quirks["ticket_unresolved"] += 1
            csat = "" if rng.random() < 0.254 else f"{min(7, max(0, round(rng.gauss(3.3, 1.2))))}.0"
            if csat in ("0.0", "6.0", "7.0"):
                self._quirks["csat_out_of_range"] += 1
            yield (
                next(ids), rng.choice(self.org_ids), rng.choice(c.CATEGORIES),
                weighted(rng, c.SEVERITIES), created.isoformat(), resolved, csat, str(rng.random() < 0.095),
            )  # fmt: skip

    def _survey_rows(self, rng: Random) -> Iterator[Row]:
        orgs = len(self.org_ids)
        none, one = round(0.25 * orgs), round(0.35 * orgs)
        surveys = [0] * none + [1] * one + [2] * (orgs - none - one)
        rng.shuffle(surveys)
        for org_id, count in zip(self.org_ids, surveys):
            taken: set[date] = set()  # two surveys of an org never share a date: the key is (org, date)
            while len(taken) < count:
                day = self._day(rng, 20)
                if day in taken:
                    continue
                taken.add(day)
                score = "" if rng.random() < 0.2 else f"{min(100, max(-100, round(rng.gauss(26, 16))))}.0"
                yield org_id, day.isoformat(), score, weighted(rng, c.COMMENTS)

    def _touch_rows(self, rng: Random) -> Iterator[Row]:
        ids = master_keys(self._settings.seed, "mkt")
        for _ in range(round(TOUCHES_PER_ORG * self._settings.orgs)):
            yield (
                next(ids), rng.choice(self.org_ids), rng.choice(c.CAMPAIGNS),
                rng.choice(c.CHANNELS), self._day(rng, 0).isoformat(), str(rng.random() < 0.3),
                str(rng.random() < 0.096),
            )  # fmt: skip


def credits_and_taxes(rng: Random, subtotal: float) -> tuple[str, str]:
    """The cells `credits` and `taxes` of an invoice."""
    return "" if rng.random() < 0.57 else repr(round(rng.expovariate(1 / 19), 2)), repr(round(0.21 * subtotal, 2))


def matched_invoices(settings: GeneratorSettings, usage: Usage, leaks: list[Leak]) -> Iterator[Row]:
    """One invoice for each month with usage, over the cost in the invoice's currency, except for the leaks.

    The leaks are added to `leaks`. The amounts of their invoices are dollars, whatever currency the invoice names: in
    another currency, nobody could tell a leak from a change of the rate.
    """
    rng, ids = topic_random(settings.seed, "matched-invoices"), master_keys(settings.seed, "inv")
    months = sorted(month for month, cost in usage.items() if cost >= LEAST_USAGE_USD)
    topic_random(settings.seed, "leaks").shuffle(months)
    # (org_id, month) → kind of leak; at least three months in four have none.
    planted = dict(zip(months[: len(usage) // 4], LEAKS * settings.leaks_per_kind))
    for (org_id, month), cost in sorted(usage.items()):
        kind = planted.get((org_id, month))
        number = {"skipped_invoice": 0, "doubled_invoice": 2}.get(kind or "", 1)
        currency = "USD" if kind else weighted(rng, c.CURRENCIES)
        rate = _rate(rng, currency)
        subtotal = cost if currency == "USD" else cost / rate  # the rate of a USD invoice is not applied
        if kind == "wrong_currency":
            currency = rng.choice(FOREIGN)
            while abs((rate := _rate(rng, currency)) - 1) < 0.05:
                pass
            invoiced = subtotal * rate
        elif kind == "wrong_amount":
            subtotal *= rng.choice((rng.uniform(0.5, 0.8), rng.uniform(1.25, 2.0)))
            invoiced = subtotal
        else:
            invoiced = number * cost
        if kind:
            status = "overbilled" if invoiced > cost else "underbilled" if invoiced else "not_invoiced"
            leaks.append(Leak(kind, org_id, month[:7], round(cost, 4), status, kind == "wrong_currency"))
        subtotal = round(subtotal, 2)
        credits, taxes = credits_and_taxes(rng, subtotal)
        for _ in range(number):
            yield (next(ids), org_id, month, repr(subtotal), credits, taxes, currency, repr(rate))


def _rate(rng: Random, currency: str) -> float:
    return round(rng.gauss(*c.USD_RATES[currency]), 5)


def write_master(out: Path, source: str, rows: Iterable[Row], settings: GeneratorSettings, truth: Truth) -> None:
    """Write a master's rows, with dirt if `settings.dirty`."""
    layout = LAYOUTS[source] if settings.dirty else Layout()
    rows = list(rows)
    truth.row(source, count=len(rows))
    parts = [rows[part :: layout.parts or 1] for part in range(layout.parts or 1)]
    if settings.dirty and rows:
        last = parts[-1]  # of two valid rows with one key, the last row of the last file survives
        last += [()] * layout.blank_lines
        if layout.blank_lines:
            truth.dirt(source, "blank_line", IGNORED, layout.blank_lines)
        for case, row in _soiled_rows(source, rows[0], settings.dirt_per_kind):
            last.append(row)
            truth.dirt(source, case.kind, case.outcome)
    names = [f"{source}/part_{part:04}.csv" for part in range(1, layout.parts + 1)] or [f"{source}.csv"]
    for number, (name, records) in enumerate(zip(names, parts)):
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(_csv_text(c.COLUMNS[source], records, layout, number), encoding="utf-8", newline="")
    if settings.dirty and source == "users":
        half = ",".join(c.COLUMNS[source]) + "\nuser_dirt_half,org_dirt"
        (out / source / "_half.csv").write_text(half, encoding="utf-8")
        truth.dirt(source, "file_ignored_name", IGNORED)


def _soiled_rows(source: str, first_row: Row, times: int) -> list[tuple[Case, Row]]:
    """(case, row) for every case of a master, `times` times; each row is made from the master's first row.

    New keys have a second underscore, so they are never equal to an ordinary key.
    """
    columns = c.COLUMNS[source]
    prefix = first_row[0].partition("_")[0]
    made: list[tuple[Case, Row]] = []
    for case in MASTER_CASES[source] * times:
        row = dict(zip(columns, first_row))
        if source == "support_tickets":
            row["resolved_at"] = ""  # otherwise a case that changes created_at could break a second rule
        if case.kind not in RIVAL:
            row[columns[0]] = f"{prefix}_dirt_{len(made)}"
        row |= {column: str(value) for column, value in case.changes.items()}
        made.append((case, tuple(row[column] for column in columns)))
    return made


def _csv_text(columns: Sequence[str], rows: Sequence[Row], layout: Layout, part: int) -> str:
    """One CSV file of a master."""
    step = -1 if layout.reverse_columns or part % 2 else 1
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=(end := "\r\n" if layout.crlf else "\n"))
    extra = [layout.extra_column] if layout.extra_column else []
    writer.writerow([*columns[::step], *extra])
    for number, row in enumerate(rows):
        note = [QUOTED if number % 10 == 0 else ""] if extra else []
        writer.writerow([*row[::step], *note] if row else row)
    written = ("\ufeff" if layout.bom else "") + text.getvalue()
    return written if layout.last_newline else written.removesuffix(end)
