"""What users meet on rough days: closed outputs, failing replicates, refused commands."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from foundations.errors import INTERRUPTED
from platforms.fingerprint import PROJECT
from tests.commands.conftest import DENSE, TRAIN, Cli

if TYPE_CHECKING:
    from pathlib import Path


def outcome(shell: str) -> tuple[int, str]:
    """Exit code and errors of a command line in which PRUNE stands for the program."""
    command = shell.replace("PRUNE", f"{sys.executable} {PROJECT / 'open_prune.py'}")
    done = subprocess.run(  # noqa: S602 - the redirections are the point
        f"set -o pipefail; {command}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    return done.returncode, done.stderr


def test_training_does_not_end_with_its_reader(done: Path, root: Path) -> None:
    """The reader has seen enough, the run is completed all the same."""
    code, errors = outcome(f"PRUNE {' '.join(TRAIN)} --replicate=2 | head -n 1")
    assert (code, errors) == (0, "")
    assert (root / DENSE / "replicate_2" / "done.json").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110 - a device
def test_output_that_cannot_be_written_is_said(done: Path) -> None:
    """A full disk behind the output: one line, exit code 1."""
    code, errors = outcome("PRUNE ls > /dev/full")
    assert code == 1
    assert errors == "open_prune: the output cannot be written: No space left on device.\n"


def test_closed_output_is_no_failure(done: Path) -> None:
    """Without a standard output there is nothing to print to, and nothing wrong."""
    assert outcome(f"PRUNE {' '.join(TRAIN)} >&-") == (0, "")


def test_other_replicates_run_when_one_fails(cli: Cli, root: Path) -> None:
    """All are tried, what failed is said in the end, with exit code 1."""
    told = cli(*TRAIN, "--lr=1e30", "--replicates=1-2", "--quiet")
    assert told.code == 1
    assert told.err.count(" failed. ") == 2
    assert "replicate 1 failed" in told.err
    assert "replicate 2 failed" in told.err
    assert "would try again, to its end" in cli(*TRAIN, "--lr=1e30", "--dry_run").out


@pytest.mark.parametrize(
    "words",
    [
        (*TRAIN, "--dataset_name=cifar10"),
        (*TRAIN, "--weight_save_steps=3ep"),
        ("branch", *TRAIN[:1], "oneshot", *TRAIN[1:], "--state_step=3ep"),
        ("branch", *TRAIN[:1], "oneshot", *TRAIN[1:], "--start_step=3ep"),
    ],
    ids=["no data", "save step", "state step", "start step"],
)
def test_what_is_refused_leaves_no_run(words: tuple[str, ...], cli: Cli, root: Path) -> None:
    """A mistake is no run, interrupted or otherwise; what was needed for it may be there."""
    assert cli(*words, "--quiet").code == 2
    left = [path.parent.name for path in root.glob("*/replicate_1")]
    assert left in ([], [DENSE])


def test_what_a_done_run_did_not_measure_is_said(cli: Cli, done: Path) -> None:
    """Nothing is trained again for it, and it is not passed over in silence."""
    told = cli(*TRAIN, "--top_k=3", "--evaluate_on=test,train")
    assert told.code == 0
    assert "Not measured while it trained: test top3, train accuracy, train top3." in told.out


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("train", "--learning_rate=.1"), "--lr?"),
        (("train", "--optimizer_name=SGD"), "'sgd'?"),
        (("branch", "trian", "oneshot"), "'train'?"),
        (("branch", "train", "oneshot", "--sparsity=.5"), "--prune_fraction?"),
        (("branch", "train", "interleaved", "--thresholds=.1,.5"), "--prune_fractions?"),
        (("branch", "train", "interleaved", "--warmup_epochs=2"), "--prune_after?"),
        (("train", "--warmup_epochs=2"), "--warmup_steps?"),
    ],
)
def test_what_was_meant_is_suggested(words: tuple[str, ...], meant: str, cli: Cli) -> None:
    """Other tools' names, capital letters, and words in the wrong place are understood."""
    told = cli(*words)
    assert told.code == 2
    assert f"Did you mean {meant}" in told.err


def test_absurd_numbers_of_replicates_are_refused(cli: Cli) -> None:
    """Before they are listed in memory."""
    told = cli("train", "--replicates=1-1000000000000")
    assert told.code == 2
    assert "more than 10,000 replicates" in told.err
    assert cli("train", "--replicate=2", "--replicates=1-3").code == 2


def test_ctrl_c_while_modules_are_imported(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the exit code of any other, and no traceback."""

    class Interrupting:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "commands.plugins":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "commands.plugins", raising=False)
    monkeypatch.setattr("sys.meta_path", [Interrupting(), *sys.meta_path])
    told = cli("ls")
    assert (told.code, told.out) == (INTERRUPTED, "")
    assert told.err == "open_prune: stopped at once; the same command continues.\n"
