"""What a unit costs: money for a million tokens; carbon, and how much of the usage reports it."""

from __future__ import annotations

from cloud_analytics.insight import plots
from cloud_analytics.insight.numbers import number, percent, ratio, total, usd
from cloud_analytics.insight.report.facts import Facts
from cloud_analytics.insight.report.view import Section


def efficiency(facts: Facts) -> Section:
    """Tokens and what a million of them costs, carbon and its coverage."""
    notes = [
        "The unit cost takes only the days of organisations that tell their tokens: events of version 1 have none."
        " Coverage is the share of events that report carbon.",
        *facts.distrust("F1", "F2"),
    ]
    drawn = [plots.tokens_and_cost(facts.genai), plots.carbon(facts.carbon)]
    lead = f"{_tokens(facts)} {_carbon(facts)}"
    return Section("efficiency", "GenAI unit cost and carbon", lead, drawn, notes=notes)


def _tokens(facts: Facts) -> str:
    tokens, counted, spent = (
        total(facts.genai[name]) for name in ("total_tokens", "counted_cost_usd", "total_cost_usd")
    )
    if tokens is None:
        return "There is no GenAI usage that tells its tokens, so there is no unit cost."
    price = usd(ratio((counted or 0) * 1_000_000, tokens), 0)
    return (
        f"A million tokens cost {price}: {number(tokens)} tokens for {usd(counted, 0)} of the {usd(spent, 0)} that"
        " GenAI cost."
    )


def _carbon(facts: Facts) -> str:
    weight = total(facts.carbon["total_carbon_kg"])
    if weight is None:
        return "No event reports carbon, so there is no figure of it."
    share = percent(ratio(total(facts.carbon["events_with_carbon"]), total(facts.carbon["events"])))
    return f"Usage caused at least {number(weight, 'kg CO₂e', 1)}: {share} of the events report theirs."
