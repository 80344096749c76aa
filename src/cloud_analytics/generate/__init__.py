"""Synthetic landing data: deterministic by seed, shaped like the reference data, with labelled truth beside it."""

from __future__ import annotations

from cloud_analytics.generate.settings import GeneratorSettings
from cloud_analytics.generate.truth import TRUTH_FILE, Truth
from cloud_analytics.generate.writer import generate

__all__ = ["TRUTH_FILE", "GeneratorSettings", "Truth", "generate"]
