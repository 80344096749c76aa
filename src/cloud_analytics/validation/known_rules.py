"""Separate the rules that the independent route applies itself from a user's own rules.

The route knows the rules of the contract in the wording of conf/rules.yaml. An added or reworded rule is not an error.
If such a rule rejects events, both sides leave out the events that it rejected. If it does anything else, the marts of
its source are not compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloud_analytics.config import EVENTS, Config

# Patterns of the conditions, in the order of precedence. Two of them capture a number that users may change.
_EVENTS = {
    "missing_key": r"event_id IS NULL OR org_id IS NULL OR resource_id IS NULL OR octet_length\(org_id\) > 60000"
    r" OR octet_length\(resource_id\) > 60000",
    "unsupported_schema_version": "schema_version IS NULL",
    "unknown_service": "service IS NULL",
    "unknown_metric": "metric_unit IS NULL",
    "invalid_cost": "cost_usd IS NULL",
    "negative_cost": r"cost_usd < (-?[0-9.]+)",
    "invalid_value": "value IS NULL AND value_text IS NOT NULL",
    "implausible_value": "value > metric_max",
    "negative_quantity": "value < 0 OR carbon_kg < 0 OR genai_tokens < 0",
    "unit_mismatch": "unit != metric_unit",
    "future_timestamp": r"event_ts > ingest_ts \+ INTERVAL ([0-9]+) HOURS",
    "invalid_carbon_kg": "carbon_kg IS NULL AND carbon_kg_text IS NOT NULL",
    "invalid_genai_tokens": "genai_tokens IS NULL AND genai_tokens_text IS NOT NULL",
}
_SHARED = {"malformed_csv": "NOT fits_header", "missing_key": "blank_key"}
_MASTERS: dict[str, dict[str, str]] = {
    "billing_monthly": {
        "invalid_date": "month IS NULL",
        "invalid_number": r"subtotal IS NULL OR credits IS NULL OR taxes IS NULL OR greatest\(abs\(subtotal\),"
        r" abs\(credits\), abs\(taxes\)\) \* abs\(exchange_rate_to_usd\) >= 10000000000000000",
        "invalid_rate": "currency IS NULL OR exchange_rate_to_usd IS NULL OR exchange_rate_to_usd <= 0",
    },
    "support_tickets": {
        "invalid_date": r"created_at IS NULL OR \(resolved_at IS NULL AND resolved_at_text IS NOT NULL\)",
        "resolved_before_created": "resolved_at < created_at",
        "invalid_csat": r"csat_text IS NOT NULL AND coalesce\(csat NOT BETWEEN 1 AND 5, true\)",
        "invalid_sla_breached": "sla_breached IS NULL AND sla_breached_text IS NOT NULL",
    },
    "nps_surveys": {
        "invalid_date": "survey_date IS NULL",
        "invalid_nps_score": r"nps_score_text IS NOT NULL AND coalesce\(nps_score NOT BETWEEN -100 AND 100, true\)",
    },
    "marketing_touches": {
        "invalid_date": "timestamp IS NULL",
        "invalid_clicked": "clicked IS NULL AND clicked_text IS NOT NULL",
        "invalid_converted": "converted IS NULL AND converted_text IS NOT NULL",
    },
}


@dataclass(frozen=True)
class KnownRules:
    """What the independent route does with the rules of a configuration.

    It applies the event rules in `applied`, with the `numbers` in them (rule → number). It sets aside the events that
    quarantine holds because of rules in `own_rejects`. `not_comparable` maps a source to the rules that make its marts
    impossible to compare. `same_order`: the applied event rules are in the order of the contract.
    """

    applied: list[str]
    own_rejects: list[str]
    not_comparable: dict[str, list[str]]
    numbers: dict[str, str]
    same_order: bool


def known_rules(config: Config) -> KnownRules:
    """Compare the rules of a configuration with the rules of the contract."""
    decisive = _decisive(config, EVENTS)
    matches = {name: re.fullmatch(pattern, decisive.get(name, ("", ""))[1]) for name, pattern in _EVENTS.items()}
    applied = [name for name, match in matches.items() if match]
    own = {name: severity for name, (severity, _) in decisive.items() if name not in applied}
    lost = {EVENTS: [name for name, severity in own.items() if severity != "reject"]}
    for source, of_source in _MASTERS.items():
        found, patterns = _decisive(config, source), {**_SHARED, **of_source}
        # The rules that only one side has, or that differ in their wording.
        lost[source] = [
            name
            for name in {**found, **patterns}
            if name not in patterns or not re.fullmatch(patterns[name], found.get(name, ("", ""))[1])
        ]
    return KnownRules(
        applied=applied,
        own_rejects=[name for name, severity in own.items() if severity == "reject"],
        not_comparable={source: names for source, names in lost.items() if names},
        numbers={name: match[1] for name, match in matches.items() if match and match.groups()},
        same_order=[name for name in decisive if name in applied] == applied,
    )


def _decisive(config: Config, source: str) -> dict[str, tuple[str, str]]:
    """Rule → (severity, condition), for the rules that decide what Silver holds."""
    rules = (rule for rule in config.rules_of(source) if rule.severity != "warn" and not rule.by_step)
    return {rule.id: (rule.severity, " ".join((rule.when or rule.check or "").split())) for rule in rules}
