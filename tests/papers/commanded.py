"""Which run a command of the README makes, without making it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from branches import KINDS
from foundations.store import Store
from open_prune import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from foundations.description import Description


def name_of(
    command: str,
    root: Path,
    capsys: pytest.CaptureFixture[str],
    **runs: Description,
) -> str:
    """The name of the last run that a command makes.

    Args:
        command: Behind ``open_prune.py``.
        root: Where the runs are that it names.
        capsys: What it prints.
        **runs: What the words in capitals stand for.
    """
    for word, run in runs.items():
        Store(root).run(run, 1).prepare(run, KINDS)
        command = command.replace(word, run.name)
    capsys.readouterr()
    code = main([*command.split(), f"--root={root}", "--display_output_location"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out.split()[-1].split("/")[-2]
