"""How long the commands that read take where a thousand runs are done.

    python -m benchmarks.thousand_runs --rounds 5

The runs are made first (``tests.many_runs``: ten are trained, the others are copies), in a folder
that is removed in the end. Then each command is carried out as a user would, as a process of its
own, in turns; what is printed is the median of each over the rounds, the smallest and the largest,
beside what it may take, and how much of it is spent before a command knows what to do.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.many_runs import many_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Case:
    """A command.

    Args:
        words: What it is called with, the root apart.
        allowed_s: How long it may take; None where nobody has said.
    """

    words: tuple[str, ...]
    allowed_s: float | None = None


def cases(name: str, page: Path) -> list[Case]:
    """The commands, what they may take, and one that reads no run.

    Args:
        name: The run to show.
        page: The file of the report.
    """
    return [
        Case(("ls",), 2.0),
        Case(("ls", "--tree")),
        Case(("status",), 2.0),
        Case(("report", f"--output={page}"), 10.0),
        Case(("show", name)),
        Case(("ls", "--help")),
    ]


def seconds(words: Sequence[str], root: Path) -> float:
    """How long a command takes as a process of its own."""
    command = [sys.executable, "open_prune.py", *words, f"--root={root}"]
    begun = time.perf_counter()
    subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


def measure(number: int, rounds: int) -> None:
    """Make the runs, and print what each command takes."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        runs = many_runs(root, number)
        name = f"{runs[-1].name}/{runs[-1].path.name}"
        chosen = cases(name, Path(folder) / "report.html")
        taken: dict[Case, list[float]] = {case: [] for case in chosen}
        for _ in range(rounds):
            for case in chosen:
                taken[case].append(seconds(case.words, root))
    print(f"{number:,} runs, medians of {rounds}")
    for case, found in taken.items():
        allowed = "" if case.allowed_s is None else f"  of {case.allowed_s:.0f} s"
        spread = f"({min(found):.2f} to {max(found):.2f})"
        what = " ".join(word for word in case.words if "=" not in word)
        print(f"{what:44} {statistics.median(found):5.2f} s  {spread}{allowed}")


def main() -> None:
    """Read the flags."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    measure(options.runs, options.rounds)


if __name__ == "__main__":
    main()
