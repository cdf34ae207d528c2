"""``branch`` from runs by name: branches on branches, replicates, and the runs that flags name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.commands.conftest import BRANCH, DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.commands.conftest import Cli


def _branched(cli: Cli, *words: str) -> str:
    """The name of the run that a branch makes."""
    told = cli("branch", *words, "--quiet", "--threads=1")
    assert told.code == 0, told.err
    return told.rows[-2][0]


def test_a_named_parent_is_the_described_one(cli: Cli, done: Path) -> None:
    """The run that the flags of train describe, and the same run by its name, have one branch."""
    for name in (DENSE, DENSE[:8], f"{DENSE}/replicate_1"):
        assert cli("branch", name, "oneshot").out.startswith(f"{PRUNED} replicate 1 is done")


def test_branches_three_deep(cli: Cli, done: Path) -> None:
    """Each branch is the parent of the next; tree and lineage show the whole chain."""
    second = _branched(cli, PRUNED, "oneshot", "--prune_step=2ep", "--prune_fraction=0.9")
    third = _branched(cli, second, "oneshot", "--state_step=1ep", "--strategy=random")
    described = json.loads((done / third / "replicate_1" / "hparams.json").read_text())
    chain = []
    while "parent" in described:
        chain.append(described["branch"]["strategy"])
        described = described["parent"]
    assert chain == ["random", "magnitude", "magnitude"]
    tree = cli("ls", "--tree").out.splitlines()
    names = [DENSE, PRUNED, second, third]
    assert [line[: line.index("1 ")].rstrip() for line in tree[1:]] == [
        "  " * depth + name for depth, name in enumerate(names)
    ]
    shown = cli("show", third).out
    assert [shown.index(name) for name in reversed(names)] == sorted(map(shown.index, names))


def test_each_replicate_goes_with_its_parents(cli: Cli, done: Path) -> None:
    """Replicate 2 of a branch begins from replicate 2 of its parent, of which there are several."""
    assert cli(*TRAIN, "--replicates=2-3", "--quiet").code == 0
    told = cli("branch", "train", "oneshot", *TRAIN[1:], "--replicates=1-3", "--quiet")
    assert told.code == 0
    before = {path: path.stat().st_mtime_ns for path in done.rglob("done.json")}
    again = cli("branch", DENSE, "oneshot", "--replicates=1-3", "--quiet")
    assert again.out == told.out
    assert {path: path.stat().st_mtime_ns for path in done.rglob("done.json")} == before


def test_a_parents_replicate_is_the_branchs(cli: Cli, done: Path) -> None:
    """A parent that is named with its replicate is branched from in that replicate."""
    assert cli(*TRAIN, "--replicate=2", "--quiet").code == 0
    told = cli("branch", f"{DENSE}/replicate_2", "oneshot", "--display_output_location")
    assert told.out.strip() == str(done / PRUNED / "replicate_2")


def test_other_runs_states(cli: Cli, done: Path) -> None:
    """The mask of one run on the weights of another; named so, they are part of what the run is."""
    of_parent = _branched(cli, *BRANCH[1:], "--prune_step=2ep", "--state_step=1ep")
    of_others = _branched(
        cli,
        *BRANCH[1:],
        "--prune_step=2ep",
        "--state_step=1ep",
        f"--prune_experiment={PRUNED}",
        f"--state_experiment={DENSE}",
    )
    assert of_others != of_parent
    described = json.loads((done / of_others / "replicate_1" / "hparams.json").read_text())
    named = described["branch"]["prune_experiment"]
    assert named["description"]["kind"] == "oneshot"
    assert named["replicate"] is None
    listed = cli("ls").out
    assert f"prune_experiment={PRUNED} prune_step=2ep state_experiment={DENSE} state_step=1ep" in (
        listed
    )
    assert f"prune_experiment={PRUNED}\n" in cli("show", of_others).out


def test_main_is_the_parent(cli: Cli) -> None:
    """OpenLTH's word for the run itself makes no other run."""
    plain = cli(*BRANCH, "--display_output_location")
    words = ("--prune_experiment=main", "--state_experiment=main")
    assert cli(*BRANCH, *words, "--display_output_location").out == plain.out


def test_dry_run_names_the_other_runs(cli: Cli, done: Path) -> None:
    """A run that a flag names is a run that is needed: it is in the plan, its parents too."""
    assert cli("branch", "train", "oneshot", *TRAIN[1:], "--strategy=random", "--quiet").code == 0
    other = cli("ls").rows[1][0]
    told = cli(*BRANCH, f"--prune_experiment={other}", "--prune_step=1ep", "--dry_run")
    plan = {row[0]: row[2] for row in told.rows[1:-1] if len(row) > 2}
    assert plan[other] == "would make its states again: 1ep" or other == PRUNED
    assert plan[DENSE] == "done already"
    assert list(plan.values())[-1] == "would start, to its end"
