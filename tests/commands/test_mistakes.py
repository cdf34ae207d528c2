"""What a mistake on the command line gets: one clear message, exit code 2, and no traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from commands.flags import _message
from tests.commands.conftest import BRANCH, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli

MISTYPED = [
    (("trian",), "'train'"),
    (("train", "--weigth_decay=1"), "--weight_decay"),
    (("train", "--quite"), "--quiet"),
    (("train", "--default_hparams=digit_lenet"), "'digits_lenet'"),
    (("train", "--default_hparams=cifar_resnet_21"), "'cifar_resnet_20'"),
    (("train", "--model_name=cifar_vg_16"), "'cifar_vgg_16'"),
    (("train", "--dataset_name=minst"), "'mnist'"),
    (("train", "--platform=locall"), "'local'"),
    (("train", "--device=cdua"), "'cuda'"),
    (("train", "--optimizer_name=sdg"), "'sgd'"),
    (("train", "--lr_schedule=onecycle"), "'one_cycle'"),
    (("train", "--numerics=bf16"), "'bfloat16'"),
    (("train", "--model_init=orthogonall"), "'orthogonal'"),
    (("train", "--evaluate_on=tset"), "'test'"),
    (("branch", "train", "one_shot"), "'oneshot'"),
    ((*BRANCH, "--strategy=magnitud"), "'magnitude'"),
    ((*BRANCH, "--strategy=snap7"), "'snip7'"),
    ((*BRANCH, "--prune_fractoin=0.5"), "--prune_fraction"),
    (("ls", "--tere"), "--tree"),
    (("show", "train_104e77"), "'train_103e77148cddb534'"),
    (("branch", "onshot_91", "oneshot"), "'oneshot_91d20c5d0fcfd14e'"),
    ((*BRANCH, "--prune_experiment=trian_103e"), "'train_103e77148cddb534'"),
]


@pytest.mark.parametrize(("words", "near"), MISTYPED, ids=[" ".join(w) for w, _ in MISTYPED])
def test_the_nearest_is_suggested(cli: Cli, done: Path, words: tuple[str, ...], near: str) -> None:
    """A name that is nearly right gets the right one suggested."""
    told = cli(*words)
    assert told.code == 2
    assert told.out == ""
    assert told.err.startswith("open_prune: ")
    assert f"Did you mean {near}?" in told.err


REFUSED = [
    (("train", "--lr=fast"), "--lr: 'fast' is not a number."),
    (("train", "--batch_size=1.5"), "--batch_size: "),
    (("train", "--batch_size=0"), "batch_size=0 is not allowed"),
    (("train", "--lr"), "Missing value for argument '--lr'"),
    (("train", "--lr=-0.1"), "lr=-0.1 is not allowed"),
    (("train", "--training_steps=5"), "'5' is not a step"),
    (("train", "--training_steps=-5ep"), "'-5ep' is not a step"),
    (("train", "--milestone_steps=80ep"), "milestones need --gamma"),
    (("train", "--gamma=0.1"), "gamma=0.1 is not allowed: it needs --milestone_steps"),
    (("train", "stray"), "Unrecognized options: stray"),
    (("train", "--quiet=yes"), "--quiet takes no value: write --quiet, or leave it out."),
    (("train", "--top_k=a"), "--top_k: 'a' is not a list of whole numbers."),
    (("train", "--top_k=0"), "top_k=0 is not allowed"),
    (("train", "--replicate=-1"), "replicate=-1 is not allowed"),
    (("train", "--replicates=3-1"), "'3-1' names no number"),
    (("train", "--replicates=²"), "'²' is not a list of numbers"),
    (("train", "--threads=0"), "threads=0 is not allowed"),
    (("train", "--checkpoint_every=0it"), "checkpoint_every=0ep is not allowed"),
    ((*BRANCH, "--prune_fraction=2"), "prune_fraction=2.0 is not allowed: it must be in [0, 1]"),
    ((*BRANCH, "--strategy=snip"), "for instance 'snip10'"),
    ((*BRANCH, "--prune_iterations=0"), "prune_iterations=0 is not allowed"),
    (("show",), "Which run?"),
    (("branch",), "usage: open_prune.py branch PARENT BRANCH"),
    (("branch", "train"), "usage: open_prune.py branch PARENT BRANCH"),
    (("show", "train_103", "--replicate=7"), "There is no replicate 7"),
    (("branch", "train_103", "oneshot", "--lr=0.5"), "--lr describes a training job"),
    (("branch", "trian", "oneshot", "--lr=0.5"), "There is no run 'trian'. Did you mean 'train'?"),
    (("branch", "nothing", "oneshot", "--lr=0.5"), "There is no run 'nothing'"),
    (
        ("branch", "train_103", "oneshot", "--default-hparams=mnist_lenet_100"),
        "--default_hparams describes a training job",
    ),
    (
        ("branch", "train_103/replicate_1", "oneshot", "--replicates=1-2"),
        "train_103/replicate_1 names a replicate, and --replicate",
    ),
    ((*TRAIN, "--weight_save_steps=50ep"), "has no state at 50ep: it "),
    ((*BRANCH, "--prune_step=50ep"), "has no state at 50ep: it "),
    ((*BRANCH, "--start_step=50ep"), "cannot begin at 50ep"),
    ((*TRAIN, "--model_name=cifar_vgg_16"), "needs images of 32 x 32 pixels"),
    (
        ("train", "--default_hparams=mnist_lenet_100", "--data_root=/nowhere"),
        "The data root is /nowhere; --data_root=DIR",
    ),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[" ".join(w) for w, _ in REFUSED])
def test_a_mistake_gets_one_clear_message(
    cli: Cli, done: Path, words: tuple[str, ...], said: str
) -> None:
    """It says what is wrong and what is allowed, and nothing is complete that was not."""
    complete = set(done.rglob("done.json"))
    told = cli(*words)
    assert told.code == 2
    assert told.err.startswith("open_prune: ")
    assert said in told.err
    assert "Traceback" not in told.err
    assert not set("╭│─") & set(told.err)
    assert set(done.rglob("done.json")) == complete


@pytest.mark.parametrize(
    "words", [TRAIN, BRANCH, ("ls",), ("show", "train")], ids=["train", "branch", "ls", "show"]
)
def test_a_root_that_is_a_file(cli: Cli, tmp_path: Path, words: tuple[str, ...]) -> None:
    """A file in the place of a directory is no traceback; writing says how to choose another."""
    (tmp_path / "file").write_text("in the way")
    for place in ("file", "file/below"):
        told = cli(*words, f"--root={tmp_path / place}")
        assert told.code == 2
        assert str(tmp_path / place) in told.err
        assert "--root=DIR" in told.err or words[0] in {"ls", "show"}


def test_an_ambiguous_beginning(cli: Cli, done: Path) -> None:
    """The runs that it can be are listed."""
    assert cli(*TRAIN, "--replicate=2", "--quiet").code == 0
    told = cli("show", "train_103")
    assert told.code == 2
    assert "train_103e77148cddb534/replicate_1, train_103e77148cddb534/replicate_2" in told.err
    assert cli("show", "train_103", "--replicate=2").code == 0
    assert cli("show", "train_103e77148cddb534/replicate_2").code == 0


def test_no_command_shows_the_usage(cli: Cli) -> None:
    """Without a command, the commands are listed, and the exit code is that of a mistake."""
    told = cli()
    assert told.code == 2
    assert "usage: open_prune.py COMMAND [flags]" in told.out


@pytest.mark.parametrize("printed", ["unicode", "ascii"])
def test_tyros_message_is_taken_out_of_its_frame(printed: str) -> None:
    """Title, frame and help text are left out, whatever the terminal can show."""
    frames = {
        "unicode": "╭─ Value error ─╮\n│ It is 1 not   │\n│ 2             │\n│ ───────────── │\n"
        "│ Argument help │\n╰───────────────╯\n",
        "ascii": " Value error     \n --------------- \n  It is 1 not    \n  2              \n"
        "  ---------------\n  Argument help  \n",
    }
    assert _message(frames[printed], "me") == "It is 1 not 2. See me --help."
