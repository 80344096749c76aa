"""Precision and recall of each detector on generated data with labelled anomalies, run through the real pipeline.

    .venv/bin/python benchmarks/detection.py --seeds 3 4 5 6 --plot docs/img/detection.png [--reference LANDING]

Prints the tables of docs/anomalies.md as Markdown: mean over the seeds, with the smallest and largest in brackets.
`--reference` adds a landing folder without labels: the share of its events that each detector flags.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from cloud_analytics import config as configuration
from cloud_analytics.anomaly import daily, events
from cloud_analytics.anomaly.detectors import Detector, consensus, mad, percentile, price_ratio, zscore
from cloud_analytics.config import Config, SparkSettings
from cloud_analytics.generate import TRUTH_FILE, GeneratorSettings, generate
from cloud_analytics.gold import daily_cost_signals, org_daily_usage_by_service
from cloud_analytics.lake.lake import Lake
from cloud_analytics.pipeline import Pipeline
from cloud_analytics.tables.zones import SILVER_EVENTS

# `sparse` has the reference data's density, about 4 events a day and (org, service); `dense` has about 15.
DATASETS: dict[str, dict[str, Any]] = {
    "sparse": {"events": 43_200, "days": 60, "orgs": 80, "anomalies_per_kind": 15},
    "dense": {"events": 60_000, "days": 90, "orgs": 20, "anomalies_per_kind": 6},
}
GROUPINGS = ("with metric", "without metric")
ABNORMAL = ("price_spike", "usage_spike", "runaway_resource")
LASTING = ("level_shift", "slow_drift")
"""New levels that last for weeks. No event is unusual for its day: only the daily detectors are asked to find them."""
ORDINARY = "ordinary"
THRESHOLDS: dict[str, tuple[float, ...]] = {
    "z-score": (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0),
    "MAD": (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0),
    "percentile": (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0),
    "unit price": (1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0),
    "consensus": (1, 2, 3),
    "daily baseline": (2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0),
}
VERDICT = "verdict (unit price or consensus)"
FLAGS = {
    "z-score": "flag_zscore",
    "MAD": "flag_mad",
    "percentile": "flag_percentile",
    "unit price": "flag_unit_price",
    VERDICT: "is_anomaly",
}
DAILY_VERDICTS = {
    "before: daily baseline": "is_anomaly",
    "weekday anomaly": "is_weekday_anomaly",
    "level shift": "is_level_shift",
    "trend": "is_trend",
    "after: any of the three": "is_any",
}


@dataclass(frozen=True)
class Labelled:
    """A lake that the pipeline built from generated landing data, and the truth file of that data."""

    lake: Lake
    config: Config
    truth: dict[str, Any]

    @property
    def labels(self) -> list[dict[str, Any]]:
        """Every label, including the patterns that are not anomalies."""
        return [*self.truth["anomalies"], *self.truth["patterns"]]

    def events(self) -> DataFrame:
        """silver/usage_events with the `kind` of each event's label, `ordinary` where it has none."""
        pairs = [(event_id, label["kind"]) for label in self.labels for event_id in label["event_ids"]]
        planted = self.lake.spark.createDataFrame(pd.DataFrame(pairs, columns=["event_id", "kind"]))
        rows = self.lake.rows(SILVER_EVENTS)
        return rows.join(F.broadcast(planted), "event_id", "left").fillna(ORDINARY, ["kind"])

    def rejected(self, kind: str, counts: pd.DataFrame) -> float:
        """Share of the planted events of a kind that never reach Silver."""
        planted = sum(len(label["event_ids"]) for label in self.labels if label["kind"] == kind)
        kept = counts[counts["kind"] == kind]["events"].max() if (counts["kind"] == kind).any() else 0
        return 1 - float(kept) / planted


def make(spark: SparkSession, config: Config, settings: GeneratorSettings, folder: Path) -> Labelled:
    """Generate landing data into the folder and run the pipeline over it."""
    generate(folder / "landing", settings)
    lake = run(spark, config, folder / "landing", folder / "lake")
    return Labelled(lake, config, json.loads((folder / "landing" / TRUTH_FILE).read_text(encoding="utf-8")))


def run(spark: SparkSession, config: Config, landing: Path, lake: Path) -> Lake:
    """Run the pipeline over a landing folder; returns the lake."""
    pipeline = Pipeline(Lake(spark, str(lake)), str(landing), config)
    pipeline.run()
    return pipeline.lake


# Events


def rescored(rows: DataFrame, config: Config, grouping: str) -> DataFrame:
    """Silver's events, scored again. Without the metric, all events get the same one: groups are (org, service)."""
    kept = rows.select("kind", "org_id", "service", "metric", "cost_usd", "value")
    if grouping == "without metric":
        kept = kept.withColumn("metric", F.lit("any"))
    settings = config.anomalies.events
    return events.score(kept, events.baselines(kept, settings), settings)


def event_counts(rows: DataFrame, config: Config, sweep: bool = True) -> pd.DataFrame:
    """Silver's events with `kind` → events and flagged events by `grouping`, `detector`, `threshold` and `kind`.

    Each grouping is one Spark job. With `sweep` false only the configured thresholds are counted.
    """
    tables = []
    for grouping in GROUPINGS:
        flags = {(VERDICT, "configured"): F.col("is_anomaly")}
        for name in THRESHOLDS:
            if name != "daily baseline":
                for threshold, variant in _variants(name, config, sweep):
                    flags[name, threshold] = variant.flagged()
        sums = [F.sum(flag.cast("int")).alias(str(number)) for number, flag in enumerate(flags.values())]
        found = rescored(rows, config, grouping).groupBy("kind").agg(F.count("*").alias("events"), *sums).toPandas()
        tables += [
            found.rename(columns={str(number): "flagged"})[["kind", "events", "flagged"]].assign(
                grouping=grouping, detector=name, threshold=threshold
            )
            for number, (name, threshold) in enumerate(flags)
        ]
    return pd.concat(tables, ignore_index=True)


def _detectors(config: Config) -> dict[str, tuple[float, Callable[[float], Detector]]]:
    """Detector → its configured threshold, and the function that makes it for any threshold."""
    events_, days = config.anomalies.events, config.anomalies.daily
    _, levels, _ = events.configured(events_)
    return {
        "z-score": (events_.zscore_threshold, zscore),
        "MAD": (events_.mad_threshold, mad),
        "percentile": (float(events_.percentile_factor), lambda x: percentile(events_.percentile, Decimal(str(x)))),
        "unit price": (events_.unit_price_threshold, price_ratio),
        "consensus": (events_.consensus, lambda needed: consensus(levels, int(needed))),
        "daily baseline": (days.score_threshold, lambda x: daily.daily_baseline(x, days.min_impact_usd)),
    }


def _variants(name: str, config: Config, sweep: bool = True) -> Iterable[tuple[Any, Detector]]:
    """A detector as configured, then with each threshold of its sweep."""
    configured, make_detector = _detectors(config)[name]
    yield "configured", make_detector(configured)
    if sweep:
        for threshold in THRESHOLDS[name]:
            yield threshold, make_detector(threshold)


def measure(
    flagged: pd.Series, planted: pd.Series, wanted: Iterable[str], set_aside: Iterable[str]
) -> dict[str, float]:
    """Precision, recall and F1 from counts by kind; kinds in `set_aside` count neither as hits nor as false alarms."""
    wanted, aside = list(wanted), list(set_aside)
    hits = float(flagged.reindex(wanted).fillna(0).sum())
    calls = float(flagged.drop(aside, errors="ignore").sum())
    asked = float(planted.reindex(wanted).fillna(0).sum())
    precision, recall = hits / calls if calls else float("nan"), hits / asked if asked else float("nan")
    both = precision + recall
    return {"precision": precision, "recall": recall, "F1": 2 * precision * recall / both if both else float("nan")}


def event_scores(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts of one lake → one row per detector, grouping and threshold.

    A row holds the measures for price spikes and for all abnormal costs, and the flagged share of each kind.
    """
    rows = []
    for (grouping, name, threshold), group in counts.groupby(["grouping", "detector", "threshold"], sort=False):
        by_kind = group.set_index("kind")
        flagged, planted = by_kind["flagged"], by_kind["events"]
        spikes = measure(flagged, planted, ["price_spike"], [])
        abnormal = measure(flagged, planted, ABNORMAL, LASTING)
        rows.append(
            {"grouping": grouping, "detector": name, "threshold": threshold}
            | {f"spikes: {key}": value for key, value in spikes.items()}
            | {f"abnormal: {key}": value for key, value in abnormal.items()}
            | {f"flagged: {kind}": flagged.get(kind, 0) / planted[kind] for kind in planted.index}
        )
    return pd.DataFrame(rows)


def check_against_silver(rows: DataFrame, counts: pd.DataFrame) -> None:
    """Raise SystemExit unless the repeated scores flag as many events as Silver does."""
    ours = counts[(counts["grouping"] == GROUPINGS[0]) & (counts["threshold"] == "configured")]
    made = ours.groupby("detector")["flagged"].sum()
    stored = rows.agg(*[F.sum(F.col(flag).cast("int")).alias(name) for name, flag in FLAGS.items()]).first()
    assert stored is not None  # an aggregate without groups has one row
    if any(made[name] != stored[name] for name in FLAGS):
        raise SystemExit(f"the repeated scores differ from Silver's: {made.to_dict()} and {stored.asDict()}")


# Days


def day_verdicts(labelled: Labelled) -> pd.DataFrame:
    """One row per (org, day, service) of the daily mart: its verdicts, also at other thresholds, and its `kind`."""
    lake, config = labelled.lake, labelled.config
    key = ["org_id", "service", "usage_date"]
    mart, signals = (
        lake.read(table.path, table.schema) for table in (org_daily_usage_by_service.TABLE, daily_cost_signals.TABLE)
    )
    mart = mart.select(*key, "total_cost_usd", "is_anomaly")
    signals = signals.drop("total_cost_usd", "is_anomaly")
    flags = [
        variant.flagged().alias(f"score > {threshold}") for threshold, variant in _variants("daily baseline", config)
    ]
    swept = daily.score(mart.drop("is_anomaly"), config.anomalies.daily).select(*key, *flags)
    days = mart.join(signals, key).join(swept, key).toPandas()
    unusual = labelled.events().where(F.col("kind") != ORDINARY)
    kinds = unusual.groupBy("org_id", "service", F.col("date").alias("usage_date"))
    # Price spikes occur everywhere: a day of a level shift that also has one keeps the kind of the shift.
    kind = F.coalesce(F.max(F.when(F.col("kind") != "price_spike", F.col("kind"))), F.lit("price_spike"))
    days = days.merge(kinds.agg(kind.alias("kind")).toPandas(), on=key, how="left").fillna({"kind": ORDINARY})
    days["is_any"] = days["is_weekday_anomaly"] | days["is_level_shift"] | days["is_trend"]
    return days


def day_scores(days: pd.DataFrame, labels: list[dict[str, Any]]) -> pd.DataFrame:
    """Verdicts of one lake → one row per verdict: measures over days, share of days by kind, labels found, delays."""
    rows = []
    planted = days.groupby("kind").size()
    for name, column in DAILY_VERDICTS.items():
        flagged_days = days[days[column]]
        flagged = flagged_days.groupby("kind").size()
        row: dict[str, Any] = {"verdict": name}
        row |= measure(flagged, planted, (*ABNORMAL, *LASTING), [])
        row |= {f"days: {kind}": flagged.get(kind, 0) / planted[kind] for kind in planted.index}
        alarms = {group: sorted(dates) for group, dates in flagged_days.groupby(["org_id", "service"])["usage_date"]}
        for kind in (*ABNORMAL[1:], *LASTING, "missing_day"):
            delays = [_delay(label, alarms) for label in labels if label["kind"] == kind]
            found = [delay for delay in delays if delay is not None]
            row[f"found: {kind}"] = len(found) / len(delays) if delays else float("nan")
            row[f"delay: {kind}"] = float(pd.Series(found, dtype=float).median())
        rows.append(row)
    return pd.DataFrame(rows)


def _delay(label: dict[str, Any], alarms: dict[Any, list[date]]) -> int | None:
    """Days from the first day of a label to the first alarm in its dates; None where there is no alarm."""
    first, last = (date.fromisoformat(day) for day in label["dates"])
    inside = [day for day in alarms.get((label["org_id"], label["service"]), []) if first <= day <= last]
    return (inside[0] - first).days if inside else None


def swept_days(days: pd.DataFrame) -> pd.DataFrame:
    """Verdicts of one lake → the daily baseline's measures at each threshold, for the plot."""
    planted = days.groupby("kind").size()
    rows = []
    for threshold in ("configured", *THRESHOLDS["daily baseline"]):
        flagged = days[days[f"score > {threshold}"]].groupby("kind").size()
        measures = measure(flagged, planted, ABNORMAL, LASTING)
        rows.append(
            {"grouping": GROUPINGS[0], "detector": "daily baseline", "threshold": threshold}
            | {f"abnormal: {key}": value for key, value in measures.items()}
        )
    return pd.DataFrame(rows)


# Output


def spread(scores: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """One row per seed and `by` → one row per `by`: the mean, and the smallest and largest value where they differ."""

    def text(values: pd.Series) -> str:
        values = values.dropna()
        if values.empty:
            return "–"
        decimals = 1 if values.name and str(values.name).startswith("delay") else 3
        low, mean, high = (f"{value:.{decimals}f}" for value in (values.min(), values.mean(), values.max()))
        return mean if low == high else f"{mean} ({low}–{high})"

    return scores.drop(columns=["seed"]).groupby(by, sort=False).agg(text).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """A table as Markdown."""
    lines = [list(map(str, table.columns)), ["---"] * len(table.columns), *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def plot(curves: pd.DataFrame, configured: dict[str, float], out: Path) -> None:
    """Plot precision, recall and F1 of each detector over its threshold; a line marks the configured threshold."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    curves = curves[curves["threshold"] != "configured"]
    figure, panels = plt.subplots(2, 3, figsize=(11, 6), sharey=True, constrained_layout=True)
    colours = {"precision": "#0072B2", "recall": "#E69F00", "F1": "#000000"}
    for axes, name in zip(panels.flat, THRESHOLDS):
        task = "spikes" if name == "unit price" else "abnormal"  # high usage at the normal price is not its task
        for grouping, style in zip(GROUPINGS, ("-", "--")):
            rows = curves[(curves["detector"] == name) & (curves["grouping"] == grouping)]
            means = rows.assign(threshold=rows["threshold"].astype(float)).groupby("threshold").mean(numeric_only=True)
            for measured, colour in colours.items():
                if len(means):
                    label = f"{measured}, {grouping}"
                    axes.plot(means.index, means[f"{task}: {measured}"], style, color=colour, label=label)
        axes.axvline(configured[name], color="#D55E00", linewidth=1)
        axes.set(
            title=f"{name}: price spikes" if task == "spikes" else f"{name}: abnormal costs",
            xlabel="votes" if name == "consensus" else "threshold",
            ylim=(0, 1.03),
        )
        axes.grid(alpha=0.3)
    figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=80)


def report_reference(spark: SparkSession, config: Config, landing: Path) -> None:
    """Print the share of flagged events in data without labels, where the unit price decides what is a price spike."""
    with tempfile.TemporaryDirectory() as folder:
        rows = run(spark, config, landing, Path(folder) / "lake").rows(SILVER_EVENTS)
        kind = F.when(F.col("flag_unit_price"), F.lit("price_spike")).otherwise(F.lit(ORDINARY))
        counts = event_counts(rows.withColumn("kind", kind), config, sweep=False)
    table = counts.pivot_table(index=["detector", "grouping"], columns="kind", values=["events", "flagged"], sort=False)
    flagged: Any = table.loc[:, "flagged"]
    of_all: Any = table.loc[:, "events"]
    shares = pd.DataFrame(
        {
            "flagged events": flagged.sum(axis=1).astype(int),
            "share of all": (flagged.sum(axis=1) / of_all.sum(axis=1)).map("{:.2%}".format),
            "of the unit-price spikes": [
                f"{found:.0f} of {spikes:.0f}"
                for found, spikes in zip(table["flagged", "price_spike"], table["events", "price_spike"])
            ],
        }
    )
    print(f"\n## Without labels: {landing.name}\n\n{markdown(shares.reset_index())}")


def measure_seed(spark: SparkSession, config: Config, dataset: str, seed: int) -> tuple[pd.DataFrame, ...]:
    """Scores of events, scores of days, the daily baseline's curve, and the rejected share of negative bursts."""
    settings = GeneratorSettings(anomalies=True, seed=seed, **DATASETS[dataset])
    with tempfile.TemporaryDirectory() as folder:
        labelled = make(spark, config, settings, Path(folder))
        rows = labelled.events().persist()
        counts = event_counts(rows, config)
        check_against_silver(rows, counts)
        days = day_verdicts(labelled)
        rows.unpersist()
    scored = event_scores(counts), day_scores(days, labelled.labels), swept_days(days)
    rejected = pd.DataFrame({"rejected": [labelled.rejected("negative_burst", counts)]})
    return tuple(table.assign(seed=seed) for table in (*scored, rejected))


def report_dataset(spark: SparkSession, config: Config, dataset: str, seeds: list[int]) -> pd.DataFrame:
    """Print the results for a dataset; returns the curves over the thresholds."""
    measured = []
    for seed in seeds:
        print(f"{dataset}, seed {seed}: generate, run, score", file=sys.stderr)
        measured.append(measure_seed(spark, config, dataset, seed))
    event_table, day_table, curve, rejected = (pd.concat(tables) for tables in zip(*measured))
    configured = event_table[event_table["threshold"] == "configured"].drop(columns=["threshold"])
    print(f"\n## Events, {dataset}, seeds {seeds}\n")
    for part in ("spikes: ", "abnormal: ", "flagged: "):
        columns = [column for column in configured.columns if column.startswith(part)]
        print(markdown(spread(configured[["seed", "detector", "grouping", *columns]], ["detector", "grouping"])))
        print()
    lowest, highest = rejected["rejected"].min(), rejected["rejected"].max()
    print(f"Events of negative bursts that Silver rejects: {lowest:.1%} to {highest:.1%}")
    print(f"\n## Days, {dataset}, seeds {seeds}\n")
    print(markdown(spread(day_table, ["verdict"]).set_index("verdict").T.reset_index(names="measure")))
    return pd.concat([event_table, curve])


def main() -> None:
    """Generate, run, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4, 5, 6])  # 1 and 2 chose the signals
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--reference", type=Path, help="a landing folder without labels")
    parser.add_argument("--plot", type=Path, help="a PNG of the curves")
    arguments = parser.parse_args()
    if arguments.reference and not (arguments.reference / "usage_events_stream").is_dir():
        parser.error(f"--reference {arguments.reference}: no landing folder, it has no usage_events_stream/")
    if arguments.plot and arguments.plot.suffix != ".png":
        parser.error(f"--plot {arguments.plot}: give a file that ends in .png")
    from cloud_analytics.session import build_session

    config = configuration.load(Path(__file__).resolve().parents[1] / "conf")
    spark = build_session(SparkSettings(master="local[2]", driver_memory="2g", shuffle_partitions=2))
    try:
        curves = [report_dataset(spark, config, name, arguments.seeds) for name in arguments.datasets]
        if arguments.plot:
            configured = {name: threshold for name, (threshold, _) in _detectors(config).items()}
            plot(pd.concat(curves), configured, arguments.plot)
        if arguments.reference:
            report_reference(spark, config, arguments.reference)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
