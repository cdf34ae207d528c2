"""Images a second of two processes with a thread each, against one process with two threads.

    python -m benchmarks.parallel mnist_lenet_300_100 cifar_resnet_20

Both train the same network on random pixels of its data set's shape, in alternation; what is
printed are the medians over the rounds, and the smallest and the largest.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from platforms.launching import launch
from platforms.stop import Stop

if TYPE_CHECKING:
    from training.engine import Engine

SHAPES = {"mnist": (1, 28, 28), "cifar": (3, 32, 32)}
EXAMPLES = 12_800


def engine_of(name: str, processes: int) -> Engine:
    """The engine of a preset, in this process's place among others."""
    import torch

    from datasets.data import Data, Split
    from datasets.dataset import Augmentation
    from models.build import build
    from models.presets import preset
    from platforms.ranks import Group, place
    from training.description import TrainDesc
    from training.engine import Engine
    from training.state import State

    torch.set_num_threads(2 // processes)
    recipe = TrainDesc.from_flat(preset(name))
    shape = SHAPES[name.partition("_")[0]]
    pixels = torch.randint(0, 256, (EXAMPLES, *shape), dtype=torch.uint8)
    split = Split(pixels, torch.arange(EXAMPLES) % 10)
    half = (0.5,) * shape[0]
    data = Data("random", 10, shape, half, half, Augmentation(), split, None, split)
    network = build(recipe.model, shape=shape, classes=10, seed=0)
    cpu, here = torch.device("cpu"), place()
    group = None if here is None else Group(here, cpu)
    start = State(0, {name: value.detach() for name, value in network.state_dict().items()})
    return Engine(network, recipe, data, start, order_seed=0, device=cpu, group=group)


def measure(name: str, processes: int, steps: int) -> float:
    """Images a second over so many steps, behind a few that warm up."""
    engine = engine_of(name, processes)
    group = engine.group
    begun = 0.0
    for until in (3, 3 + steps):
        begun = time.perf_counter()
        if group is not None and not group.leads:
            group.hear()
        engine.advance(until)
    taken = time.perf_counter() - begun
    if group is not None:
        group.close()
    return steps * engine.loader.batch_size / taken


def main() -> None:
    """Measure what the command line names, or, as one of those that it starts, one side once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--processes", type=int, help="measure this side alone")
    options = parser.parse_args()
    if options.processes is not None:
        print(measure(options.networks[0], options.processes, options.steps))
        return
    for name in options.networks:
        found: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(options.rounds):
            for processes, speeds in found.items():
                speeds.append(_side(name, processes, options.steps))
        for processes, speeds in found.items():
            low, middle, high = min(speeds), statistics.median(speeds), max(speeds)
            print(f"{name}  {processes} x {2 // processes}: {middle:,.0f} ({low:,.0f}-{high:,.0f})")


def _side(name: str, processes: int, steps: int) -> float:
    """What the processes of one side have measured."""
    own = [sys.executable, "-m", "benchmarks.parallel", name, f"--steps={steps}"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "speed"
        code = launch(
            ["sh", "-c", f"exec {' '.join(own)} --processes={processes} >> {log}"],
            processes,
            log=Path(folder) / "log.txt",
            stop=Stop(),
            say=print,
        )
        if code:
            raise SystemExit((Path(folder) / "log.txt").read_text())
        return min(map(float, log.read_text().split()))


if __name__ == "__main__":
    main()
