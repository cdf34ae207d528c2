"""``iterative``: rounds of training and pruning to a fraction of all."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

import open_prune

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli, Told

SHORT = ("--default_hparams=digits_lenet_8", "--training_steps=6it", "--threads=1")
ITERATIVE = ("iterative", *SHORT, "--pruning_layers_to_ignore=")


def _rows(told: Told) -> list[list[str]]:
    """The rows of the table at the end, without its head."""
    assert told.code == 0, told.err
    head = next(at for at, row in enumerate(told.rows) if row[:1] == ["run"])
    return [row for row in told.rows[head + 1 :] if row]


def _kept(told: Told) -> list[int]:
    """How many weights each of the runs keeps."""
    return [int(row[-3].split("(")[1].split(" of ")[0].replace(",", "")) for row in _rows(told)]


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        # 592 * .125 ** (k / 5): 390.6, 257.7, 170.0, 112.2, 74
        (("--pruning_fraction=0.875", "--rounds=5"), [592, 391, 258, 170, 112, 74]),
        (("--pruning_fraction=.125", "--pruning_fraction_of=kept"), [592, 391, 258, 170, 112, 74]),
        (
            ("--pruning_schedule=linear", "--pruning_fraction=0.75", "--rounds=3"),
            [592, 444, 296, 148],
        ),
        (
            ("--pruning_schedule=explicit", "--pruning_fractions=.5,.75,.9"),
            [592, 296, 148, 59],  # 59.2
        ),
        (("--pruning_fraction=0.5", "--rounds=1"), [592, 296]),
    ],
    ids=["geometric", "kept", "linear", "explicit", "one round"],
)
def test_what_each_round_keeps(cli: Cli, flags: tuple[str, ...], kept: list[int]) -> None:
    """Of all weights, to the last one; each mask lies within the one before."""
    told = cli(*ITERATIVE, *flags, "--quiet")
    assert _kept(told) == kept
    masks = [open_prune.open_run(row[0]).mask() for row in _rows(told)]
    for outer, inner in pairwise(masks):
        assert all((inner[name] <= outer[name]).all() for name in outer)


def test_of_layers_that_are_not_ignored(cli: Cli) -> None:
    """The fraction is of the others alone: 512 weights, of which 362 and 256 are kept."""
    told = cli("iterative", *SHORT, "--pruning_fraction=0.5", "--rounds=2", "--quiet")
    assert _kept(told) == [592, 362 + 80, 256 + 80]


def test_what_goes_back(cli: Cli, root: Path) -> None:
    """The weights, to those of the dense network; or the learning rate alone."""
    words = ("--pruning_fraction=0.75", "--rounds=2", "--rewinding_steps=2it", "--quiet")
    steps = "--weight_save_steps=2it"
    runs = [open_prune.open_run(row[0]) for row in _rows(cli(*ITERATIVE, *words, steps))]
    source = runs[0].weights("2it")
    for run in runs[1:]:
        for name, keep in run.mask().items():
            assert (run.weights("2it")[name] == source[name] * keep).all()
    onward = _rows(cli(*ITERATIVE, *words, "--rewind=learning_rate"))
    assert onward[0] == _rows(cli(*ITERATIVE, *words))[0]
    runs = [open_prune.open_run(row[0]) for row in onward]
    for before, run in pairwise(runs):
        for name, keep in run.mask().items():
            assert (run.weights("2it")[name] == before.weights()[name] * keep).all()
    assert root.is_dir()


def test_each_cut_is_finetuned(cli: Cli) -> None:
    """A round is a run that is cut and not trained, and one that is trained on from there."""
    words = ("--pruning_fraction=0.75", "--rounds=2", "--finetune", "--finetune_training_steps=2it")
    told = cli(*ITERATIVE, *words, "--quiet")
    assert _kept(told) == [592, 296, 296, 148, 148]
    names = [row[0].partition("_")[0] for row in _rows(told)]
    assert names == ["train", "oneshot", "finetune", "oneshot", "finetune"]
    runs = [open_prune.open_run(row[0]) for row in _rows(told)]
    for before, cut, tuned in ((runs[0], runs[1], runs[2]), (runs[2], runs[3], runs[4])):
        for name, keep in cut.mask().items():
            assert (cut.weights()[name] == before.weights()[name] * keep).all()
            assert (tuned.weights("0ep")[name] == cut.weights()[name]).all()
            assert (tuned.weights()[name] != cut.weights()[name]).any()


def test_a_lottery_to_the_same_fraction_makes_the_same_masks(cli: Cli) -> None:
    """Three levels of a half are three rounds to an eighth: other names, one result."""
    fraction = "--pruning_fraction=0.5"
    lottery = cli("lottery", *SHORT, "--pruning_layers_to_ignore=", fraction, "--levels=3")
    rounds = cli(*ITERATIVE, "--pruning_fraction=0.875", "--rounds=3")
    assert _kept(lottery) == _kept(rounds) == [592, 296, 148, 74]
    pairs = zip(_rows(lottery), _rows(rounds), strict=True)
    for level, one in [(open_prune.open_run(a[0]), open_prune.open_run(b[0])) for a, b in pairs]:
        assert level.mask() == one.mask()
        for name, value in level.weights().items():
            assert (one.weights()[name] == value).all()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--rounds=0",), "rounds=0 is not allowed: at least 1."),
        (("--round=3",), "Did you mean --rounds?"),
        (("--levels=3",), "There is no flag --levels."),
        (("--pruning_schedule=explicit",), "--schedule=explicit needs them"),
        (("--pruning_fractions=.5,.9",), "--schedule=explicit needs them, and no other"),
        (("--pruning_schedule=explicit", "--pruning_fractions=.9,.5"), "they must rise"),
        (("--pruning_schedule=geometrical",), "Did you mean 'geometric'?"),
        (("--finetune_lr=0.1",), "give it too"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_gets_one_message(cli: Cli, flags: tuple[str, ...], message: str) -> None:
    """Exit code 2, what is wrong and what is allowed."""
    told = cli(*ITERATIVE, *flags, "--quiet")
    assert (told.code, told.out) == (2, "")
    assert message in told.err
