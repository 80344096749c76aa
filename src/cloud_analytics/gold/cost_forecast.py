"""Forecast of each organisation's cost of the month, made on the last usage date and never replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_analytics.config.budgets import Budgets
from cloud_analytics.gold.measures import ratio
from cloud_analytics.spark import DataFrame, F, Window
from cloud_analytics.tables import Column, Serving, Table, Whole
from cloud_analytics.tables.columns import MONEY, ORG_ID, PERCENT, RATIO, SHARE, USD, Unit

if TYPE_CHECKING:
    import pandas as pd

TABLE = Table(
    "cost_forecast",
    key=("org_id", "as_of_date"),
    columns=(
        ORG_ID,
        Column("as_of_date", "date", "last usage date of the data when the forecast was made"),
        Column("forecast_month", "string", "the month of the day after"),
        Column("actual_to_date_usd", MONEY, "cost of that month so far", USD),
        Column("days_left", "int", "days of that month still to come", Unit("days", 0)),
        Column("expected_usd", MONEY, "cost of the whole month: so far, and as forecast", USD),
        Column("low_usd", MONEY, "lower end of the 80 % interval; null under 28 days of history", USD),
        Column("high_usd", MONEY, "upper end of the 80 % interval; null under 28 days of history", USD),
        Column("method", "string", "mean_all_days, mean_28_days, mean_weekday or week_before: what erred least so far"),
        Column("backtest_wape", RATIO, "the method's daily errors in the past / cost; null under 28 days", SHARE),
        Column("seasonal_naive_wape", RATIO, "the same for the week before as forecast", SHARE),
        Column("budget_usd", MONEY, "budget of the month (conf/budgets.yaml); null where there is none", USD),
        Column("budget_used_pct", RATIO, "100 × actual_to_date_usd / budget_usd", PERCENT),
        Column("expected_over_budget", "boolean", "expected_usd lies above budget_usd; null without a budget"),
    ),
    reads=(Whole("gold/org_daily_usage_by_service"), Whole("silver/customers_orgs")),
    partition="as_of_date",
    write_once=True,
    settings=lambda config: config.budgets,
    serving=Serving(
        "cost_forecast",
        question="forecast",
        asks="Finance: what will an organisation's month cost, how sure is that, and will its budget do?",
        key="((org_id), as_of_date DESC)",
        shown=("as_of_date", "forecast_month", "actual_to_date_usd", "expected_usd", "low_usd", "high_usd", "method"),
    ),
)

_FORECAST = (
    "org_id string, as_of_date date, actual_to_date_usd decimal(28,6), days_left int, forecast_usd double,"
    " half_width_usd double, method string, backtest_wape double, seasonal_naive_wape double, budget_usd decimal(28,6)"
)


def build(daily: DataFrame, orgs: DataFrame, budgets: Budgets) -> DataFrame:
    """Daily costs and silver/customers_orgs → one row per organisation with usage, as of the last usage date; USD.

    Days without usage cost 0. Forecasts are estimates, so they are computed in floating point and rounded at the end,
    for each organisation in the order of its days. The cost so far is an exact sum.
    """
    days = daily.groupBy("org_id", "usage_date").agg(F.sum("total_cost_usd").alias("cost_usd"))
    days = days.crossJoin(F.broadcast(daily.agg(F.max("usage_date").alias("as_of_date"))))
    is_of_month = F.col("usage_date") >= F.trunc(F.date_add("as_of_date", 1), "month")
    spent = F.sum(F.when(is_of_month, F.col("cost_usd"))).over(Window.partitionBy("org_id"))
    days = days.join(F.broadcast(orgs.select("org_id", "plan_tier")), "org_id", "left").select(
        "org_id",
        "plan_tier",
        "as_of_date",
        F.coalesce(spent, F.lit(0)).cast(MONEY).alias("actual_to_date_usd"),
        "usage_date",
        F.col("cost_usd").cast("double").alias("cost"),
    )

    def of_one(rows: pd.DataFrame) -> pd.DataFrame:
        return _forecast_row(rows, budgets)

    money = {name: F.col(f"{name}_usd").cast(MONEY) for name in ("forecast", "half_width")}
    spent_and = F.col("actual_to_date_usd") + money["forecast"]
    found = days.groupBy("org_id").applyInPandas(of_one, _FORECAST).withColumn("expected_usd", spent_and)
    low = F.greatest("actual_to_date_usd", F.col("expected_usd") - money["half_width"])
    return TABLE.select(
        found.withColumns(
            {
                "forecast_month": F.date_format(F.date_add("as_of_date", 1), "yyyy-MM"),
                "low_usd": F.when(F.col("half_width_usd").isNotNull(), low),  # greatest() ignores nulls
                "high_usd": F.col("expected_usd") + money["half_width"],
                "budget_used_pct": ratio("actual_to_date_usd", "budget_usd", 100),
                "expected_over_budget": F.col("expected_usd") > F.col("budget_usd"),
            }
        )
    )


def _forecast_row(rows: pd.DataFrame, budgets: Budgets) -> pd.DataFrame:
    """One organisation's days with usage → one row with the columns of `_FORECAST`."""
    import pandas as pd

    from cloud_analytics.forecasting import forecast

    first = rows.iloc[0]
    as_of = pd.Timestamp(first["as_of_date"])
    dates = pd.to_datetime(rows["usage_date"])
    costs = pd.Series(rows["cost"].to_numpy(), index=dates).reindex(pd.date_range(dates.min(), as_of), fill_value=0.0)
    days_left = (as_of + pd.Timedelta(days=1)).days_in_month - (as_of + pd.Timedelta(days=1)).day + 1
    found = forecast(costs.to_numpy(), days_left)
    return pd.DataFrame(
        {
            "org_id": [first["org_id"]],
            "as_of_date": [first["as_of_date"]],
            "actual_to_date_usd": [first["actual_to_date_usd"]],
            "days_left": [days_left],
            "forecast_usd": [found.expected],
            "half_width_usd": [found.half_width],
            "method": [found.method],
            "backtest_wape": [found.wape],
            "seasonal_naive_wape": [found.seasonal_naive_wape],
            "budget_usd": [budgets.of(first["org_id"], first["plan_tier"])],
        }
    )
