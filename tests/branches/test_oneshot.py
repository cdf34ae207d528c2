"""The ``oneshot`` branch where runs are pruned already, or are not of its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from branches.oneshot import Oneshot
from branches.opened import Run
from foundations.description import RunRef
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.store import Store
from tests.branches.runs import dense, pruned, run

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description


def _opened(root: Path, description: Description) -> Run:
    return Run(run(root, description), root.parent / "data")


def test_a_pruned_parent_is_shuffled_within_what_it_keeps(tmp_path: Path) -> None:
    """No kept weight is one that the parent had lost, and each layer's count stays."""
    parent = pruned(prune_fraction=0.5)
    plain, shuffled = (
        _opened(tmp_path / "a", pruned(parent, prune_fraction=0.5, randomize_layerwise=shuffle))
        for shuffle in (False, True)
    )
    outer = _opened(tmp_path / "a", parent).mask("0ep")
    mask, weights = shuffled.mask("0ep"), shuffled.weights("0ep")
    assert mask.layers == plain.mask("0ep").layers
    assert not any(torch.equal(mask[name], plain.mask("0ep")[name]) for name in mask)
    for name, keep in mask.items():
        assert (keep <= outer[name]).all()
        assert (weights[name][keep] != 0).all()


def test_weights_that_the_trained_state_has_lost_are_not_kept(tmp_path: Path) -> None:
    """A state that is pruned further than the new mask is refused, unless weights are drawn anew.

    A state that keeps all that the mask does is trained.
    """
    few = RunRef(pruned(prune_fraction=0.8))
    with pytest.raises(UserError, match=r"[\d,]+ of the weights .* zero, .*--reinitialize"):
        run(tmp_path / "a", pruned(prune_fraction=0.5, state_experiment=few))
    refused = Store(tmp_path / "a").run(pruned(prune_fraction=0.5, state_experiment=few), 1)
    assert refused.fact(Fact.START) is None
    anew = pruned(prune_fraction=0.5, state_experiment=few, reinitialize=True)
    assert _opened(tmp_path / "a", anew).mask("0ep").density == pytest.approx(0.5, abs=1e-3)
    fewer = pruned(prune_fraction=0.9, state_experiment=few)
    assert _opened(tmp_path / "a", fewer).mask("0ep").density == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize("part", ["prune", "state"])
def test_the_step_of_another_run_is_said_once(part: str) -> None:
    """By --prune_step or --state_step, not by the reference to the run as well."""
    with pytest.raises(UserError, match=rf"{part}_experiment: .* is said by {part}_step"):
        Oneshot(**{f"{part}_experiment": RunRef(dense(), step=Step(0, 1))})  # type: ignore[arg-type] # one of two fields of this type


@pytest.mark.parametrize("part", ["prune", "state"])
def test_the_weights_of_another_network_are_refused(part: str, tmp_path: Path) -> None:
    """The message names the parameter and both shapes; nothing of the branch is begun."""
    wider = RunRef(dense(model_name="digits_lenet_9"))
    description = pruned(None, **{f"{part}_experiment": wider})
    with pytest.raises(UserError, match=r"fc\.weight has the shape \(10, 9\) there and \(10, 8\)"):
        run(tmp_path / "a", description)
    assert Store(tmp_path / "a").run(description, 1).fact(Fact.START) is None


def test_the_weights_of_a_network_for_other_classes_are_refused(tmp_path: Path) -> None:
    """Four turns of the images are other classes than ten digits."""
    turned = RunRef(dense(unsupervised_labels="rotation"))
    with pytest.raises(UserError, match=r"fc\.bias has the shape \(4,\) there and \(10,\)"):
        run(tmp_path / "a", pruned(None, state_experiment=turned))


@pytest.mark.parametrize("step", ["0ep", "2it"])
@pytest.mark.parametrize("strategy", ["snip2", "grasp2"])
def test_scoring_computes_in_the_dtype_of_the_profile(
    strategy: str, step: str, tmp_path: Path
) -> None:
    """A float64 run is scored, and goes on, in float64."""
    parent = dense(numerics="float64")
    found = _opened(tmp_path / "a", pruned(parent, strategy=strategy, prune_step=step))
    assert found.mask("0ep").density == pytest.approx(0.2, abs=1e-3)
    assert {value.dtype for value in found.weights().values()} == {torch.float64}
