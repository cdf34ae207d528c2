"""``lottery`` and ``branch lottery``: which runs they make, and what they say of them."""

from __future__ import annotations

import signal
from itertools import takewhile
from typing import TYPE_CHECKING

import pytest

import open_prune
from foundations.errors import INTERRUPTED
from foundations.store import Store
from tests.branches.deeds import command
from tests.branches.runs import contents
from tests.commands.conftest import DENSE
from tests.foundations.kills import exit_code

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli, Told

SHORT = ("--default_hparams=digits_lenet_8", "--training_steps=6it", "--threads=1")
LOTTERY = ("lottery", *SHORT)


def _rows(told: Told) -> list[list[str]]:
    """The rows of the table at the end, without its head."""
    assert told.code == 0, told.err
    head = next(at for at, row in enumerate(told.rows) if row[:1] == ["run"])
    return list(takewhile(bool, told.rows[head + 1 :]))


def _places(told: Told) -> list[str]:
    assert told.code == 0, told.err
    return told.out.split()


def test_level_zero_is_the_run_of_train(cli: Cli, root: Path, tmp_path: Path) -> None:
    """The same name and the same bytes; and trained once, whichever command comes first."""
    assert cli(*LOTTERY, "--levels=1", "--quiet").code == 0
    assert cli("train", *SHORT, "--quiet", f"--root={tmp_path / 'own'}").code == 0
    own = contents(tmp_path / "own")
    assert own
    assert {path: contents(root)[path] for path in own} == own
    again = cli("train", *SHORT)
    assert again.out.startswith(f"{next(iter(own)).partition('/')[0]} replicate 1 is done already.")


def test_every_level_is_listed_once(cli: Cli, root: Path) -> None:
    """By --display_output_location, by --dry_run, and in the results, level 0 first."""
    words = (*LOTTERY, "--levels=3", "--rewinding_steps=2it")
    places = _places(cli(*words, "--display_output_location"))
    assert [place.startswith(str(root)) for place in places] == [True] * 4
    assert len(set(places)) == 4
    planned = _rows(cli(*words, "--dry_run"))
    assert [row[-1] for row in planned] == places
    assert {row[2] for row in planned} == {"would start, to its end"}
    assert not root.exists()
    done = _rows(cli(*words, "--quiet"))
    assert [row[-1] for row in done] == places
    assert [row[-3] for row in done] == [
        "100.00 % (592 of 592)",
        "82.77 % (490 of 592)",
        "68.92 % (408 of 592)",
        "57.77 % (342 of 592)",
    ]
    assert {row[2] for row in _rows(cli(*words, "--dry_run"))} == {"done already"}
    before = {path: path.stat().st_mtime_ns for path in root.rglob("done.json")}
    assert cli(*words).out.count("is done already.") == 4
    assert {path: path.stat().st_mtime_ns for path in root.rglob("done.json")} == before


def test_a_plan_of_many_levels_is_made_at_once(cli: Cli) -> None:
    """Each level asks for two states of the one before; it is looked at once all the same."""
    assert len(_rows(cli(*LOTTERY, "--levels=40", "--dry_run"))) == 41


def test_a_lottery_that_goes_further_begins_as_a_shorter_one(cli: Cli) -> None:
    """Its first levels are the same runs: the number of levels is no hyperparameter."""
    short, long = (
        _places(cli(*LOTTERY, f"--levels={levels}", "--display_output_location"))
        for levels in (1, 3)
    )
    assert long[:2] == short
    zero = _places(cli(*LOTTERY, "--levels=0", "--display_output_location"))
    assert zero == _places(cli("train", *SHORT, "--display_output_location"))


def test_replicates_of_every_level(cli: Cli, root: Path) -> None:
    """A replicate goes through all levels before the next begins."""
    rows = _rows(cli(*LOTTERY, "--levels=1", "--replicates=1-3", "--quiet"))
    assert [row[1] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    assert len({row[0] for row in rows}) == 2
    assert all(row[-1] == str(root / row[0] / f"replicate_{row[1]}") for row in rows)


def test_what_a_preset_says_of_pruning(cli: Cli) -> None:
    """A fifth, and not the output layer of MNIST's networks, unless flags say otherwise."""
    words = ("lottery", "--default_hparams=mnist_lenet_300_100", "--display_output_location")
    by_preset = _places(cli(*words))
    stated = ("--pruning_fraction=0.2", "--pruning_layers_to_ignore=fc.weight")
    assert _places(cli(*words, *stated)) == by_preset
    for other in ("--pruning_fraction=0.3", "--pruning_layers_to_ignore="):
        assert _places(cli(*words, other))[0] == by_preset[0]
        assert _places(cli(*words, other))[1] != by_preset[1]


@pytest.mark.parametrize("kind", ["shuffle", "reinit"])
def test_branches_of_several_levels(cli: Cli, kind: str) -> None:
    """One run a level, as with the level's own run as parent; each level is listed once."""
    words = ("--rewinding_steps=2it", "--quiet")
    levels = _places(cli(*LOTTERY, "--levels=3", *words, "--display_output_location"))
    flags = ("branch", "lottery", kind, *SHORT, *words)
    places = _places(cli(*flags, "--levels=1-3", "--display_output_location"))
    assert len(set(places)) == 3
    rows = _rows(cli(*flags, "--levels=1-3"))
    assert [row[-1] for row in rows if row[0].startswith(kind)] == places
    assert len({row[-1] for row in rows}) == len(rows)
    assert {row[-1] for row in rows} <= {*levels, *places}
    kept = {row[-1]: row[-3] for row in _rows(cli(*LOTTERY, "--levels=3", *words))}
    for level, place, row in zip(
        levels[1:], places, [row for row in rows if row[0].startswith(kind)], strict=True
    ):
        assert row[-3] == kept[level]
        name = level.split("/")[-2]
        assert _places(cli("branch", name, kind, "--display_output_location")) == [place]
    one = cli(*flags, "--level=2", "--display_output_location")
    assert _places(one) == [places[1]]


def test_a_level_is_trained_no_further_than_a_branch_needs(cli: Cli, root: Path) -> None:
    """The shuffle of level 2 needs its mask: levels 0 and 1 are trained, level 2 is begun."""
    assert cli("branch", "lottery", "shuffle", *SHORT, "--level=2", "--quiet").code == 0
    levels = _places(cli(*LOTTERY, "--levels=2", "--display_output_location"))
    states = {str(found.path): found.state.value for found in Store(root).runs()}
    assert [states[level] for level in levels] == ["done", "done", "interrupted"]


def test_states_are_saved_of_the_levels_that_come_by_them(cli: Cli) -> None:
    """Level 0 has them all; a level that was rewound to a later step, those after it."""
    words = ("--levels=1", "--rewinding_steps=2it", "--weight_save_steps=1it,4it", "--quiet")
    for _ in range(2):
        rows = _rows(cli(*LOTTERY, *words))
        steps = [list(map(str, open_prune.open_run(row[0]).steps)) for row in rows]
        assert steps == [["0ep", "1it", "2it", "4it", "6it"], ["2it", "4it", "6it"]]
    told = cli("branch", "train", "oneshot", *SHORT, "--start_step=2it", "--weight_save_steps=1it")
    assert told.code == 2
    assert "has no state at 1it: it goes from 2it to 6it" in told.err


def test_what_grows_on_a_run_that_fails_is_left(cli: Cli, root: Path) -> None:
    """Level 0 fails once, not once for each level; the other replicate is tried too."""
    told = cli(*LOTTERY, "--levels=3", "--lr=1e38", "--replicates=1-2", "--quiet")
    assert told.code == 1
    assert told.err.count("failed.") == 2
    assert {found.name.partition("_")[0] for found in Store(root).runs()} == {"train"}


MISTAKES = [
    ((*LOTTERY, "--levels=-1"), "levels=-1 is not allowed: 0 or more."),
    ((*LOTTERY, "--levels=many"), "--levels: 'many' is not a whole number"),
    ((*LOTTERY, "--prune_fraction=0.2"), "Did you mean --pruning_fraction?"),
    ((*LOTTERY, "--pruning_fraction=1.2"), "prune_fraction=1.2 is not allowed"),
    ((*LOTTERY, "--pruning_strategy=snap7"), "Did you mean 'snip7'?"),
    ((*LOTTERY, "--pruning_fraction_of=all"), "cut nothing after the first. 'iterative' reaches"),
    ((*LOTTERY, "--rewind=weight"), "Did you mean 'weights'?"),
    ((*LOTTERY, "--rewinding_steps=7it"), "it ends at 6it"),
    ((*LOTTERY, "--rewinding_step=0ep"), "Did you mean --rewinding_steps?"),
    ((*LOTTERY, "--pruning_layers_to_ignore=fc9"), "'fc9'"),
    ((*LOTTERY, "--pretrain_lr=1"), "give it too"),
    (("branch", "lottery", "shuffle", *SHORT), "Give --level=3, or several: --levels=1-5."),
    (
        ("branch", "lottery", "shuffle", *SHORT, "--level=1", "--levels=1-2"),
        "Give --level=3, or several",
    ),
    (("branch", "lottery", "shuffle", *SHORT, "--levels=3-1"), "'3-1' names no number"),
    (("branch", "lottery", "shuffle", *SHORT, "--level=-1"), "levels=-1 is not allowed"),
    (("branch", "lottery", "shuffle", *SHORT, "--level=0"), "its parent, which is not pruned"),
    (
        ("branch", "lottery", "lottery_rewind", *SHORT, "--level=1"),
        "both have --rewind and --rewinding_steps. Name the level instead",
    ),
    (("branch", "lotery", "shuffle"), "Did you mean 'lottery'?"),
    (("branch", "lotery", "shuffle", "--level=1"), "Did you mean 'lottery'?"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES, ids=[" ".join(w) for w, _ in MISTAKES])
def test_a_mistake_gets_one_message(cli: Cli, words: tuple[str, ...], message: str) -> None:
    """Exit code 2, what is wrong and what is allowed, and no traceback."""
    told = cli(*words, "--quiet")
    assert told.code == 2
    assert message in told.err
    assert told.err.startswith("open_prune: ")
    assert "Traceback" not in told.err


def test_a_replicate_is_named_once(cli: Cli, done: Path) -> None:
    """By the name of the parent or by a flag, even where the flag says what is the default."""
    assert (done / DENSE).is_dir()
    for flag in ("--replicate=1", "--replicates=1-2"):
        told = cli("branch", f"{DENSE}/replicate_2", "oneshot", flag)
        assert told.code == 2
        assert f"names a replicate, and {flag.partition('=')[0]} too. Leave one out" in told.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_lottery_that_is_stopped_continues(
    cli: Cli, root: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The same command ends at the bytes of one that nothing has disturbed."""
    words = [*LOTTERY, "--levels=2", "--rewinding_steps=2it", "--quiet"]
    stopped = [*words, f"--root={tmp_path / 'stopped'}"]
    assert exit_code(command, stopped, tmp_path / "out", [number]) == INTERRUPTED
    told = cli(*stopped[:-2], "--dry_run", stopped[-1])
    assert [row[2].split(",")[0] for row in _rows(told)] == ["would continue"] + ["would start"] * 2
    for place in (stopped, words):
        assert cli(*place).code == 0
    assert contents(tmp_path / "stopped") == contents(root)


def test_a_lottery_made_level_by_level(cli: Cli, root: Path, tmp_path: Path) -> None:
    """Is the one that is made at once, byte for byte."""
    for levels in range(3):
        assert cli(*LOTTERY, f"--levels={levels}", "--quiet").code == 0
    assert cli(*LOTTERY, "--levels=2", "--quiet", f"--root={tmp_path / 'once'}").code == 0
    assert contents(tmp_path / "once") == contents(root)
