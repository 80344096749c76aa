"""benchmarks/results/*.json → the tables of docs/benchmarks.md, between its two marks, and docs/benchmarks.png."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

from benchmarks.measure import REPOSITORY
from cloud_analytics.errors import UsageError

_BEGIN, _END = "<!-- figures: python -m benchmarks report -->", "<!-- end of figures -->"


def _table(header: str, rows: list[list[Any]]) -> Iterator[str]:
    """A table in Markdown; the names of `header` stand between `|`, as they do in the table."""
    yield f"| {header} |"
    yield "|" + " --- |" + " ---: |" * header.count("|")
    for row in rows:
        yield "| " + " | ".join(f"{cell:,}" if isinstance(cell, int | float) else str(cell) for cell in row) + " |"


def _cells(row: dict[str, Any], paths: str) -> list[Any]:
    """The values of a row at these paths: at `run.seconds` stands row["run"]["seconds"]."""
    return [reduce(getitem, path.split("."), row) for path in paths.split()]


def _reference(found: dict[str, Any]) -> Iterator[str]:
    named = {"run": "run", "run again, nothing new": "nothing_new", "DuckDB yardstick": "yardstick"}
    rows = [[name, *_cells(found[key], "seconds peak_gib spin")] for name, key in named.items()]
    yield from _table(" | seconds | peak GiB | spin s", rows)
    yield ""
    yield from _stages(found["stages"])


def _stages(found: dict[str, dict[str, float]]) -> Iterator[str]:
    rows = []
    for name, sums in found.items():
        cells = _cells(sums, "seconds jobs shuffles shuffle_mib task_seconds")
        rows.append([name, *[int(cell) if cell == int(cell) else cell for cell in cells]])
    yield from _table("stage | seconds | Spark jobs | shuffles | shuffle MiB | task seconds", rows)


def _scale(found: list[dict[str, Any]]) -> Iterator[str]:
    paths = "events json_mib run.seconds events_per_second run.peak_gib run.spin"
    paths += " yardstick.seconds yardstick.peak_gib yardstick.spin times_the_yardstick"
    header = "events | JSON MiB | seconds | events/s | peak GiB | spin s"
    header += " | DuckDB s | DuckDB peak GiB | its spin s | times DuckDB"
    yield from _table(header, [_cells(row, paths) for row in found])


def _live(found: list[dict[str, Any]]) -> Iterator[str]:
    paths = "events trigger_seconds lines_so_far lines seconds bronze silver gold"
    header = "events a day | trigger s | lines of the day so far | lines of the micro-batch | seconds"
    header += " | of these Bronze | Silver | Gold"
    yield from _table(header, [_cells({**day, **batch}, paths) for day in found for batch in day["batches"]])
    for day in found:
        yield ""
        yield f"At {day['events']:,} events a day: peak memory {day['peak_gib']} GiB, spin {day['spin']} s. Last look:"
        yield ""
        yield from _stages(day["last"])


def _follow(found: dict[str, Any]) -> Iterator[str]:
    names = [name for name in ("to_gold", "to_cassandra") if name in found]
    rows = [[name.replace("_", " "), *found[name].values()] for name in names]
    yield f"{found['files']} files of {found['lines']:,} lines, one after the other, on a lake of {found['landing']}:"
    yield ""
    yield from _table("from the file | median s | 95th percentile s | slowest s", rows)


def _late(found: list[dict[str, Any]]) -> Iterator[str]:
    paths = "events full_run_seconds touched stream_seconds stream_dates run_seconds run_dates spin"
    header = "events in the lake | full run s | file touches | stream s | its dates | then run s | its dates | spin s"
    touched = {"one_date": "one date", "all_dates": "all dates"}
    rows = [_cells({**row, **row[key], "touched": name}, paths) for row in found for key, name in touched.items()]
    yield from _table(header, rows)


def _serving(found: dict[str, Any]) -> Iterator[str]:
    yield from _table(" | value", [list(item) for item in found.items()])


def _forecasts(found: list[dict[str, Any]]) -> Iterator[str]:
    paths = "data horizon_days wape week_before_wape times_the_week_before mase coverage_of_80"
    header = "data | days summed | WAPE | of the week before | ratio | MASE | 80 % interval held | seasonal"
    rows = [[*_cells(row, paths), round(row["mean_weekday"] + row["week_before"], 2)] for row in found]
    yield from _table(header, rows)


_SECTIONS: dict[str, tuple[str, Callable[[Any], Iterator[str]]]] = {
    "reference": ("The reference run", _reference),
    "scale": ("Growing data", _scale),
    "live": ("Live mode: a day that fills up", _live),
    "follow": ("From a file to its figures", _follow),
    "late": ("Late data", _late),
    "serving": ("Serving", _serving),
    "forecasts": ("Forecasts", _forecasts),
}


def _about(document: dict[str, Any]) -> str:
    m = document["machine"]
    versions = ", ".join(f"{name} {m[name]}" for name in ("pyspark", "duckdb", "pyarrow", "pandas"))
    return (
        f"{document['date'][:10]}, commit {document['commit']}: `{document['command']}` on {m['cores']} cores"
        f" ({m['cpu']}), {m['memory_gib']} GiB, Python {m['python']}, {versions}; load before: {m['load']:.1f}."
    )


def _plot(scale: list[dict[str, Any]], live: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    sizes = [row["events"] for row in scale]
    left.plot(sizes, [row["run"]["seconds"] for row in scale], "o-", label="pipeline")
    left.plot(sizes, [row["yardstick"]["seconds"] for row in scale], "s--", label="DuckDB yardstick")
    left.set(xscale="log", yscale="log", xlabel="events", ylabel="seconds", title="Landing to Gold")
    left.legend()
    right.set(xlabel="events of the day so far", ylabel="seconds a micro-batch")
    right.set(title="Live mode (dotted: the trigger)")
    for day in live:
        filled, seconds = zip(*(_cells(batch, "lines_so_far seconds") for batch in day["batches"]))
        (line,) = right.plot(filled, seconds, "o-", label=f"{day['events']:,} events a day")
        right.axhline(day["trigger_seconds"], color=line.get_color(), linestyle=":")
        right.legend()
    figure.savefig(path, dpi=120)


def write(folder: Path) -> list[Path]:
    """Write the tables and the plot; returns both files. UsageError where there are no results."""
    files = {name: folder / f"{name}.json" for name in _SECTIONS}
    results = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in files.items() if path.is_file()}
    if not results:
        raise UsageError(f"{folder} holds no results: run `python -m benchmarks all` before")
    lines: list[str] = []
    for name, document in results.items():
        title, render = _SECTIONS[name]
        lines += ["", f"### {title}", "", *render(document["figures"]), "", _about(document)]
    page, picture = REPOSITORY / "docs" / "benchmarks.md", REPOSITORY / "docs" / "benchmarks.png"
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    if "scale" in results or "live" in results:
        scale, live = (results.get(name, {}).get("figures", []) for name in ("scale", "live"))
        _plot(scale, live, picture)
        lines += ["", "![Seconds by size, and a micro-batch's seconds as the day fills up](benchmarks.png)"]
    page.write_text(f"{before}{_BEGIN}\n" + "\n".join(lines).strip("\n") + f"\n\n{_END}{after}", encoding="utf-8")
    return [page, picture]
