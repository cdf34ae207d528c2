"""How long many small runs take with one worker and with two: ``python -m benchmarks.sweeping``.

Each is the command line as it is typed, with an empty folder of runs, from its start to its end:
workers are started, import torch, and are told one run after another. A first sweep, which is not
counted, has the data set made and the modules read from disk. Another is measured with a thread for
each worker, so that both have the same to compute with; by default one worker has all cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from platforms import cores
from platforms.fingerprint import PROJECT

GRID = """
import open_prune

replicates = range({runs})

def runs():
    yield open_prune.describe("digits_lenet", training_steps="{steps}")
"""
"""Replicates of one run: the same work, each with weights of its own."""


def main() -> None:
    """Measure and print, a line a sweep."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=64, help="how many runs a sweep has")
    parser.add_argument("--steps", default="5ep", help="how long each trains")
    parser.add_argument("--workers", default="1,2", help="how many workers to compare")
    asked = parser.parse_args()
    counts = [int(count) for count in asked.workers.split(",")]
    load = os.getloadavg()[0]
    print(f"{asked.runs} runs of digits_lenet for {asked.steps}, {cores.usable()} cores")
    print(f"load before: {load:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        _seconds(Path(folder), 1, asked.steps, 1, ())
        for flags in ((), ("--threads=1",)):
            measured = {
                n: _seconds(Path(folder), asked.runs, asked.steps, n, flags) for n in counts
            }
            for count, seconds in measured.items():
                gain = measured[counts[0]] / seconds
                said = " ".join((f"--workers={count}", *flags))
                print(
                    f"{said:26} {seconds:7.1f} s  {asked.runs / seconds:6.2f} runs/s  x{gain:.2f}"
                )


def _seconds(folder: Path, runs: int, steps: str, workers: int, flags: tuple[str, ...]) -> float:
    """The seconds of a sweep, in a folder of runs of its own."""
    file = folder / "grid.py"
    file.write_text(GRID.format(runs=runs, steps=steps))
    with tempfile.TemporaryDirectory(dir=folder) as root:
        command = [
            *(sys.executable, str(PROJECT / "open_prune.py"), "sweep", str(file), "--quiet"),
            *(f"--root={root}", f"--data_root={folder / 'data'}", "--device=cpu"),
            *(f"--workers={workers}", *flags),
        ]
        begun = perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return perf_counter() - begun


if __name__ == "__main__":
    main()
