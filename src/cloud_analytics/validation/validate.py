"""Run all checks of a lake: assumptions, milestones, and figures to distrust."""

from __future__ import annotations

from cloud_analytics.config import Config
from cloud_analytics.lake.file_system import ReadableFiles
from cloud_analytics.reading.audit import audit
from cloud_analytics.reading.checks import Check
from cloud_analytics.reading.figures import figures_to_distrust
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.validation.assumptions import assumptions
from cloud_analytics.validation.milestones import OpenSession, answered, milestones


def validate(
    lake: LakeReader, landing: ReadableFiles, config: Config, open_session: OpenSession | None = None
) -> list[Check]:
    """Return the checks A1-A5, M1-M4 and F1-F4, in this order. Only reads the lake and the landing folder.

    UsageError if the settings of the serving store are wrong.
    """
    questions = answered(lake, open_session)  # first, so that wrong settings fail before the long checks
    audited = audit(lake, landing, config)
    return [
        *assumptions(lake, landing, config, audited),
        *milestones(lake, landing, config, audited),
        questions,
        *figures_to_distrust(lake),
    ]
