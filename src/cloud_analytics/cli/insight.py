"""What the data are and where a figure comes from: profile."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from cloud_analytics.cli.options import FORMAT, console, open_pipeline, options
from cloud_analytics.config import EVENTS, MASTERS


@click.command()
@click.option(
    "--source", "sources", multiple=True, type=click.Choice([EVENTS, *MASTERS]), help="Only this source; repeatable."
)
@options("lake", "conf")
@FORMAT
def profile(sources: tuple[str, ...], lake: str | None, conf: Path | None, output: str) -> None:
    """Each source as Silver holds it: nulls, distinct values, ranges, vocabulary, match rates, gaps in the dates."""
    with open_pipeline(None, lake, conf) as (pipeline, config):
        from cloud_analytics.insight.plain import plain
        from cloud_analytics.insight.profile import profile as examine

        found = examine(pipeline.lake, config, sources or (EVENTS, *MASTERS))
    if output == "json":
        click.echo(json.dumps(plain(found), ensure_ascii=False))
        return
    from cloud_analytics.insight.profile import describe

    for source, profiled in found.items():
        table = Table(title=f"\n[bold]{source}[/bold]", title_justify="left", show_edge=False)
        for name in ("column", "type"):
            table.add_column(name)
        for name in ("nulls", "distinct"):
            table.add_column(name, justify="right")
        table.add_column("range, or words with their rows")
        for row in describe(profiled):
            table.add_row(*(escape(text) for text in row))
        console().print(table)
        for line in profiled.summary():
            click.echo(f"  {line}")
