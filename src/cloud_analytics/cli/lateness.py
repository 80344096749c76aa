"""Late data, and the events that a plain watermark would have lost: lateness."""

from __future__ import annotations

import logging

import click

from cloud_analytics.cli.manners import command, emit, say
from cloud_analytics.cli.options import Places, open_lake, open_pipeline, options, print_table

logger = logging.getLogger(__name__)

_COLUMNS = {
    "batch_id": "micro-batch",
    "files": "files",
    "input_rows": "lines",
    "late_rows": "late",
    "late_share": "late share",
    "p95_lateness_seconds": "p95 lateness (h)",
    "max_lateness_seconds": "max lateness (h)",
    "watermark_would_drop": "a watermark would drop",
    "late_alert": "alert",
}


@command("cloud-analytics lateness", "cloud-analytics lateness --recipe --files-per-trigger 5")
@options("landing", "lake", "conf")
@click.option("--recipe", is_flag=True, help="Run withWatermark + dropDuplicates over landing beside it, and compare.")
@click.option("--files-per-trigger", type=click.IntRange(1), default=5, show_default=True, help="Of the recipe.")
def lateness(places: Places, recipe: bool, files_per_trigger: int) -> None:
    """Late data of each micro-batch, and how many events a plain watermark would have lost. None is lost here."""
    with open_lake(places) as (zones, _):
        from cloud_analytics.reading.lateness import micro_batches

        batches = micro_batches(zones)
    outcome = None
    if recipe:
        with open_pipeline(places, needs=("landing", "lake")) as pipeline:
            from cloud_analytics.insight.recipe import usual_recipe

            logger.debug("the usual recipe")
            watermark, settings = places.config.pipeline.stream.watermark, places.config.pipeline.landing
            outcome = usual_recipe(pipeline.lake.spark, pipeline.landing, files_per_trigger, watermark, settings)
    found = {"rows": outcome.rows, "kept": outcome.kept, "lost_share": outcome.lost_share} if outcome else None
    lines = [f"{int(batches.late_rows.sum()):,} of {int(batches.input_rows.sum()):,} lines came late; none was lost."]
    if outcome:
        lines.append(
            f"The usual recipe, {files_per_trigger} files a trigger: {outcome.kept:,} of {outcome.rows:,} lines,"
            f" {outcome.lost_share:.1%} lost (true duplicates among them). The pipeline lost none."
        )

    records = batches.to_dict(orient="records")

    def show() -> None:
        first, *figures = _COLUMNS.values()
        rows = [[_shown(name, record[name]) for name in _COLUMNS] for record in records]
        print_table("Late data, by micro-batch", (first, *figures), rows, right=figures)
        for line in lines[1:]:
            say(line)

    emit(lines[-1], {"micro_batches": records, "usual_recipe": found}, show)


def _shown(name: str, value: object) -> str:
    if value is None or value != value:  # NaN: a micro-batch without events
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    number = float(str(value))
    if name.endswith("_seconds"):
        return f"{number / 3600:,.1f}"
    return f"{number:.1%}" if name == "late_share" else f"{number:,.0f}"
