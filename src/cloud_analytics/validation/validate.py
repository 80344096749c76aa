"""The whole of it: the traceability table of a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloud_analytics.config import Config
from cloud_analytics.lake.files import ReadableFiles
from cloud_analytics.reading.audit import audit
from cloud_analytics.reading.figures import Signal, figures_to_distrust
from cloud_analytics.reading.lake import LakeReader
from cloud_analytics.validation.assumptions import assumptions
from cloud_analytics.validation.checks import Check, Validation, Verdict
from cloud_analytics.validation.milestones import milestones
from cloud_analytics.validation.questions import answered

if TYPE_CHECKING:
    from cloud_analytics.validation.questions import OpenSession


def validate(
    lake: LakeReader, landing: ReadableFiles, config: Config, open_session: OpenSession | None = None
) -> Validation:
    """Check A1-A5, M1-M4 and F1-F4; reads the lake and the landing folder, and changes neither.

    UsageError where the settings of the serving store are wrong.
    """
    questions = answered(lake, open_session)  # first: wrong settings are told before the work of the others
    audited = audit(lake, landing, config)
    return Validation(
        [
            *assumptions(lake, landing, config, audited),
            *milestones(lake, landing, config, audited),
            questions,
            *map(_as_check, figures_to_distrust(lake)),
        ]
    )


def _as_check(signal: Signal) -> Check:
    verdicts = {True: Verdict.INFORMATIVE, False: Verdict.NOT_INFORMATIVE, None: Verdict.NOT_CHECKED}
    return Check(
        signal.id,
        signal.statement,
        verdicts[signal.informative],
        signal.evidence,
        signal.figures,
        signal.consequence,
    )
