-- The FOCUS 1.2 Cost and Usage dataset of a lake. It has one row per charge: the cost of one resource on one day, by
-- service, region and metric. It also has one row per restatement of a closed month. docs/focus.md describes how each
-- column is computed. $month is one billing month, or null for all; the other parameters come from the configuration.
WITH tags AS (
    SELECT resource_id, CAST(to_json(map_from_entries(list((tag_key, value) ORDER BY tag_key))) AS VARCHAR) AS tags
    FROM (
        SELECT resource_id, tag_key, CASE tag_value WHEN 'true' THEN to_json(true) ELSE to_json(tag_value) END AS value
        FROM gold.resource_tags
    )
    GROUP BY resource_id
),
charges AS (
    SELECT org_id, usage_date, strftime(usage_date, '%Y-%m') AS booked_month, resource_id, service,
        nullif(region_code, 'unknown') AS region, metric, unit, quantity, cost_usd, events, total_carbon_kg,
        total_genai_tokens
    FROM gold.resource_daily_usage
    UNION ALL BY NAME
    SELECT org_id, usage_date, booked_month, service, total_cost_usd AS cost_usd, total_carbon_kg, total_genai_tokens,
        closed_month, reason
    FROM gold.restatements
),
services AS (
    SELECT unnest(CAST($services AS VARCHAR[])) AS service, unnest(CAST($categories AS VARCHAR[])) AS category,
        unnest(CAST($subcategories AS VARCHAR[])) AS subcategory
),
units AS (SELECT unnest(CAST($metrics AS VARCHAR[])) AS metric, unnest(CAST($units AS VARCHAR[])) AS focus_unit),
billed AS (
    SELECT *, CAST(booked_month || '-01' AS DATE) AS begin, coalesce(focus_unit, unit) AS unit_name
    FROM charges
    LEFT JOIN (SELECT org_id, org_name FROM silver.customers_orgs) USING (org_id)
    LEFT JOIN (SELECT resource_id, service AS kind FROM silver.resources) USING (resource_id)
    LEFT JOIN tags USING (resource_id)
    LEFT JOIN services USING (service)
    LEFT JOIN units USING (metric)
    WHERE booked_month = coalesce($month, booked_month)
)
SELECT
    cost_usd AS "BilledCost",
    org_id AS "BillingAccountId",
    coalesce(org_name, org_id) AS "BillingAccountName",
    'USD' AS "BillingCurrency",
    strftime(begin + INTERVAL 1 MONTH, '%Y-%m-%dT00:00:00Z') AS "BillingPeriodEnd",
    strftime(begin, '%Y-%m-%dT00:00:00Z') AS "BillingPeriodStart",
    CASE WHEN quantity IS NULL THEN 'Adjustment' ELSE 'Usage' END AS "ChargeCategory",
    CASE WHEN closed_month IS NOT NULL THEN 'Correction' END AS "ChargeClass",
    CASE
        WHEN closed_month IS NOT NULL THEN 'Correction of ' || service || ' in ' || closed_month || ': ' || reason
        WHEN quantity IS NULL THEN 'Cost of ' || service || ' without a quantity of ' || metric
        ELSE metric || ' of ' || service
    END AS "ChargeDescription",
    'Usage-Based' AS "ChargeFrequency",
    strftime(usage_date + INTERVAL 1 DAY, '%Y-%m-%dT00:00:00Z') AS "ChargePeriodEnd",
    strftime(usage_date, '%Y-%m-%dT00:00:00Z') AS "ChargePeriodStart",
    CAST(NULL AS VARCHAR) AS "CommitmentDiscountStatus",
    quantity AS "ConsumedQuantity",
    CASE WHEN quantity IS NOT NULL THEN unit_name END AS "ConsumedUnit",
    cost_usd AS "ContractedCost",
    cost_usd AS "EffectiveCost",
    CAST(NULL AS VARCHAR) AS "InvoiceId",
    $provider AS "InvoiceIssuerName",
    cost_usd AS "ListCost",
    CASE WHEN quantity IS NOT NULL THEN 'Standard' END AS "PricingCategory",
    quantity AS "PricingQuantity",
    CASE WHEN quantity IS NOT NULL THEN unit_name END AS "PricingUnit",
    $provider AS "ProviderName",
    $provider AS "PublisherName",
    region AS "RegionId",
    region AS "RegionName",
    resource_id AS "ResourceId",
    CAST(NULL AS VARCHAR) AS "ResourceName",
    CASE WHEN resource_id IS NOT NULL THEN coalesce(kind, 'unknown') END AS "ResourceType",
    coalesce(category, 'Other') AS "ServiceCategory",
    service AS "ServiceName",
    coalesce(subcategory, 'Other (Other)') AS "ServiceSubcategory",
    tags AS "Tags",
    total_carbon_kg AS "x_CarbonKilograms",
    closed_month AS "x_CorrectedMonth",
    events AS "x_EventCount",
    total_genai_tokens AS "x_GenAiTokens",
    metric AS "x_Metric"
FROM billed
ORDER BY booked_month, usage_date, org_id, service, resource_id, metric, region, closed_month
