"""Granularity: its runs, to their number, their flags and their units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from branches.base import branch_of, recipe_of
from foundations.description import BranchDesc
from models.build import build
from papers.granularity import PAPER
from papers.granularity_tasks import dbsn, resnet20
from papers.paper import Scale
from pruning.begun import begun
from pruning.hparams import PruningHparams
from pruning.subject import Subject
from tests.papers.commanded import name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from foundations.description import Description
    from papers.granularity_tasks import Task

RESNET = resnet20(Scale.FULL)
IGNORED = "fc,blocks.3.shortcut,blocks.6.shortcut"
COUNTS = {
    "dbsn": (36, 36),
    "dbsn_allowed": (21, 36),
    "dbsn_where_random_is": (4, 36),
    "dbsn_rounds": (20, 20),
    "dbsn_by_layer": (20, 20),
    "dbsn_controls": (30, 30),
    "resnet20": (51, 51),
    "resnet20_allowed": (30, 51),
    "resnet20_where_random_is": (6, 51),
    "resnet20_rounds": (28, 28),
    "resnet20_by_layer": (45, 45),
    "resnet20_controls": (45, 45),
}
"""Cells and runs of each table."""


def test_every_table_has_the_cells_and_runs_of_its_grid() -> None:
    """Those of ResNet-20 on CIFAR-100 as many as on CIFAR-10."""
    also = {
        name.replace("resnet20", "resnet20_cifar100"): count
        for name, count in COUNTS.items()
        if name.startswith("resnet20")
    }
    studies = {name: make(Scale.FULL) for name, make in PAPER.studies.items()}
    found = {name: (len(study.table.cells), len(study.runs)) for name, study in studies.items()}
    assert found == COUNTS | also


def test_data_sets_share_no_run_and_tables_of_one_do() -> None:
    """What is allowed is read from the runs of the first table; on CIFAR-100 they are others."""
    names = {
        name: {run.name for run in PAPER.studies[name](Scale.FULL).runs}
        for name in ("resnet20", "resnet20_allowed", "resnet20_where_random_is")
    }
    assert names["resnet20"] == names["resnet20_allowed"] == names["resnet20_where_random_is"]
    other = {run.name for run in PAPER.studies["resnet20_cifar100"](Scale.FULL).runs}
    assert not other & names["resnet20"]


@pytest.mark.parametrize(
    ("run", "command"),
    [
        (RESNET.dense, "train --default_hparams=granularity_resnet_20"),
        (
            resnet20(Scale.FULL, dataset="cifar100").dense,
            (
                "train --default_hparams=granularity_resnet_20 --dataset_name=cifar100 "
                "--normalize=cifar100"
            ),
        ),
        (
            RESNET.pruned("weights", "magnitude", 0.125, 5),
            (
                "iterative --default_hparams=granularity_resnet_20 --rounds=5 "
                f"--pruning_fraction=0.875 --pruning_layers_to_ignore={IGNORED}"
            ),
        ),
        (
            RESNET.random("weights", 0.125),
            (
                "branch train oneshot --default_hparams=granularity_resnet_20 --strategy=random "
                f"--prune_fraction=0.875 --allocation=uniform --layers_to_ignore={IGNORED}"
            ),
        ),
        (
            RESNET.pruned("kernels", "snip", 0.5, 0),
            (
                "branch train oneshot --default_hparams=granularity_resnet_20 "
                "--granularity=kernels --strategy=gate_saliency --prune_fraction=0.5 "
                f"--layers_to_ignore={IGNORED}"
            ),
        ),
        (
            RESNET.pruned("channels", "magnitude", 0.5, 2, "stages"),
            (
                "iterative --default_hparams=granularity_resnet_20 --pruning_granularity=gates "
                "--pruning_allocation=stages --rounds=2 --pruning_fraction=0.5"
            ),
        ),
        (
            dbsn(Scale.FULL).pruned("nodes", "magnitude", 0.5, 2),
            (
                "iterative --default_hparams=mnist_dbsn --pruning_granularity=nodes --rounds=2 "
                "--pruning_fraction=0.5"
            ),
        ),
        (
            dbsn(Scale.FULL).pruned("nodes", "stat", 0.5, 0),
            (
                "branch train oneshot --default_hparams=mnist_dbsn --granularity=nodes "
                "--strategy=activation_statistics --prune_fraction=0.5"
            ),
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else value.name,
)
def test_runs_are_those_of_the_commands(
    run: Description, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That stand for those of the published code."""
    assert name_of(command, tmp_path, capsys) == run.name


def test_controls_are_those_of_the_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """New weights under the mask, and a random mask with its counts on the first weights."""
    cells = PAPER.studies["resnet20_controls"](Scale.FULL).table.cells
    row = "weights, 12.5 % kept"
    end = cells[row, "as it is"].run
    assert end is not None
    columns = {
        "reinitialized": "branch ITERATIVE reinit",
        "layer-matched random": "branch train layer_matched "
        "--default_hparams=granularity_resnet_20 --counts_of=ITERATIVE",
    }
    for column, command in columns.items():
        run = cells[row, column].run
        assert run is not None
        assert name_of(command, tmp_path, capsys, ITERATIVE=end) == run.name


@pytest.mark.parametrize(
    ("make", "shape", "units"),
    [
        (resnet20, (3, 32, 32), {"weights": 267_696, "kernels": 29_744, "channels": 688}),
        (dbsn, (1, 28, 28), {"weights": 11_965_000, "nodes": 7_500}),
    ],
)
def test_as_many_units_may_go_as_in_the_published_code(
    make: Callable[[Scale], Task], shape: tuple[int, int, int], units: dict[str, int]
) -> None:
    """The elements of its masks: no shortcut, and of ResNet-20 not the output layer."""
    task = make(Scale.FULL)
    network = build(recipe_of(task.dense).model, shape=shape, classes=10, seed=1)
    found = {}
    for granularity in task.granularities:
        run = task.pruned(granularity, "magnitude", 0.5, 0)
        assert isinstance(run, BranchDesc)
        hparams = branch_of(run)
        assert isinstance(hparams, PruningHparams)
        start = begun(Subject(network, hparams, shape), dict(network.state_dict()), None)
        found[granularity] = start.units.kept
    assert found == units


def test_the_abstracts_numbers_stand_beside_the_best_criterion() -> None:
    """90.0, 86.5 and 85.5 %, on CIFAR-10 alone, with where they stand."""
    cells = PAPER.studies["resnet20_where_random_is"](Scale.FULL).table.cells
    found = {row: cell.published for (row, _), cell in cells.items() if cell.published}
    assert {row: number.value for row, number in found.items()} == {
        "weights": 0.9,
        "kernels": 0.865,
        "channels": 0.855,
    }
    assert all("doi:10.1162/neco_a_01717" in number.where for number in found.values())
    for scale in Scale:
        other = PAPER.studies["resnet20_cifar100_where_random_is"](scale).table
        assert not any(cell.published for cell in other.cells.values())


def test_the_best_is_of_all_criteria_but_the_random_one() -> None:
    """Which crosses first: unpruned, random at five fractions, then two criteria, or three."""
    cells = PAPER.studies["resnet20_where_random_is"](Scale.FULL).table.cells
    runs = {row: cells[row, "best criterion"].runs for row in ("weights", "channels")}
    assert runs["weights"][0] == RESNET.dense
    assert runs["weights"][1:6] == RESNET.curve("weights", "random")
    assert [len(each) for each in runs.values()] == [1 + 3 * 5, 1 + 4 * 5]
