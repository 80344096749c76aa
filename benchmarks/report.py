"""benchmarks/results/*.json → the tables of docs/benchmarks.md, between its two marks, and docs/benchmarks.png."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import REPOSITORY
from cloud_analytics.errors import UsageError

_BEGIN, _END = "<!-- figures: python -m benchmarks report -->", "<!-- end of figures -->"


def _table(header: list[str], rows: list[list[Any]]) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + " --- |" + " ---: |" * (len(header) - 1)
    for row in rows:
        yield "| " + " | ".join(f"{cell:,}" if isinstance(cell, int | float) else str(cell) for cell in row) + " |"


def _reference(found: dict[str, Any]) -> Iterator[str]:
    run, again, yard = found["run"], found["nothing_new"], found["yardstick"]
    named = {"run": run, "run again, nothing new": again, "DuckDB yardstick": yard}
    rows = [[name, one["seconds"], one["peak_gib"], one["spin"]] for name, one in named.items()]
    yield from _table(["", "seconds", "peak GiB", "spin s"], rows)
    yield ""
    yield from _stages(found["stages"])


def _stages(found: dict[str, dict[str, float]]) -> Iterator[str]:
    columns = ["seconds", "jobs", "shuffles", "shuffle_mib", "task_seconds"]
    rows = [[name, *[int(v) if v == int(v) else v for v in map(s.__getitem__, columns)]] for name, s in found.items()]
    yield from _table(["stage", "seconds", "Spark jobs", "shuffles", "shuffle MiB", "task seconds"], rows)


def _scale(found: list[dict[str, Any]]) -> Iterator[str]:
    header = ["events", "JSON MiB", "seconds", "events/s", "peak GiB", "spin s"]
    header += ["DuckDB s", "DuckDB peak GiB", "its spin s", "times DuckDB"]
    rows = []
    for row in found:
        run, yard = row["run"], row["yardstick"]
        cells = [row["events"], row["json_mib"], run["seconds"], row["events_per_second"], run["peak_gib"], run["spin"]]
        rows.append([*cells, yard["seconds"], yard["peak_gib"], yard["spin"], row["times_the_yardstick"]])
    yield from _table(header, rows)


def _live(found: list[dict[str, Any]]) -> Iterator[str]:
    header = [
        "events a day",
        "trigger s",
        "lines of the day so far",
        "lines of the micro-batch",
        "seconds",
        "of these Bronze",
        "Silver",
        "Gold",
    ]
    rows = []
    for day in found:
        for look in day["batches"]:
            cells = [look[name] for name in ("lines_so_far", "lines", "seconds", "bronze", "silver", "gold")]
            rows.append([f"{day['events']:,}", day["trigger_seconds"], *cells])
    yield from _table(header, rows)
    for day in found:
        yield ""
        yield f"At {day['events']:,} events a day: peak memory {day['peak_gib']} GiB, spin {day['spin']} s. Last look:"
        yield ""
        yield from _stages(day["last"])


def _follow(found: dict[str, Any]) -> Iterator[str]:
    figures = {name: found[name] for name in ("to_gold", "to_cassandra") if name in found}
    rows = [[name.replace("_", " "), *seconds.values()] for name, seconds in figures.items()]
    yield f"{found['files']} files of {found['lines']:,} lines, one after the other, on a lake of {found['landing']}:"
    yield ""
    yield from _table(["from the file", "median s", "95th percentile s", "slowest s"], rows)


def _late(found: list[dict[str, Any]]) -> Iterator[str]:
    header = [
        "events in the lake",
        "full run s",
        "file touches",
        "stream s",
        "its dates",
        "then run s",
        "its dates",
        "spin s",
    ]
    rows = []
    for row in found:
        for name in ("one_date", "all_dates"):
            cost = row[name]
            cells = [cost["stream_seconds"], cost["stream_dates"], cost["run_seconds"], cost["run_dates"], row["spin"]]
            rows.append([row["events"], row["full_run_seconds"], name.replace("_", " "), *cells])
    yield from _table(header, rows)


def _serving(found: dict[str, Any]) -> Iterator[str]:
    yield from _table(
        ["", "value"], [[key, value] for key, value in found.items() if not isinstance(value, list | dict)]
    )


def _forecasts(found: list[dict[str, Any]]) -> Iterator[str]:
    names = ["data", "horizon_days", "wape", "week_before_wape", "times_the_week_before", "mase", "coverage_of_80"]
    header = ["data", "days summed", "WAPE", "of the week before", "ratio", "MASE", "80 % interval held", "seasonal"]
    seasonal = [round(row["mean_weekday"] + row["week_before"], 2) for row in found]
    yield from _table(header, [[*[row[name] for name in names], share] for row, share in zip(found, seasonal)])


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


def _plot(results: dict[str, dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    rows = results["scale"]["figures"] if "scale" in results else []
    sizes = [row["events"] for row in rows]
    left.plot(sizes, [row["run"]["seconds"] for row in rows], "o-", label="pipeline")
    left.plot(sizes, [row["yardstick"]["seconds"] for row in rows], "s--", label="DuckDB yardstick")
    left.set(xscale="log", yscale="log", xlabel="events", ylabel="seconds", title="Landing to Gold")
    left.legend()
    for day in results["live"]["figures"] if "live" in results else []:
        filled = [batch["lines_so_far"] for batch in day["batches"]]
        (line,) = right.plot(
            filled, [batch["seconds"] for batch in day["batches"]], "o-", label=f"{day['events']:,} events a day"
        )
        right.axhline(day["trigger_seconds"], color=line.get_color(), linestyle=":")
    right.set(
        xlabel="events of the day so far", ylabel="seconds a micro-batch", title="Live mode (dotted: the trigger)"
    )
    if right.lines:
        right.legend()
    figure.savefig(path, dpi=120)


def write(folder: Path) -> list[Path]:
    """Write the tables and the plot; returns both files. UsageError where there are no results."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    results = {name: document for name, document in results.items() if name in _SECTIONS}
    if not results:
        raise UsageError(f"{folder} holds no results: run `python -m benchmarks all` before")
    lines: list[str] = []
    for name, (title, render) in _SECTIONS.items():
        if name in results:
            lines += ["", f"### {title}", "", *render(results[name]["figures"]), "", _about(results[name])]
    docs = REPOSITORY / "docs"
    page, picture = docs / "benchmarks.md", docs / "benchmarks.png"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    if "scale" in results or "live" in results:
        _plot(results, picture)
        lines += ["", "![Seconds by size, and a micro-batch's seconds as the day fills up](benchmarks.png)"]
    page.write_text(f"{before}{_BEGIN}\n" + "\n".join(lines).strip("\n") + f"\n\n{_END}{after}", encoding="utf-8")
    return [page, picture]
