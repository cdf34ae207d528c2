"""Missing the Mark: its runs, to their number and their flags."""

from __future__ import annotations

from typing import Any

import pytest

from branches.base import recipe_of
from branches.describing import branch, describe
from foundations.description import BranchDesc
from papers.grids import below
from papers.missing_the_mark import PAPER, ablated
from papers.paper import Scale

NETWORKS = {"resnet20": 18, "vgg16": 14, "resnet18": 18, "resnet50": 18}
"""Tables, and how many sparsities each has."""

RESNET = describe("cifar_resnet_20")
FRACTION = 1 - 0.8**3


@pytest.mark.parametrize(("name", "levels"), NETWORKS.items())
def test_every_method_is_run_at_every_sparsity(name: str, levels: int) -> None:
    """Six strategies at initialization, two ways after training, and the dense network once."""
    study = PAPER.studies[name](Scale.FULL)
    assert len(study.table.cells) == 8 * (levels + 1)
    assert len(study.runs) == 8 * levels + 1
    assert study.replicates == (1, 2, 3)


@pytest.mark.parametrize(("name", "levels"), NETWORKS.items())
def test_strategies_are_run_after_training_too(name: str, levels: int) -> None:
    """Magnitude is one of the ways after training of the first table: the same runs."""
    later = PAPER.studies[f"{name}_after_training"](Scale.FULL)
    assert len(later.runs) == 6 * levels + 1
    first = {run.name for run in PAPER.studies[name](Scale.FULL).runs}
    assert len(first & {run.name for run in later.runs}) == levels + 1


@pytest.mark.parametrize(("name", "levels"), NETWORKS.items())
def test_ablations_are_of_every_method_but_the_random_one(name: str, levels: int) -> None:
    """Both ways after training are one run on new weights; all are beside the method as it is."""
    study = PAPER.studies[f"{name}_ablations"](Scale.FULL)
    assert len(study.table.cells) == 7 * 4 * levels
    assert len(study.runs) == (7 * 4 - 1) * levels + 1  # the dense one is a line in the figures
    assert len(study.figures) == 7 * 2


@pytest.mark.parametrize(("name", "levels"), NETWORKS.items())
def test_ablations_are_of_pruning_after_training_too(name: str, levels: int) -> None:
    """Of each strategy; what scores the end of training does so still."""
    study = PAPER.studies[f"{name}_after_training_ablations"](Scale.FULL)
    assert len(study.table.cells) == 5 * 4 * levels
    assert len(study.runs) == 5 * 4 * levels + 1
    runs = [run for run in study.runs if isinstance(run, BranchDesc)]
    steps = {run.branch.to_dict()["prune_step"] for run in runs}
    assert steps == {str(recipe_of(study.runs[-1]).training.training_steps)}
    later = PAPER.studies[f"{name}_after_training"](Scale.FULL)
    assert len({run.name for run in later.runs} & {run.name for run in runs}) == 5 * levels


@pytest.mark.parametrize(
    ("method", "flags"),
    [
        ("random", {"strategy": "random"}),
        ("magnitude", {"strategy": "magnitude"}),
        ("snip10", {"strategy": "snip10"}),
        ("grasp10", {"strategy": "grasp10", "prune_highest": True}),
        ("graspabs10", {"strategy": "graspabs10"}),
        ("synflow", {"strategy": "synflow", "prune_iterations": 100}),
        (
            "lottery ticket rewinding",
            {"prune_step": "160ep", "state_step": "1000it", "start_step": "1000it"},
        ),
        ("learning rate rewinding", {"prune_step": "160ep", "state_step": "160ep"}),
    ],
)
def test_a_method_is_the_branch_that_its_command_makes(method: str, flags: dict[str, Any]) -> None:
    """With the flags of the published code."""
    cell = PAPER.studies["resnet20"](Scale.FULL).table.cells["48.8 %", method]
    assert cell.run == branch(RESNET, "oneshot", prune_fraction=FRACTION, **flags)


def test_rows_are_sparsities_and_the_first_is_none() -> None:
    """In which all methods are the dense network."""
    table = PAPER.studies["resnet20"](Scale.FULL).table
    assert table.rows[:4] == ("0.0 %", "20.0 %", "36.0 %", "48.8 %")
    assert table.rows[-1] == "98.2 %"
    assert {table.cells["0.0 %", method].run for method in table.columns} == {RESNET}


def test_ablations_change_one_thing() -> None:
    """The mask's places, the weights, or the end of the scores that is cut."""
    grasp = {"strategy": "grasp10", "prune_highest": True}
    assert ablated(grasp, "shuffled") == {**grasp, "randomize_layerwise": True}
    assert ablated(grasp, "reinitialized") == {**grasp, "reinitialize": True}
    assert ablated(grasp, "inverted") == {"strategy": "grasp10", "prune_highest": False}
    assert ablated({"strategy": "snip10"}, "inverted")["prune_highest"] is True


def test_new_weights_are_trained_from_the_beginning() -> None:
    """Wherever the weights of the method go back to."""
    rewound = {"prune_step": "160ep", "state_step": "1000it", "start_step": "1000it"}
    assert ablated(rewound, "reinitialized") == {"prune_step": "160ep", "reinitialize": True}


def test_nothing_is_published_without_a_source() -> None:
    """No number of this paper is at hand."""
    for make in PAPER.studies.values():
        assert not [cell for _, _, cell in make(Scale.SMOKE).table.in_order if cell.published]


@pytest.mark.parametrize("name", PAPER.studies)
def test_smoke_is_the_same_in_small(name: str) -> None:
    """The same columns and figures, two sparsities, one replicate, on digits."""
    full, smoke = (PAPER.studies[name](scale) for scale in (Scale.FULL, Scale.SMOKE))
    assert smoke.table.columns == full.table.columns
    assert [figure.name for figure in smoke.figures] == [figure.name for figure in full.figures]
    assert smoke.replicates == (1,)
    assert set(below(Scale.SMOKE)) <= {*smoke.notes} - {*full.notes}
    runs = [run for run in smoke.runs if isinstance(run, BranchDesc)]
    assert len({run.branch.to_dict()["prune_fraction"] for run in runs}) == 2
