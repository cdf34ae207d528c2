"""Gradient flow: its runs, to their number and their flags."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from foundations.tables import Metric
from papers.gradient_flow import MEASURES, NETWORKS, PAPER, AccuracyAt, Grid, filters_left
from papers.paper import Scale
from tests.papers.commanded import name_of

if TYPE_CHECKING:
    from pathlib import Path

RESNET = "--granularity=channels --coupling=independent --layers_to_ignore=conv --minimum_kept=1"
VGG = "--granularity=channels --minimum_fraction=.05"
ROUNDS = "--prune_fraction=.75 --prune_iterations=25"


def grid(network: str, dataset: str = "cifar100") -> Grid:
    """A grid at full scale."""
    return Grid.of(NETWORKS[network], dataset, Scale.FULL)


def test_five_measures_by_three_rounds_on_six_pairs() -> None:
    """And the unpruned network of each pair of a network and a data set."""
    studies = {name: make(Scale.FULL) for name, make in PAPER.studies.items()}
    found = {name: (len(study.table.cells), len(study.runs)) for name, study in studies.items()}
    pairs = [f"{network}_{data}" for network in NETWORKS for data in ("cifar10", "cifar100")]
    assert found == {
        **dict.fromkeys(pairs, (5 * 3 + 1, 5 * 3 + 1)),
        "rounding_cifar10": (2 * 2 * 2, 4),
        "rounding_cifar100": (2 * 2 * 2, 4),
    }
    names = {run.name for pair in pairs for run in studies[pair].runs}
    assert len(names) == 6 * 16


@pytest.mark.parametrize(
    ("network", "measure", "flags"),
    [
        ("resnet56", "magnitude", f"{RESNET} --strategy=filter_l2"),
        ("resnet56", "loss preservation", f"{RESNET} --strategy=wg"),
        ("resnet56", "biased loss", f"{RESNET} --strategy=w2g"),
        ("resnet56", "GraSP", f"{RESNET} --strategy=whg --score_temperature=200"),
        ("resnet56", "gradient preservation", f"{RESNET} --strategy=whg_abs"),
        ("vgg13", "magnitude", f"{VGG} --strategy=filter_l2"),
        ("mobilenet", "magnitude", f"{VGG} --strategy=filter_l2"),
    ],
)
def test_runs_are_those_of_the_readmes_commands(
    network: str, measure: str, flags: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In 25 rounds, to a quarter of the filters, on CIFAR-100."""
    run = grid(network).pruned(measure, 25)
    command = (
        f"branch train interleaved --default_hparams={NETWORKS[network].preset} {flags} "
        f"--schedule=gradient_flow {ROUNDS}"
    )
    assert name_of(command, tmp_path, capsys) == run.name


@pytest.mark.parametrize(
    ("network", "flags"),
    [
        ("resnet56", f"{RESNET} --schedule=gradient_flow_percents"),
        ("vgg13", f"{VGG} --schedule=gradient_flow_truncated"),
    ],
)
def test_published_roundings_are_schedules(
    network: str, flags: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows of the table on CIFAR-10."""
    cells = PAPER.studies["rounding_cifar10"](Scale.FULL).table.cells
    title = f"{NETWORKS[network].title} on cifar10, as published"
    run = cells[title, "filters left"].run
    assert run is not None
    command = (
        f"branch train interleaved --default_hparams={NETWORKS[network].preset} {flags} "
        f"--strategy=filter_l2 {ROUNDS} --dataset_name=cifar10"
    )
    assert name_of(command, tmp_path, capsys) == run.name


def test_no_number_is_made_up() -> None:
    """The tables of the paper are not at hand."""
    for make in PAPER.studies.values():
        assert not any(cell.published for cell in make(Scale.FULL).table.cells.values())


def test_training_is_drawn_every_ten_epochs() -> None:
    """Of the five measures and the unpruned network, in the most rounds."""
    _, figure = PAPER.studies["vgg13_cifar10"](Scale.FULL).figures
    labels = [curve.label for curve in figure.curves]
    assert labels == ["unpruned", *MEASURES]
    assert {tuple(point.x for point in curve.points) for curve in figure.curves} == {
        tuple(range(10, 161, 10))
    }


def test_accuracy_is_read_at_the_end_of_an_epoch() -> None:
    """Not the loss, nor another split's, nor another epoch's."""
    rows = [
        Metric(0, 0, "test", "accuracy", 0.1),
        Metric(12, 1, "test", "accuracy", 0.2),
        Metric(24, 2, "train", "accuracy", 0.3),
        Metric(24, 2, "test", "loss", 0.4),
    ]
    run = SimpleNamespace(metrics=rows)
    assert AccuracyAt(1)(run) == 0.2  # type: ignore[arg-type] # what stands in for a run
    assert AccuracyAt(2)(run) is None  # type: ignore[arg-type] # as above


@pytest.mark.parametrize(
    ("sparsity", "left"),
    [
        (None, None),
        ({"total": 4, "kept": 4}, None),
        ({"channels": 8, "channels_alive": 2}, 0.25),
    ],
)
def test_filters_left_are_those_with_a_weight(
    sparsity: dict[str, int] | None, left: float | None
) -> None:
    """Where they were counted."""
    assert filters_left(SimpleNamespace(sparsity=sparsity)) == left  # type: ignore[arg-type] # as above
