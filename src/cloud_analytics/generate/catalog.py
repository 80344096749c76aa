"""The words, prices and shares of the reference data, which the generator imitates."""

from __future__ import annotations

REGIONS = ("ap-northeast", "us-east", "us-west", "sa-east", "ap-south", "eu-west", "eu-central")

SERVICES = ("compute", "storage", "database", "networking", "analytics", "genai")
SERVICE_WEIGHTS = (29, 18, 17, 16, 10.5, 9.5)

UNIT_PRICES = {  # USD for one unit, whatever the metric
    "compute": 0.08, "storage": 0.02, "database": 0.05, "networking": 0.01, "analytics": 0.07, "genai": 0.12,
}  # fmt: skip

METRIC_UNITS = {"requests": "count", "cpu_hours": "hours", "storage_gb_hours": "gb_hours"}
METRIC_TWENTIETHS = {"requests": 9, "cpu_hours": 5, "storage_gb_hours": 6}  # shares of the events, in 1/20

CARBON_KG_PER_UNIT = 0.0002
# Multipliers of CARBON_KG_PER_UNIT in informative data: some regions have cleaner power, some services need more power.
REGION_CARBON = {
    "ap-northeast": 1.2, "us-east": 1.0, "us-west": 0.6, "sa-east": 0.3, "ap-south": 1.9, "eu-west": 0.8,
    "eu-central": 0.9,
}  # fmt: skip
SERVICE_CARBON = {
    "compute": 1.0, "storage": 0.3, "database": 0.7, "networking": 0.2, "analytics": 1.3, "genai": 2.5,
}  # fmt: skip

# Shares of the ordinary events in the reference.
NULL_VALUE_SHARE = 0.0203
QUOTED_VALUE_SHARE = 0.0303
NULL_UNIT_SHARE = 0.048
NEGATIVE_COST_SHARE = 0.0052
PRICE_SPIKE_SHARE = 0.0038  # of these events, those with the value 0 get no spike
PRICE_SPIKE_FACTOR = 20.0
ROUNDING_NOISE_SHARE = 0.00008  # costs in [-0.01, 0); some negative costs are as small

COLUMNS: dict[str, tuple[str, ...]] = {
    "customers_orgs": (
        "org_id", "org_name", "industry", "hq_region", "plan_tier", "is_enterprise", "signup_date", "sales_rep",
        "lifecycle_stage", "marketing_source", "nps_score",
    ),
    "users": ("user_id", "org_id", "email", "role", "active", "created_at", "last_login"),
    "resources": ("resource_id", "org_id", "service", "region", "created_at", "state", "tags_json"),
    "billing_monthly": (
        "invoice_id", "org_id", "month", "subtotal", "credits", "taxes", "currency", "exchange_rate_to_usd",
    ),
    "support_tickets": (
        "ticket_id", "org_id", "category", "severity", "created_at", "resolved_at", "csat", "sla_breached",
    ),
    "nps_surveys": ("org_id", "survey_date", "nps_score", "comment"),
    "marketing_touches": ("touch_id", "org_id", "campaign", "channel", "timestamp", "clicked", "converted"),
}  # fmt: skip

ANOMALIES = ("usage_spike", "level_shift", "slow_drift", "runaway_resource", "missing_day", "negative_burst")
PATTERNS = ("weekly_peak",)
"""Patterns have labels, too, but are ordinary for their group: a detector should not flag them."""

BILLING = "billing_monthly"

INDUSTRIES = {
    "Gaming": 12, "Education": 10, "Manufacturing": 10, "Government": 9, "Retail": 9, "Healthcare": 8, "Fintech": 7,
    "E-commerce": 6, "Energy": 5, "Media": 4,
}  # fmt: skip
NAME_STARTS = ("Alpha", "Apex", "Beta", "Delta", "Gamma", "Nimbus", "Nova", "Omega", "Vertex", "Zenith")
NAME_ENDS = ("AI", "Cloud", "Data", "Digital", "Labs", "Tech")
PLAN_TIERS = {"standard": 41, "pro": 21, "enterprise": 10, "free": 8}
PLAN_NPS = {"standard": 13.0, "pro": 18.0, "enterprise": 33.0, "free": 27.0}  # mean score
SALES_REPS = {"rep_a": 14, "rep_b": 18, "rep_c": 9, "rep_d": 22, "rep_e": 17}
LIFECYCLE_STAGES = {"active": 54, "at_risk": 11, "churned": 6, "prospect": 6, "lead": 3}
MARKETING_SOURCES = {"event": 21, "organic": 17, "partner": 16, "ads": 14, "referral": 12}
ROLES = {"data_engineer": 25, "devops": 20, "developer": 16, "analyst": 14, "ml_engineer": 13, "admin": 11}
STATES = {"running": 6, "stopped": 3, "terminated": 1}
TAGS = (
    "env:dev", "env:prod", "team:ml", "team:core", "pii:true", "costcenter:alpha", "costcenter:beta", "backup:daily",
)  # fmt: skip
CURRENCIES = {"USD": 160, "ARS": 51, "EUR": 29}
USD_RATES = {"USD": (1.0, 0.05), "EUR": (1.1, 0.045), "ARS": (0.0015, 0.000065)}  # mean and deviation of the rate
CATEGORIES = ("integration", "billing", "availability", "usability", "performance", "security")
SEVERITIES = {"low": 41, "medium": 33, "high": 20, "critical": 6}
COMMENTS = {
    "Missing features": 20, "Love genAI features": 14, "Complex billing": 13, "Stable but slow": 13,
    "Too expensive": 12, "Great support": 10, "": 10,
}  # fmt: skip
CAMPAIGNS = ("upgrade_enterprise", "webinar_finops", "genai_launch", "welcome", "upgrade_pro", "security_week")
CHANNELS = ("event", "email", "ads", "in_app")
