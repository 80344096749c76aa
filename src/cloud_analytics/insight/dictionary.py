"""Generate docs/data_dictionary.md: each table of each zone with its columns, their types, units and meanings.

The text comes from the configuration and the declarations of the tables, so that it cannot differ from them.
`python -m cloud_analytics.insight.dictionary docs/data_dictionary.md` writes the file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2

from cloud_analytics.config import EVENTS, Config, load
from cloud_analytics.gold import marts
from cloud_analytics.serving.tables import tables
from cloud_analytics.tables import zones


def document(config: Config) -> str:
    """The data dictionary as Markdown."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cloud_analytics.insight", ""), trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = lambda text: text.replace("|", r"\|")
    return environment.get_template("dictionary.md.j2").render(
        config=config,
        events=EVENTS,
        zones=zones,
        rejecting=[rule.id for rule in config.rules_of(EVENTS) if rule.severity == "reject"],
        marts=marts().values(),
        serving={table.mart: table for table in tables().values()},
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(load()), encoding="utf-8")
