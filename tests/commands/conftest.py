"""The command line in this process, in a root of its own."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

import open_prune

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TINY = ("--default_hparams=digits_lenet_8", "--training_steps=2ep", "--threads=1")
"""A network of 592 weights, trained for 46 iterations."""

TRAIN = ("train", *TINY)
BRANCH = ("branch", "train", "oneshot", *TINY)

DENSE, PRUNED = "train_103e77148cddb534", "oneshot_91d20c5d0fcfd14e"
"""The names of these runs: a promise, so they stand here."""


@dataclass(frozen=True)
class Told:
    """The exit code of a command, and what it printed to stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the lines of the output, where two blanks or more lie between cells."""
        return [
            [cell.strip() for cell in line.split("  ") if cell] for line in self.out.split("\n")
        ]


class Cli(Protocol):
    """The command line."""

    def __call__(self, *words: str) -> Told:
        """What the command with these words gives."""


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root and, in ``runs``, a dense and a pruned run that are done."""
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, shared: Path) -> Iterator[Path]:
    """Where runs are kept, as the environment says; afterwards the environment is as it was."""
    before = dict(os.environ)
    runs = tmp_path / "runs"
    os.environ |= {"OPEN_PRUNE_ROOT": str(runs), "OPEN_PRUNE_DATA": str(shared / "data")}
    yield runs
    os.environ.clear()
    os.environ |= before


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line, called in this process."""

    def call(*words: str) -> Told:
        capsys.readouterr()
        code = open_prune.main(words)
        printed = capsys.readouterr()
        return Told(code, printed.out, printed.err)

    return call


@pytest.fixture
def done(cli: Cli, root: Path, shared: Path) -> Path:
    """A root that holds a dense run and a branch of it, both done: a copy of its own."""
    kept = shared / "runs"
    if not kept.exists():
        assert cli(*TRAIN, "--quiet", f"--root={kept}").code == 0
        assert cli(*BRANCH, "--quiet", f"--root={kept}").code == 0
    shutil.copytree(kept, root)
    return root
