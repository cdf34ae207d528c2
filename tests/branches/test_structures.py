"""Runs of which channels or gates are pruned: from start to end, killed, shuffled, grown on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
import torch

from branches.layer_matched import LayerMatched
from branches.lottery_rewind import LotteryRewind
from branches.masks import granularity_of
from branches.reinit import Reinit
from branches.shuffle import Shuffle
from datasets.loader import EvalLoader
from foundations.run_directory import Fact
from models.gates import GATE
from pruning.mask import Mask
from tests.branches.branched import on, opened
from tests.branches.deeds import carry_out
from tests.branches.runs import DECAYED, Example, contents, dense, options, pruned
from tests.foundations.kills import exit_code
from training.setting import Setting

if TYPE_CHECKING:
    from pathlib import Path

    from branches.base import Branch
    from branches.opened import Run
    from foundations.description import Description

KILLED = -signal.SIGKILL


def resnet(**flags: object) -> Description:
    """A residual network on digits, for a few updates."""
    small = {"model_name": "cifar_resnet_8_4", "training_steps": "6it", "lr": 0.05}
    return dense(**{**small, **DECAYED, **flags})


def structured(granularity: str, **hparams: Any) -> Description:
    """Half of its units pruned at initialization."""
    chosen = {"strategy": "magnitude", "prune_fraction": 0.5, "granularity": granularity}
    return pruned(resnet(), **{**chosen, **hparams})


def test_accuracy(found: Run) -> float:
    """On the test set, by the network that the run gives."""
    setting = Setting(found.recipe, 1, found.data_root, torch.device("cpu"))
    network = found.model()
    loader = EvalLoader(setting.data.test, setting.data, batch_size=500, device=setting.device)
    with torch.no_grad():
        right = [(network(images).argmax(1) == labels).sum() for images, labels in loader]
    return float(torch.stack(right).sum() / len(setting.data.test.labels))


@pytest.mark.parametrize(
    "hparams",
    [
        {"granularity": "channels"},
        {"granularity": "channels", "coupling": "independent", "prune_iterations": 3},
        {"granularity": "gates", "strategy": "gate_saliency", "score_examples": 20},
        {"granularity": "gates", "strategy": "activation_statistics"},
        {"granularity": "kernels", "strategy": "snip1"},
        {"granularity": "n_m"},
        {"granularity": "blocks"},
    ],
    ids=lambda hparams: "_".join(str(value) for value in hparams.values()),
)
def test_a_run(hparams: dict[str, Any], tmp_path: Path) -> None:
    """What was cut is cut in the end, and the model that is opened has the accuracy recorded."""
    found = opened(tmp_path / "runs", structured(**hparams))
    first, last = found.mask("0ep"), found.mask()
    assert first == last
    assert first.kept < first.total
    weights = found.weights()
    for name, kept in last.items():
        assert name.startswith(GATE) or not weights[name][~kept].any()
    assert found.accuracy == pytest.approx(test_accuracy(found), abs=1e-3)
    assert found.sparsity["total"] == last.weights.total
    assert not any(name.startswith("gates") for name in weights)


test_accuracy.__test__ = False  # type: ignore[attr-defined] # a measure, not a test


@pytest.mark.slow
@pytest.mark.parametrize("granularity", ["channels", "gates"])
def test_killed_and_continued(granularity: str, tmp_path: Path) -> None:
    """A run that is killed in the middle ends with the bytes of one that was not."""
    example = Example(structured(granularity), options(checkpoint_every="1it"))
    assert exit_code(carry_out, tmp_path / "whole", example) == 0
    assert exit_code(carry_out, tmp_path / "parts", example, 3) == KILLED
    assert exit_code(carry_out, tmp_path / "parts", example) == 0
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


@pytest.mark.parametrize("granularity", ["channels", "gates", "kernels"])
@pytest.mark.parametrize(
    "branch",
    [Shuffle(), LayerMatched(), Shuffle(shuffle="even")],
    ids=["shuffle", "matched", "even"],
)
def test_random_masks_have_whole_units(granularity: str, branch: Branch, tmp_path: Path) -> None:
    """As many as their parent has, others, and with all that goes with them."""
    parent = structured(granularity)
    before = opened(tmp_path / "runs", parent).mask()
    found = opened(tmp_path / "runs", on(parent, branch))
    setting = Setting(found.recipe, 1, found.data_root, torch.device("cpu"))
    chosen, mask = granularity_of(parent, setting), found.mask()
    assert chosen.units(mask) != chosen.units(before)
    assert chosen.units(mask).kept == chosen.units(before).kept
    assert chosen.mask(chosen.units(mask), Mask.dense(mask, mask)) == mask
    assert found.directory.fact(Fact.SPARSITY)["kept"] == mask.weights.kept


@pytest.mark.parametrize("granularity", ["channels", "gates"])
def test_branches_keep_the_mask(granularity: str, tmp_path: Path) -> None:
    """A new initialization has the same mask; the next level prunes further within it."""
    parent = structured(granularity)
    before = opened(tmp_path / "runs", parent).mask()
    assert opened(tmp_path / "runs", on(parent, Reinit())).mask() == before
    level = LotteryRewind(granularity=granularity, prune_fraction=0.3)
    after = opened(tmp_path / "runs", on(parent, level)).mask()
    assert all((after[name] <= kept).all() for name, kept in before.items())
    assert after.kept < before.kept


def test_oneshot_shuffles_whole_channels(tmp_path: Path) -> None:
    """So does ``--randomize_layerwise``: norms go with the channels that are cut now."""
    found = opened(tmp_path / "runs", structured("channels", randomize_layerwise=True))
    plain = opened(tmp_path / "runs", structured("channels"))
    mask = found.mask()
    assert mask != plain.mask()
    alive = mask["blocks.0.conv1.weight"].flatten(1).any(1)
    assert torch.equal(mask["blocks.0.bn1.bias"], alive)
