"""Flags: every one of OpenLTH's is there and works; groups share none; how values are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from branches import KINDS, branches
from commands.flags import flag_names, numbers, value_of
from commands.hparams import CommandFlags
from foundations.errors import UserError
from platforms import PLATFORMS
from tests.commands.conftest import BRANCH, TRAIN, Cli
from training.description import TrainDesc
from training.hparams import RunOptions

if TYPE_CHECKING:
    from foundations.hparams import Hparams

HASHED = {
    "dataset_name": "digits --dataset_name=mnist",
    "batch_size": "32",
    "do_not_augment": "",
    "transformation_seed": "5",
    "subsample_fraction": "0.5",
    "random_labels_fraction": "0.5",
    "unsupervised_labels": "rotation",
    "blur_factor": "2",
    "model_name": "digits_lenet_9",
    "model_init": "orthogonal",
    "batchnorm_init": "fixed",
    "batchnorm_frozen": "",
    "output_frozen": "",
    "others_frozen": "",
    "others_frozen_exceptions": "fc_layers.0 --others_frozen",
    "optimizer_name": "adam",
    "lr": "0.01",
    "training_steps": "1ep1it",
    "data_order_seed": "5",
    "momentum": "0.9",
    "nesterov_momentum": "0.9",
    "milestone_steps": "1ep,30it --gamma=0.1",
    "gamma": "0.5 --milestone_steps=1ep",
    "warmup_steps": "1ep",
    "weight_decay": "1e-4",
    "apex_fp16": "",
}
"""OpenLTH's hyperparameters of ``train``, with a value that is not the default."""

NOT_HASHED = {
    "replicate": "1",
    "default_hparams": "digits_lenet_8",
    "quiet": "",
    "evaluate_only_at_end": "",
    "weight_save_steps": "1ep,30it",
    "platform": "local",
    "num_workers": "0",
    "display_output_location": "",
}
"""OpenLTH's flags that do not change what a run is."""

ONESHOT = {
    "strategy": "synflow",
    "prune_fraction": "0.5",
    "prune_experiment": "train",
    "prune_step": "1ep",
    "prune_highest": "",
    "prune_iterations": "3",
    "randomize_layerwise": "",
    "state_experiment": "train",
    "state_step": "1ep",
    "start_step": "1ep",
    "seed": "5",
    "reinitialize": "",
}
"""Every flag of the one-shot branch, with a value that is not the default."""


def _words(flag: str, value: str) -> list[str]:
    first, *more = value.split(" ")
    return [f"--{flag}={first}" if first else f"--{flag}", *more]


def _place(cli: Cli, *words: str) -> str:
    told = cli(*words, "--display_output_location")
    assert told.code == 0, told.err
    return told.out


@pytest.mark.parametrize("flag", HASHED)
def test_a_hyperparameter_of_openlth(cli: Cli, flag: str) -> None:
    """It makes another run, which trains; 16-bit arithmetic and others included."""
    words = [*TRAIN, *_words(flag, HASHED[flag])]
    assert _place(cli, *words) != _place(cli, *TRAIN)
    if flag != "dataset_name":  # the real MNIST need not be there
        assert cli(*words, "--quiet").code == 0


@pytest.mark.parametrize("flag", NOT_HASHED)
def test_a_flag_of_openlth_that_does_not_make_another_run(cli: Cli, flag: str) -> None:
    """It says where or how, not what: the directory is the same."""
    assert _place(cli, *TRAIN, *_words(flag, NOT_HASHED[flag])) == _place(cli, *TRAIN)


@pytest.mark.parametrize("flag", ONESHOT)
def test_a_flag_of_oneshot(cli: Cli, done: object, flag: str) -> None:
    """It makes another run, which trains to its end."""
    words = [*BRANCH, *_words(flag, ONESHOT[flag])]
    assert _place(cli, *words) != _place(cli, *BRANCH)
    told = cli(*words, "--quiet")
    assert told.code == 0
    assert len([row for row in told.rows if len(row) == 7]) == 3


def test_openlths_flags_are_all_flags() -> None:
    """No flag of its train and oneshot is missing from ours."""
    ours = flag_names(CommandFlags) | flag_names(TrainDesc) | flag_names(RunOptions)
    ours |= flag_names(PLATFORMS["local"])
    assert {f"--{name}" for name in HASHED | NOT_HASHED} <= ours
    assert {f"--{name}" for name in ONESHOT} <= flag_names(KINDS["oneshot"])


@pytest.mark.parametrize("command", ["train", *branches()])
@pytest.mark.parametrize("platform", list(PLATFORMS))
def test_no_two_groups_share_a_flag(command: str, platform: str) -> None:
    """Flags are flat: one that two groups had would set both, or neither."""
    groups: list[type[Hparams]] = [CommandFlags, TrainDesc, RunOptions, PLATFORMS[platform]]
    groups += [] if command == "train" else [KINDS[command]]
    names = [flag_names(group) for group in groups]
    assert sum(map(len, names)) == len(set().union(*names))


@pytest.mark.parametrize("spelling", ["prune_fraction", "prune-fraction"])
def test_dashes_are_underscores(cli: Cli, spelling: str) -> None:
    """Both spellings name one flag."""
    dashed = _place(cli, *BRANCH, f"--{spelling}=0.3")
    assert dashed == _place(cli, *BRANCH, "--prune_fraction", "0.3")
    assert dashed != _place(cli, *BRANCH)


def test_a_preset_is_chosen_in_either_spelling(cli: Cli) -> None:
    """The preset must be known before the other flags are, and is then, too."""
    presets = [("--default-hparams=cifar_resnet_8",), ("--default_hparams", "cifar_resnet_8")]
    places = {_place(cli, "train", *words) for words in presets}
    assert len(places) == 1
    assert places != {_place(cli, "train")}


def test_flags_override_the_preset(cli: Cli) -> None:
    """The order of the words does not matter, and a value that is the preset's changes nothing."""
    before = _place(cli, "train", "--lr=0.3", "--default_hparams=mnist_lenet_100")
    after = _place(cli, "train", "--default_hparams=mnist_lenet_100", "--lr=0.3")
    assert before == after
    stated = _place(cli, "train", "--default_hparams=mnist_lenet_100", "--lr=0.1")
    assert stated == _place(cli, "train", "--default_hparams=mnist_lenet_100")


def test_milestones_of_a_preset_can_be_taken_away(cli: Cli) -> None:
    """A preset with milestones can be run with others, or with none."""
    preset = ("train", "--default_hparams=cifar_resnet_8")
    others = {
        _place(cli, *preset),
        _place(cli, *preset, "--milestone_steps=", "--gamma=None"),
        _place(cli, *preset, "--milestone_steps=80ep"),
        _place(cli, *preset, "--milestone_steps=40ep,80ep,120ep"),
    }
    assert len(others) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1-5", (1, 2, 3, 4, 5)), ("1,3,7", (1, 3, 7)), ("0", (0,)), ("2-3, 3-4", (2, 3, 4))],
)
def test_numbers(text: str, expected: tuple[int, ...]) -> None:
    """Ranges and lists, each number once."""
    assert numbers(text) == expected


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "5-3", "1..3", "1,,2", "²", "1-2-3"])
def test_what_are_no_numbers(text: str) -> None:
    """Anything else is refused with how to write it."""
    with pytest.raises(UserError, match=r"write ('1-5'|ranges)"):
        numbers(text)


def test_the_last_value_of_a_flag_counts() -> None:
    """In every way in which flags are written."""
    assert value_of("--root", ["--root", "a", "--root=b"]) == "b"
    assert value_of("--root", ["--root=b", "--root", "a"]) == "a"
    assert value_of("--root", ["--roots=b"]) is None
    assert value_of("--default_hparams", ["--default-hparams=x"]) == "x"
    assert value_of("--root", ["--root"]) is None
