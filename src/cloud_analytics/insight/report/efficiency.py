"""What a unit costs: money for a million tokens, carbon for a dollar."""

from __future__ import annotations

from cloud_analytics.insight import plots
from cloud_analytics.insight.report.facts import Facts, distrust
from cloud_analytics.insight.report.measures import coverage, grams_per_usd, periods, recent_days, token_price
from cloud_analytics.insight.report.view import Section, Table, change, number, percent, total, usd


def genai(facts: Facts) -> Section:
    """Tokens and what a million of them costs."""
    title, found = "GenAI unit cost", facts.genai
    if found.empty:
        return Section("genai", title, "No GenAI usage has reached Gold yet.")
    tokens, counted, spent = (total(found[n]) for n in ("total_tokens", "counted_cost_usd", "total_cost_usd"))
    if tokens is None:
        lead = f"GenAI cost {usd(spent, 0)}; no event tells its tokens, so there is no unit cost."
    else:
        lead = (
            f"A million tokens cost {usd(token_price(found), 0)}: {number(tokens)} tokens for {usd(counted, 0)} of the"
            f" {usd(spent, 0)} that GenAI cost"
        )
        now, before = recent_days(facts, found)
        moved = change(token_price(now), token_price(before))
        lead += "." if moved is None else f"; the last 7 days, {percent(moved, signed=True)} against the 7 before."
    table = Table(
        "By period",
        ("days", "tokens", "cost (USD)", "USD per million tokens"),
        [
            [name, number(total(part["total_tokens"])), usd(total(part["total_cost_usd"])), usd(token_price(part))]
            for name, part in periods(facts, found)
        ],
    )
    notes = [
        "The unit cost takes only the days of organisations that tell their tokens: events of version 1 have none.",
        *distrust(facts, "F1"),
    ]
    return Section("genai", title, lead, [plots.tokens_and_cost(found)], [table], notes)


def carbon(facts: Facts) -> Section:
    """Carbon, and how much of the usage reports it."""
    title, found = "Carbon", facts.carbon
    if found.empty:
        return Section("carbon", title, "No usage has reached Gold yet.")
    weight, share = total(found["total_carbon_kg"]), coverage(found)
    if weight is None:
        lead = "No event reports carbon, so there is no figure."
    else:
        lead = f"Usage caused at least {number(weight, 'kg CO₂e', 1)}: {percent(share)} of the events report theirs."
    table = Table(
        "By period",
        ("days", "carbon (kg CO₂e)", "coverage", "g CO₂e per USD"),
        [
            [
                name,
                number(total(part["total_carbon_kg"]), decimals=1),
                percent(coverage(part)),
                number(grams_per_usd(facts, part), decimals=1),
            ]
            for name, part in periods(facts, found)
        ],
    )
    notes = [
        "Coverage is the share of events that report carbon. Grams per USD take only the days that report any.",
        *distrust(facts, "F2"),
    ]
    return Section("carbon", title, lead, [plots.carbon(found)], [table], notes)
