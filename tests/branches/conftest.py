"""Data that the tests of this folder share, so that each process need not read it anew."""

from pathlib import Path

import pytest

from tests.branches.runs import context


@pytest.fixture(scope="session")
def digits_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the digits in it."""
    import torch

    from tests.branches.runs import dense
    from training.setting import Setting

    place = tmp_path_factory.mktemp("cached")
    platform = context(place / "root").platform
    assert len(Setting.on(platform, dense(), 1).data.train.labels) == 1438
    torch.set_num_threads(1)
    return place / "data"


@pytest.fixture(autouse=True)
def _data(request: pytest.FixtureRequest) -> None:
    """The data beside every root below ``tmp_path``; a test without one needs none."""
    if "tmp_path" in request.fixturenames:
        cache = request.getfixturevalue("digits_cache")
        (request.getfixturevalue("tmp_path") / "data").symlink_to(cache)
