"""Synthetic landing data: deterministic by seed, shaped like the reference data, with labelled truth beside it."""

from __future__ import annotations

from cloud_analytics.generate.settings import GeneratorSettings, GeneratorSummary
from cloud_analytics.generate.truth import TRUTH_FILE
from cloud_analytics.generate.writer import generate

__all__ = ["TRUTH_FILE", "GeneratorSettings", "GeneratorSummary", "generate"]
