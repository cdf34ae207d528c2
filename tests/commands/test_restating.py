"""Branches that state hyperparameters anew, and their neighbours, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands.flags import flag_names
from datasets.hparams import DatasetHparams
from foundations.steps import Step
from tests.commands.conftest import DENSE, PRUNED, TINY, Cli
from training.hparams import TrainingHparams

FINETUNE = ("branch", PRUNED, "finetune", "--finetune_training_steps=1ep", "--threads=1", "--quiet")


def _place(cli: Cli, *words: str) -> Path:
    told = cli(*words, "--display_output_location")
    assert told.code == 0, told.err
    return Path(told.out.strip())


def _recipe(cli: Cli, *words: str) -> dict[str, object]:
    """How the run that a command makes is trained, as its start has it."""
    assert cli(*words).code == 0
    start = json.loads((_place(cli, *words) / "start.json").read_text())
    recipe: dict[str, object] = start["recipe"]["training"]
    return recipe


@pytest.mark.parametrize(
    ("kind", "groups"),
    [
        ("finetune", (TrainingHparams,)),
        ("distill", (TrainingHparams,)),
        ("retrain", (TrainingHparams, DatasetHparams)),
    ],
)
def test_every_field_of_the_groups_is_a_flag(
    cli: Cli, kind: str, groups: tuple[type[TrainingHparams], ...]
) -> None:
    """With the prefix of the branch, and a help that says what None is."""
    out = " ".join(cli("branch", "train", kind, "--help").out.split())
    for group in groups:
        for flag in flag_names(group):
            assert f"--{kind}_{flag.removeprefix('--')} " in out
    assert "None: as the parent has it" in out.replace("│ │ ", "")


def test_one_cycle_needs_no_other_flag(cli: Cli, done: Path) -> None:
    """The parent's constant rate, or milestones, are gone."""
    recipe = _recipe(
        cli,
        *FINETUNE,
        "--finetune_lr_schedule=one_cycle",
        "--finetune_lr=0.1",
        "--finetune_one_cycle_warmup_fraction=0.1",
    )
    assert (recipe["lr_schedule"], recipe["lr"], recipe["milestone_steps"]) == (
        "one_cycle",
        0.1,
        "",
    )
    assert recipe["one_cycle_warmup_fraction"] == 0.1


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--finetune_milestone_steps=2it,4it", "--finetune_gamma=0.5"], {"gamma": 0.5}),
        (["--finetune_milestone_steps="], {"milestone_steps": "", "gamma": None}),
        (["--finetune_milestone_steps=None"], {"milestone_steps": "", "lr": 0.001}),
        (["--finetune_lr=None"], {"lr": 0.1}),
        (["--finetune_optimizer_name=adam"], {"optimizer_name": "adam", "momentum": 0.0}),
        (["--finetune_apex_fp16=True"], {"numerics": "bfloat16"}),
        (["--finetune_warmup_steps=3it"], {"warmup_steps": "3it"}),
        (["--finetune_data_order_seed=5"], {"data_order_seed": 5}),
    ],
)
def test_flags_of_every_type(
    cli: Cli, done: Path, flags: list[str], expected: dict[str, object]
) -> None:
    """Lists of steps, none, numbers, names, truth values, steps and seeds."""
    recipe = _recipe(cli, *FINETUNE, *flags)
    assert recipe | expected == recipe


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--finetune_lr=fast", "is not a number"),
        ("--finetune_lr_schedule=one_circle", "one_cycle"),
        ("--finetune_learning_rate=1", "--finetune_"),
        ("--finetune_warmup_steps=soon", "is not a step"),
        ("--finetune_gamma=0.5", "With the flags that begin with --finetune_"),
        ("--finetune_without=lr", "is not allowed"),
        ("--lr=0.1", "--lr"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(cli: Cli, done: Path, flag: str, message: str) -> None:
    """Each names what is wrong, without a traceback."""
    told = cli(*FINETUNE, flag)
    assert told.code != 0
    assert message in told.err
    assert "Traceback" not in told.err


def test_retrain_and_scratch(cli: Cli, done: Path) -> None:
    """By flags alone; what is left out of a mask stays out, and B shows how long it is."""
    words = ("--retrain_lr=0.05", "--retrain_batch_size=32", "--retrain_subsample_fraction=0.5")
    assert cli("branch", PRUNED, "retrain", *words, "--quiet", "--threads=1").code == 0
    longer = ("branch", PRUNED, "scratch", "--budget=flops", "--quiet", "--threads=1")
    told = cli(*longer)
    assert told.code == 0, told.err
    end = json.loads((_place(cli, *longer) / "start.json").read_text())["end"]
    assert end > 3 * 46
    shown = cli("show", _place(cli, *longer).parent.name).out
    assert f"training: training_steps={Step.at(end, 23)}" in shown


def test_distill_from_runs_by_name(cli: Cli, done: Path) -> None:
    """Several, of which one is pruned; ls and show know them."""
    words = ("branch", PRUNED, "distill", f"--teachers={DENSE},{PRUNED}", "--threads=1", "--quiet")
    short = ("--distill_training_steps=1ep", "--distill_lr=0.01")
    told = cli(*words, *short)
    assert told.code == 0, told.err
    name = _place(cli, *words, *short).parent.name
    shown = cli("show", name).out
    assert f"teachers={DENSE},{PRUNED}" in cli("ls").out
    assert "last test accuracy of the ensemble" in shown
    assert cli("branch", PRUNED, "distill", "--teachers=nobody").code != 0
    assert "Who teaches" in cli("branch", PRUNED, "distill").err


def test_interpolate_by_flags(cli: Cli, done: Path) -> None:
    """Between two runs, and from a fork that is trained for it; losses are no percentages."""
    words = ("branch", DENSE, "interpolate", "--points=3", "--threads=1", "--quiet")
    assert cli(*words, f"--other={PRUNED}").code == 0
    told = cli(*words, "--fork_step=1ep", "--other_data_order_seed=5")
    assert told.code == 0, told.err
    place = _place(cli, *words, "--fork_step=1ep", "--other_data_order_seed=5")
    assert "test,accuracy at 0.5," in (place / "metrics.csv").read_text()
    line = next(
        row for row in cli("show", place.parent.name).out.split("\n") if "loss at 0.5" in row
    )
    assert "%" not in line
    assert "Between which ends" in cli(*words).err


def test_a_training_job_is_trained_and_fine_tuned_in_one_command(cli: Cli, root: Path) -> None:
    """The flags of both stand side by side: those of the branch have its prefix."""
    told = cli(
        "branch", "train", "finetune", *TINY, "--finetune_training_steps=1ep", "--lr=0.2", "--quiet"
    )
    assert told.code == 0, told.err
    assert len(list(root.glob("*/replicate_1/done.json"))) == 2
