"""Invoices that follow the usage, but for planted leaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from cloud_analytics.generate import catalog as c
from cloud_analytics.generate.ids import master_keys, topic_random
from cloud_analytics.generate.masters import Row, credits_and_taxes, weighted
from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import Leak

LEAKS = ("skipped_invoice", "doubled_invoice", "wrong_currency", "wrong_amount")
LEAST_USAGE_USD = 100.0  # in a month with a leak: so a leak is larger than any rounding or tolerance
FOREIGN = tuple(currency for currency in c.CURRENCIES if currency != "USD")

Usage = Mapping[tuple[str, str], float]
"""(org_id, first day of the month) → USD that Silver should hold."""


def matched_invoices(settings: GeneratorSettings, usage: Usage, leaks: list[Leak]) -> Iterator[Row]:
    """One invoice for each month with usage, of its cost in the invoice's currency, but for the leaks.

    The leaks are added to `leaks`. Their amounts are dollars, whatever currency the invoice names: in another currency
    a leak could not be distinguished from a change of the rate.
    """
    rng, ids = topic_random(settings.seed, "matched-invoices"), master_keys(settings.seed, "inv")
    planted = _plan(settings, usage)
    for (org_id, month), cost in sorted(usage.items()):
        kind = planted.get((org_id, month))
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
            invoiced = {"skipped_invoice": 0.0, "doubled_invoice": 2 * cost}.get(kind or "", cost)
        if kind:
            status = "overbilled" if invoiced > cost else "underbilled" if invoiced else "not_invoiced"
            leaks.append(Leak(kind, org_id, month[:7], round(cost, 4), status, kind == "wrong_currency"))
        subtotal = round(subtotal, 2)
        credits, taxes = credits_and_taxes(rng, subtotal)
        for _ in range({"skipped_invoice": 0, "doubled_invoice": 2}.get(kind or "", 1)):
            yield (next(ids), org_id, month, repr(subtotal), credits, taxes, currency, repr(rate))


def _plan(settings: GeneratorSettings, usage: Usage) -> dict[tuple[str, str], str]:
    """(org_id, month) → kind of leak; at least three months in four have none."""
    months = sorted(month for month, cost in usage.items() if cost >= LEAST_USAGE_USD)
    topic_random(settings.seed, "leaks").shuffle(months)
    return dict(zip(months[: len(usage) // 4], LEAKS * settings.leaks_per_kind))


def _rate(rng: Random, currency: str) -> float:
    return round(rng.gauss(*c.USD_RATES[currency]), 5)
