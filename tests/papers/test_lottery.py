"""The lottery ticket hypothesis: its runs, and the iteration at which training would stop early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from branches.describing import branch, describe
from foundations.tables import Metric
from papers.lottery import EARLY_STOP, PAPER
from papers.paper import Scale
from tests.papers.sealed import results, sealed

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = {"mnist": 10, "resnet20": 15, "vgg16": 15}


@pytest.mark.parametrize(("name", "levels"), LEVELS.items())
def test_every_level_has_a_ticket_and_two_rivals(name: str, levels: int) -> None:
    """Level 0 is the dense network for all."""
    study = PAPER.studies[name](Scale.FULL)
    assert len(study.runs) == 3 * levels + 1
    assert len(study.table.cells) == 4 * (levels + 1)
    assert study.replicates == (1, 2, 3, 4, 5)


def test_mnist_is_the_lottery_of_openlth() -> None:
    """Its network, a fifth of what remains at each level, and an output layer left alone."""
    dense = describe("mnist_lenet_300_100")
    settings: dict[str, Any] = {"prune_fraction": 0.2, "layers_to_ignore": ("fc.weight",)}
    first = branch(dense, "lottery_rewind", **settings)
    second = branch(first, "lottery_rewind", **settings)
    cells = PAPER.studies["mnist"](Scale.FULL).table.cells
    assert cells["level 0", "reinitialized"].run == dense
    assert cells["level 2", "winning ticket"].run == second
    assert cells["level 2", "randomly pruned"].run == branch(second, "shuffle")
    assert cells["level 2", "reinitialized"].run == branch(second, "reinit")
    assert cells["level 2", "weights left"].run == second


def test_larger_networks_go_back_to_a_later_step() -> None:
    """Not to their initialization."""
    dense = describe("cifar_resnet_20")
    first = branch(dense, "lottery_rewind", rewinding_steps="1000it")
    cells = PAPER.studies["resnet20"](Scale.FULL).table.cells
    assert cells["level 1", "winning ticket"].run == first


@pytest.mark.parametrize("name", PAPER.studies)
def test_smoke_is_the_same_in_small(name: str) -> None:
    """The same columns and figures, three levels, one replicate, on digits."""
    full, smoke = (PAPER.studies[name](scale) for scale in (Scale.FULL, Scale.SMOKE))
    assert smoke.table.columns == full.table.columns
    assert [figure.name for figure in smoke.figures] == [figure.name for figure in full.figures]
    assert (len(smoke.runs), smoke.replicates) == (10, (1,))


def test_training_would_stop_where_the_test_loss_is_lowest(tmp_path: Path) -> None:
    """The first such iteration; no answer where the loss was not followed."""
    dense = describe("digits_lenet_8")
    for replicate, losses in enumerate(((2.0, 0.5, 0.25, 0.25, 1.0), (2.0, 0.5)), start=1):
        run = sealed(tmp_path, dense, replicate, {})
        (run.path / "done.json").unlink()
        run.write_metrics(
            [
                row
                for epoch, loss in enumerate(losses)
                for row in (
                    Metric(23 * epoch, epoch, "test", "loss", loss),
                    Metric(23 * epoch, epoch, "train", "loss", 0.0),
                    Metric(23 * epoch, epoch, "test", "accuracy", 0.0),
                )
            ]
        )
        claim = run.claim()
        assert claim is not None
        with claim:
            run.seal(claim, {})
    assert results(tmp_path).of((dense,), EARLY_STOP).values == (46.0,)
