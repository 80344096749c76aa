"""docs/data_dictionary.md, made from the contracts, the schemas of the zones and schema.cql, so that it cannot drift.

`python -m cloud_analytics.insight.dictionary docs/data_dictionary.md` writes it.
"""
