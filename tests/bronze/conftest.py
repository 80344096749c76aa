from __future__ import annotations

from pathlib import Path

import pytest

from tests.bronze import lakes
from tests.conftest import MakePipeline
from tests.integration.lakes import write_landing


@pytest.fixture(scope="session")
def base(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds `landing` and `lake`, the state after a run with one file a micro-batch; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("base")
    lakes.write(write_landing(folder / "landing", {}), lakes.FILES)
    outcome = make_pipeline(folder / "landing", folder / "lake", 1).run()
    assert len(outcome.batches) == len(lakes.FILES)
    return folder


@pytest.fixture(scope="session")
def clean(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake of one clean run over the files as they are later."""
    folder = tmp_path_factory.mktemp("clean")
    lakes.write(write_landing(folder / "landing", {}), {**lakes.FILES, **lakes.LATER})
    make_pipeline(folder / "landing", folder / "lake").run()
    return folder / "lake"
