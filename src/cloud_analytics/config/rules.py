"""conf/rules.yaml: the quality rules, in the order of their precedence.

This module checks all that can be checked without Spark. Before any data is read, quality/verify.py checks whether the
conditions are valid SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, RootModel, model_validator

from cloud_analytics.config.section import Section

EVENTS = "usage_events"
SHARED = "masters"  # the group of rules that apply to all CSV masters

# Verdicts that come from a step of the pipeline, not from a condition: Bronze judges lines that it cannot read, Silver
# judges copies of one key.
BRONZE = ("malformed_json", "invalid_timestamp", "unreadable_file")
_STEPS: dict[str, dict[str, tuple[str, ...]]] = {
    "bronze": {EVENTS: BRONZE},
    "copies": {EVENTS: ("duplicate_event", "conflicting_duplicate"), SHARED: ("duplicate_key",)},
}
# Checks in Python (quality/conditions.py) → whether the check is one rule per closed vocabulary of a source.
CHECKS = {"blank_key": False, "outside_vocabulary": True}
# Later layers rely on these rules: their messages may change, but they must exist and keep the severity `reject`.
_ESSENTIAL = {
    EVENTS: ("missing_key", "unsupported_schema_version", "unknown_service", "unknown_metric", "invalid_cost"),
    SHARED: ("malformed_csv", "missing_key"),
    "billing_monthly": ("invalid_date", "invalid_number", "invalid_rate"),
    "support_tickets": ("invalid_date",),
    "nps_surveys": ("invalid_date",),
    "marketing_touches": ("invalid_date",),
}
# Marts rely on these rules as well, but a warning is enough for them: any severity is allowed.
_NEEDED = {"resources": ("too_many_tags",), "support_tickets": ("implausible_created_at",)}
# Columns that no rule may set to null: marts sum them up or use them in their keys.
_LINEAGE = ("ingest_ts", "source_file")
_KEYS = ("org_id", "user_id", "resource_id", "invoice_id", "ticket_id", "touch_id", "survey_date", *_LINEAGE)
_NEVER_NULL = {
    EVENTS: ("event_id", "event_ts", "date", "org_id", "resource_id", "service", "metric", "cost_usd", *_LINEAGE),
    "billing_monthly": (*_KEYS, "month", "subtotal", "credits", "taxes", "currency", "exchange_rate_to_usd"),
    "support_tickets": (*_KEYS, "created_at"),
    "marketing_touches": (*_KEYS, "timestamp"),
}


class Rule(Section):
    """One rule: a condition that is true for a record that breaks it, and the consequence."""

    # The id becomes part of a folder's name (error_type=…). `<column>` stands for the name of each column.
    id: str = Field(pattern=r"^[a-z][a-z0-9_]*(<column>)?$", max_length=100)
    severity: Literal["reject", "nullify", "warn"]
    when: str | None = Field(None, min_length=1)
    check: str | None = None
    column: str | None = None
    message: str = Field(min_length=1, exclude=True)  # wording: no verdict depends on it

    @model_validator(mode="after")
    def _is_whole(self) -> Rule:
        if (self.when is None) == (self.check is None):
            raise ValueError("give either `when` (a condition) or `check` (the name of one)")
        if (self.severity == "nullify") != (self.column is not None):
            raise ValueError("`column` names what severity nullify sets null, and belongs to no other severity")
        return self

    @property
    def by_step(self) -> bool:
        """Whether the verdict comes from a step of the pipeline instead of a condition on one record."""
        return self.check in _STEPS

    def of_column(self, column: str) -> Rule:
        """The rule for one column, made from a rule that is declared for several columns."""
        texts = {"id": self.id.replace("<column>", column), "message": self.message.replace("<column>", column)}
        return self.model_copy(update={**texts, "column": column})


class RuleBook(RootModel[dict[str, list[Rule]]]):
    """conf/rules.yaml: group (a source, or `masters`) → its rules in the order of precedence."""

    def of(self, source: str, vocabularies: Sequence[str] = ()) -> list[Rule]:
        """The rules of a source, those for copies last; `vocabularies` are its columns with a closed list of words."""
        declared = self.root.get(source, [])
        if source != EVENTS:
            declared = [*self.root.get(SHARED, []), *declared]
        rules: list[Rule] = []
        for rule in declared:
            each = CHECKS.get(rule.check or "", False)
            rules += [rule.of_column(column) for column in vocabularies] if each else [rule]
        return sorted(rules, key=lambda rule: rule.check == "copies")


def inconsistencies(raw: dict[str, Any], sources: tuple[str, ...]) -> list[str]:
    """`key: problem` for each inconsistency among the rules. `raw` is not validated: single rules may be invalid."""
    allowed = (EVENTS, SHARED, *sources)
    found = [f"{group}: unknown source; allowed are {', '.join(allowed)}" for group in raw if group not in allowed]
    groups = {
        group: [rule for rule in rules if isinstance(rule, dict)]
        for group, rules in raw.items()
        if group in allowed and isinstance(rules, list)
    }
    for group, rules in groups.items():
        above = groups.get(SHARED, []) if group in sources else []
        counts = Counter(str(rule.get("id")) for rule in [*above, *rules])
        own = {str(rule.get("id")) for rule in rules}
        found += [f"{group}.{name}.id: is declared {n} times" for name, n in counts.items() if n > 1 and name in own]
        found += [problem for rule in rules for problem in _misplaced(group, rule)]
        found += _out_of_order(group, rules)
    for group in (EVENTS, SHARED, *sources):
        given = {str(rule.get("id")): rule.get("severity") for rule in groups.get(group, [])}
        steps = [name for verdicts in _STEPS.values() for name in verdicts.get(group, ())]
        for name in (*steps, *_ESSENTIAL.get(group, ())):
            if given.get(name) != "reject":
                found.append(f"{group}.{name}: must be declared with severity reject: what follows relies on it")
        missing = [name for name in _NEEDED.get(group, ()) if name not in given]
        found += [f"{group}.{name}: must be declared: a mart relies on it" for name in missing]
    return found


def _misplaced(group: str, rule: dict[str, Any]) -> list[str]:
    """Problems of one rule: an unknown check, a check that cannot give this verdict, a column that must not be null."""
    name, check, found = str(rule.get("id")), str(rule["check"]) if rule.get("check") is not None else None, []
    if check in _STEPS:
        verdicts = _STEPS[check].get(group, ())
        if name not in verdicts:
            found.append(f"{group}.{name}.check: '{check}' gives here only: {', '.join(verdicts) or 'nothing'}")
    elif check is not None:
        available = tuple(_STEPS) if group == EVENTS else (*CHECKS, "copies")
        if check not in available:
            found.append(f"{group}.{name}.check: unknown check '{check}'; allowed are {', '.join(available)}")
        elif CHECKS.get(check, False) != name.endswith("<column>"):
            found.append(f"{group}.{name}.id: ends in <column> exactly with a check of several columns")
    elif name in {verdict for verdicts in _STEPS.values() for verdict in verdicts.get(group, ())}:
        found.append(f"{group}.{name}.when: this verdict is a step's; allowed is `check`")
    if rule.get("column") in _NEVER_NULL.get(group, _KEYS):
        found.append(f"{group}.{name}.column: '{rule['column']}' must not be null; reject the record instead")
    return found


def _out_of_order(group: str, rules: list[dict[str, Any]]) -> list[str]:
    """A problem if rejects are not in the order in which they apply: Bronze, then conditions, then copies."""
    place = {"bronze": 0, "copies": 2}
    rejects = [rule for rule in rules if rule.get("severity") == "reject"]
    places = [place.get(str(rule.get("check")), 1) for rule in rejects]
    if places == sorted(places):
        return []
    return [f"{group}: the order of rejects is: check bronze, conditions, check copies"]
