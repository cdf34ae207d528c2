"""Steps that are named by cuts: ``prunes:3``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from branches.interleaved import Interleaved
from commands.cuts import step_of_cut
from foundations.description import BranchDesc
from foundations.errors import UserError
from foundations.steps import Step
from tests.branches.runs import dense, pruned

if TYPE_CHECKING:
    from tests.commands.conftest import Cli

FLAGS = (
    "--default_hparams=digits_lenet",
    "--model_name=digits_lenet_8",
    "--training_steps=4ep",
    "--granularity=nodes",
    "--prune_every=20it",
    "--prune_iterations=3",
    "--threads=1",
    "--quiet",
)


def test_cuts_are_counted_from_where_the_first_round_begins() -> None:
    """Start, warm-up and as many rounds; with none, the start."""
    branch = Interleaved(
        start_step=Step(1), prune_after=Step(2, 5), prune_every=Step(0, 100), prune_iterations=9
    )
    run = BranchDesc(parent=dense(), branch=branch)
    assert [step_of_cut(run, count) for count in (0, 1, 9)] == [
        Step(1),
        Step(3, 105),
        Step(3, 905),
    ]
    with pytest.raises(UserError, match="makes 9 cuts: there is no prunes:10"):
        step_of_cut(run, 10)
    with pytest.raises(UserError, match="counts the cuts of a run that prunes while it trains"):
        step_of_cut(pruned(), 1)


def test_a_command_takes_the_state_behind_so_many_cuts(cli: Cli) -> None:
    """To evaluate it, and to grow on it."""
    assert cli("branch", "train", "interleaved", *FLAGS).code == 0
    one, two = (
        cli("eval", "interleaved", f"--state_step={step}", "--json", "--threads=1").out
        for step in ("prunes:2", "40it")
    )
    assert one == two
    grown = cli(
        "branch", "interleaved", "finetune", "--state_step", "prunes:2", "--dry_run",
        "--finetune_training_steps=1it",
    )  # fmt: skip
    same = cli(
        "branch", "interleaved", "finetune", "--state_step=40it", "--dry_run",
        "--finetune_training_steps=1it",
    )  # fmt: skip
    assert grown.code == 0, grown.err
    assert grown.out == same.out
    steps = "--weight_save_steps=prunes:1,1it"
    saved = cli("branch", "interleaved", "finetune", steps, "--dry_run")
    assert saved.code == 0, saved.err
    wrong = cli("eval", "interleaved", "--state_step=prunes:many")
    assert wrong.code != 0
    assert "write prunes:300" in wrong.err
    assert cli("eval", "interleaved", "--state_step=prunes:4").code != 0


def test_how_many_units_are_left_is_shown_as_a_number(cli: Cli) -> None:
    """Two of eight, not two hundred percent."""
    assert cli("branch", "train", "interleaved", *FLAGS, "--prune_fraction=.75").code == 0
    assert "  last mask kept 2 after epoch 2\n" in cli("show", "interleaved").out
