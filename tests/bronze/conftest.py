from __future__ import annotations

from pathlib import Path

import pytest

from tests.bronze import lakes
from tests.conftest import MadeOnce, MakePipeline
from tests.integration.lakes import write_landing


@pytest.fixture(scope="session")
def base(make_pipeline: MakePipeline, made_once: MadeOnce) -> Path:
    """Holds `landing` and `lake`, the state after a run with one file a micro-batch; to be copied, not changed."""

    def make(folder: Path) -> None:
        lakes.write(write_landing(folder / "landing", {}), lakes.FILES)
        outcome = make_pipeline(folder / "landing", folder / "lake", 1).run()
        assert len(outcome.batches) == len(lakes.FILES)

    return made_once("base", make)


@pytest.fixture(scope="session")
def clean(make_pipeline: MakePipeline, made_once: MadeOnce) -> Path:
    """The lake of one clean run over the files as they are later."""

    def make(folder: Path) -> None:
        lakes.write(write_landing(folder / "landing", {}), {**lakes.FILES, **lakes.LATER})
        make_pipeline(folder / "landing", folder / "lake").run()

    return made_once("clean", make) / "lake"
