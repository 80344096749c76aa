"""The whole of it: the traceability table of a lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cloud_analytics.config import Config
from cloud_analytics.lake.files import file_system
from cloud_analytics.lake.lake import Lake
from cloud_analytics.reading.audit import audit
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.validation.assumptions import assumptions
from cloud_analytics.validation.checkout import checkout_milestones
from cloud_analytics.validation.checks import Validation
from cloud_analytics.validation.figures import figures_to_distrust
from cloud_analytics.validation.milestones import milestones
from cloud_analytics.validation.questions import answered

if TYPE_CHECKING:
    from cloud_analytics.validation.questions import OpenSession


def validate(
    lake: Lake, landing: str, config: Config, open_session: OpenSession | None = None, checkout: Path | None = None
) -> Validation:
    """Check A1-A5, M1-M6 and F1-F4; reads the lake, the landing folder and the checkout, and changes none of them.

    UsageError where the settings of the serving store are wrong.
    """
    questions = answered(lake, open_session)  # first: wrong settings are told before the work of the others
    reader = LakeReader(lake.files)
    audited = audit(reader, file_system(lake.spark, landing), config)
    return Validation(
        [
            *assumptions(lake, landing, config, audited),
            *milestones(lake, landing, config, audited),
            questions,
            *checkout_milestones(checkout),
            *figures_to_distrust(reader),
        ]
    )
