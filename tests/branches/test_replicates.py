"""What a run depends on, and on what it does not."""

from pathlib import Path
from typing import Any

import pytest
import torch

from foundations.run_directory import DIGESTS
from tests.branches.runs import contents, dense, options, pruned, run
from training import setting

DIFFERENT: list[dict[str, Any]] = [
    {"evaluate_only_at_end": True},
    {"evaluate_on": ["train", "test"], "top_k": [3, 5]},
    {"weight_save_steps": "1it,4it,2ep"},
    {"checkpoint_every": "1it"},
]


def _states(root: Path) -> dict[str, bytes]:
    return {
        path: data
        for path, data in contents(root).items()
        if path.endswith(("ep0_it0/model.safetensors", "ep4_it0/model.safetensors", DIGESTS))
    }


def test_a_replicate_is_the_same_wherever_it_is_kept(tmp_path: Path) -> None:
    """Two roots have the same bytes."""
    for root in ("one", "two"):
        run(tmp_path / root, pruned())
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_two_replicates_differ(tmp_path: Path) -> None:
    """In initialization, in the order of the data, and so in the end."""
    one, two = (run(tmp_path / "a", dense(), replicate=number) for number in (1, 2))
    assert [row.iteration for row in one.digests()] == [row.iteration for row in two.digests()]
    pairs = zip(one.digests(), two.digests(), strict=True)
    assert all(left.sha256 != right.sha256 for left, right in pairs)


def test_seeds_that_are_set_apart_do_not_follow_the_replicate(tmp_path: Path) -> None:
    """Of initialization and order together: then two replicates are one."""
    fixed = dense(model_seed=3, data_order_seed=4)
    one, two = (run(tmp_path / "a", fixed, replicate=number) for number in (1, 2))
    assert one.digests() == two.digests()
    begins = dense(model_seed=3)
    one, two = (run(tmp_path / "a", begins, replicate=number) for number in (1, 2))
    assert one.digests()[0] == two.digests()[0]
    assert one.digests()[1] != two.digests()[1]


@pytest.mark.parametrize("strategy", ["random", "magnitude"])
def test_a_notebooks_default_dtype_changes_nothing(strategy: str, tmp_path: Path) -> None:
    """Data, draws, scores and training are those of float32 where torch's default is float64."""
    drawn: dict[str, object] = {
        "validation_fraction": 0.1,
        "random_labels_fraction": 0.3,
        "augment_rotation": 10.0,
        "augment_crop": 1,
    }
    branch = pruned(dense(**drawn), strategy=strategy, prune_step="1it")
    for root, dtype in (("plain", torch.float32), ("notebook", torch.float64)):
        setting._loaded.cache_clear()
        torch.set_default_dtype(dtype)
        try:
            run(tmp_path / root, branch)
        finally:
            torch.set_default_dtype(torch.float32)
    assert contents(tmp_path / "notebook") == contents(tmp_path / "plain")


@pytest.mark.parametrize("recorded", DIFFERENT, ids=str)
def test_what_is_recorded_does_not_change_the_states(
    recorded: dict[str, Any], tmp_path: Path
) -> None:
    """First and last state, and every digest."""
    run(tmp_path / "plain", pruned())
    run(tmp_path / "other", pruned(), options(**recorded))
    expected = _states(tmp_path / "plain")
    assert len(expected) == 4
    assert _states(tmp_path / "other") == expected
