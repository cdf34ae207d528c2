"""Nip it in the bud: its runs, to their number and their flags."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from branches.describing import describe
from papers.nip_it_in_the_bud import PAPER, densenet, error_of, wide_resnet
from papers.paper import Scale
from tests.papers.commanded import name_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from foundations.description import Description

WIDE, DENSE = wide_resnet(Scale.FULL), densenet(Scale.FULL)
CUTTING = "interleaved --granularity=channels --coupling=inner --cut_units=1 --prune_every=100it"


def test_every_table_has_the_cells_and_runs_of_its_grid() -> None:
    """Three cells for each number of cuts and criterion, two for each smaller network."""
    found = {}
    for name, make in PAPER.studies.items():
        study = make(Scale.FULL)
        found[name] = len(study.table.cells), len(study.runs)
    assert found == {
        "wide_resnet": (2 + 2 * 13 * 3 + 11 * 2, 1 + 2 * 13 * 2 + 11),
        "densenet": (2 + 2 * 8 * 3 + 10 * 2, 1 + 2 * 8 * 2 + 10),
    }


def test_pruned_runs_are_those_of_the_readmes_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two of WRN-40-2, and Fisher's of the DenseNet."""
    fisher = "--strategy=fisher_activations --track=all"
    of_wide = "--prune_iterations=1300 --prune_lr=8e-4 --state_step=200ep"
    of_dense = (
        "--prune_iterations=2600 --prune_lr=1e-3 --interleaved_weight_decay=1e-4 --state_step=300ep"
    )
    for experiment, criterion, flags in (
        (WIDE, "Fisher", f"{of_wide} {fisher}"),
        (WIDE, "l1", f"{of_wide} --strategy=filter_l1"),
        (DENSE, "Fisher", f"{of_dense} {fisher}"),
    ):
        command = f"branch BASE {CUTTING} {flags}"
        found = name_of(command, tmp_path, capsys, BASE=experiment.dense)
        assert found == experiment.pruned(criterion).name


@pytest.mark.parametrize(
    ("command", "made"),
    [
        ("scratch --plain --as_dense --state_step=prunes:500", WIDE.scratch),
        (
            "finetune --state_step=prunes:500 --finetune_training_steps=100it --finetune_lr=8e-4",
            WIDE.tuned,
        ),
    ],
    ids=["scratch", "tuned"],
)
def test_states_are_those_behind_a_number_of_cuts(
    command: str,
    made: Callable[[str, int], Description],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the command line names them."""
    found = name_of(f"branch FISHER {command}", tmp_path, capsys, FISHER=WIDE.pruned("Fisher"))
    assert found == made("Fisher", 500).name


def test_reduced_networks_are_trained_like_their_presets() -> None:
    """Of less depth, less width or growth, and narrower bottlenecks."""
    for experiment in (WIDE, DENSE):
        for networks in experiment.reduced.values():
            for network in networks.values():
                assert experiment.smaller(network) == describe(network)


def test_the_figure_has_a_line_for_each_way_and_each_reduction() -> None:
    """All begin with the network itself."""
    (figure,) = PAPER.studies["wide_resnet"](Scale.FULL).figures
    assert [(curve.label, len(curve.points)) for curve in figure.curves] == [
        ("Fisher, pruned and tuned", 14),
        ("Fisher, from scratch", 14),
        ("l1, pruned and tuned", 14),
        ("l1, from scratch", 14),
        ("reduced depth", 6),
        ("reduced width", 4),
        ("reduced bottleneck", 4),
    ]
    assert {curve.points[0].run for curve in figure.curves} == {WIDE.dense}


def test_error_is_what_accuracy_lacks() -> None:
    """Nothing is said where there is none."""
    assert error_of(SimpleNamespace(accuracy=0.75)) == 0.25  # type: ignore[arg-type] # as above
    assert error_of(SimpleNamespace(accuracy=None)) is None  # type: ignore[arg-type] # as above
