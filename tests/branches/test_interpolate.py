"""The ``interpolate`` branch: the line between two ends, which ends, and what is written."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch

from branches.interpolate import Interpolate
from branches.opened import Run
from branches.retrain import Retrain
from foundations.description import BranchDesc, RunRef
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step
from foundations.store import Store
from tests.branches.runs import STEPS, dense, options, pruned, run
from training.interpolating import instability

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description

OTHER = dense(data_order_seed=77)
MODEL = "cifar_resnet_8_4"


def _line(parent: Description | None = None, **flags: Any) -> BranchDesc:
    return BranchDesc(parent=parent or dense(), branch=Interpolate(**flags))


def _opened(root: Path, description: Description) -> Run:
    return Run(run(root, description), root.parent / "data")


def _measured(found: Run, split: str, name: str) -> list[float]:
    rows = [row for row in found.metrics if row.phase == split and row.name.startswith(name)]
    assert all(row.iteration == STEPS for row in rows)
    return [row.value for row in rows if " at " in row.name]


def _accuracy(found: Run, weights: dict[str, torch.Tensor]) -> tuple[float, float]:
    """Test accuracy and loss, by a forward pass of all at once."""
    network, setting = copy.deepcopy(found.model()), found._setting()
    network.load_state_dict(weights)
    batches = setting.evaluation("test")
    assert batches is not None
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    logits = network(images).detach()
    loss = torch.nn.functional.cross_entropy(logits, labels)
    return float((logits.argmax(1) == labels).double().mean()), float(loss)


def test_every_point_is_a_network_on_the_line(tmp_path: Path) -> None:
    """Weights (1 - a) first + a second, by a count of its own; the ends are the two runs."""
    found = _opened(tmp_path / "a", _line(other=RunRef(OTHER), points=5))
    ends = [Run(Store(tmp_path / "a").run(each, 1), tmp_path / "data") for each in (dense(), OTHER)]
    first, second = (end.weights() for end in ends)
    expected = [
        _accuracy(found, {n: v + a / 4 * (second[n] - v) for n, v in first.items()})
        for a in range(5)
    ]
    accuracies, losses = _measured(found, "test", "accuracy"), _measured(found, "test", "loss")
    assert accuracies == pytest.approx([each[0] for each in expected], abs=1e-6)
    assert losses == pytest.approx([each[1] for each in expected], rel=1e-5)
    assert accuracies[0] == pytest.approx(ends[0].accuracy, abs=1e-9)
    assert accuracies[-1] == pytest.approx(ends[1].accuracy, abs=1e-9)
    assert len(_measured(found, "train", "accuracy")) == 5


def test_nothing_is_trained_and_half_way_is_kept(tmp_path: Path) -> None:
    """One state, the last; its plain accuracy is the one at 0.5."""
    found = _opened(tmp_path / "a", _line(other=RunRef(OTHER), points=3))
    assert [row.iteration for row in found.directory.digests()] == [STEPS]
    assert found.steps == [Step(4)]
    assert found.accuracy == pytest.approx(_measured(found, "test", "accuracy")[1], abs=1e-9)
    first, second = (
        Run(Store(tmp_path / "a").run(each, 1), tmp_path / "data").weights()["fc.weight"]
        for each in (dense(), OTHER)
    )
    torch.testing.assert_close(found.weights()["fc.weight"], (first + second) / 2)


def test_the_instability_is_written(tmp_path: Path) -> None:
    """By its definition, from the measures, of both splits."""
    found = _opened(tmp_path / "a", _line(other=RunRef(OTHER), points=5))
    facts = found.directory.fact(Fact.START)["facts"]["instability"]
    for split in ("test", "train"):
        errors = [1 - value for value in _measured(found, split, "accuracy")]
        expected = max(errors) - (errors[0] + errors[-1]) / 2
        assert facts[split] == pytest.approx(expected, abs=1e-9)


def test_instability_of_known_errors() -> None:
    """A line that rises to an error of .5 between ends of .1 and .2; other splits do not count."""
    rows = [("test", f"accuracy at {a}", value) for a, value in enumerate((0.9, 0.5, 0.8))]
    assert instability([*rows, ("train", "accuracy at 1", 0.0)], "test") == pytest.approx(0.35)


def test_a_run_and_itself_is_stable(tmp_path: Path) -> None:
    """All points are the same network, and the instability is zero."""
    found = _opened(tmp_path / "a", _line(other=RunRef(dense())))
    assert len(set(_measured(found, "test", "accuracy"))) == 1
    assert len(_measured(found, "test", "accuracy")) == 11
    assert found.directory.fact(Fact.START)["facts"]["instability"]["test"] == 0


def test_the_mask_that_both_ends_have_stays(tmp_path: Path) -> None:
    """Networks on the line are as sparse as the ends; with another mask, what either keeps."""
    parent = pruned()
    same = _opened(tmp_path / "a", _line(parent, fork_step="0ep", other_data_order_seed=77))
    ends = Run(Store(tmp_path / "a").run(parent, 1), tmp_path / "data")
    assert same.mask() == ends.mask()
    other = pruned(strategy="random")
    both = _opened(tmp_path / "a", _line(parent, other=RunRef(other))).mask()
    its = Run(Store(tmp_path / "a").run(other, 1), tmp_path / "data").mask()
    assert all(torch.equal(both[name], its[name] | ends.mask()[name]) for name in both)


@pytest.mark.parametrize(("fork", "first_is_parent"), [("0ep", True), ("5it", False)])
def test_forked_ends_share_a_state_and_differ_in_the_order(
    fork: str,
    first_is_parent: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    """From the first state on the parent is one of the two itself."""
    description = _line(fork_step=fork, other_data_order_seed=77)
    branch = description.branch
    assert isinstance(branch, Interpolate)
    refs = [ref.description for ref in branch.asks(dense())]
    assert (refs[0] == dense()) == first_is_parent
    for ref in refs[first_is_parent:]:
        assert isinstance(ref, BranchDesc)
        assert isinstance(ref.branch, Retrain)
    run(tmp_path / "a", description)
    ends = [Run(Store(tmp_path / "a").run(ref, 1), tmp_path / "data") for ref in refs]
    one, two = (end.weights(fork)["fc.weight"] for end in ends)
    assert torch.equal(one, two)
    assert not torch.equal(ends[0].weights()["fc.weight"], ends[1].weights()["fc.weight"])


def test_the_same_order_twice_is_refused(tmp_path: Path) -> None:
    """Both ends would be one run: replicate 1 has the seed 1."""
    with pytest.raises(UserError, match="both ends would be one run"):
        run(tmp_path / "a", _line(fork_step="0ep", other_data_order_seed=1))


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"fork_step": "1ep"},
        {"other_data_order_seed": 3},
        {"other": RunRef(OTHER), "fork_step": "1ep", "other_data_order_seed": 3},
    ],
)
def test_ends_must_be_said_once(flags: dict[str, Any]) -> None:
    """Neither not at all, nor half, nor twice."""
    with pytest.raises(UserError, match="Between which ends"):
        Interpolate(**flags)


def test_batch_norms_are_interpolated_or_recalibrated(tmp_path: Path) -> None:
    """Recalibration changes what is between, and writes the statistics of a plain average."""
    parent = dense(model_name=MODEL, training_steps="2it")
    other = dense(model_name=MODEL, training_steps="2it", data_order_seed=77)
    lines = [
        _opened(tmp_path / "a", _line(parent, other=RunRef(other), points=3, recalibrate=again))
        for again in (False, True)
    ]
    plain, again = ([row.value for row in line.metrics if " at 0.5" in row.name] for line in lines)
    assert plain != again
    ends = [Run(Store(tmp_path / "a").run(each, 1), tmp_path / "data") for each in (parent, other)]
    name = next(name for name in ends[0].weights() if name.endswith("running_mean"))
    half = (ends[0].weights()[name] + ends[1].weights()[name]) / 2
    torch.testing.assert_close(lines[0].weights()[name], half)


def test_the_measures_are_the_same_however_often_it_is_asked(tmp_path: Path) -> None:
    """They are read from the start, which is written once; a second run adds no rows."""
    description = _line(other=RunRef(OTHER), points=3)
    first = (run(tmp_path / "a", description).path / "metrics.csv").read_bytes()
    second = run(tmp_path / "a", description, options(weight_save_steps="4ep")).path
    assert (second / "metrics.csv").read_bytes() == first


def test_ends_that_share_no_state_are_refused(tmp_path: Path) -> None:
    """The line then says nothing of the noise of training, unless it is asked for all the same."""
    other = RunRef(dense(model_seed=9))
    with pytest.raises(UserError, match="share no state"):
        run(tmp_path / "a", BranchDesc(parent=dense(), branch=Interpolate(other=other)))
    branch = Interpolate(other=other, unrelated=True, points=2)
    run(tmp_path / "a", BranchDesc(parent=dense(), branch=branch))


def test_ends_that_began_alike_are_taken(tmp_path: Path) -> None:
    """The same initialization, trained in another order."""
    other = RunRef(dense(data_order_seed=9))
    branch = Interpolate(other=other, points=2)
    run(tmp_path / "a", BranchDesc(parent=dense(), branch=branch))
