"""Images a second of training and evaluation, against the per-image loop of OpenLTH.

    python -m benchmarks.throughput mnist_lenet_300_100 cifar_resnet_20 --data_root DATA

Both sides train the same network with the same 80 % mask, schedule, augmentation and metrics, in
alternation, in one process and with the same threads; a round is one window of each side. What is
printed are medians over the rounds, the smallest and largest, and the median of the ratio within
each round. Then two runs at once, each a process with its share of the threads, are measured
against one alone, in alternation too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from platforms import process, threads
from platforms.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from benchmarks.baseline import PerImageDataset
    from training.engine import Engine
    from training.evaluation import Evaluation
    from training.setting import Setting

PROFILES = ("float32", "compiled", "bfloat16", "compiled_bfloat16")
PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Options:
    """What to measure.

    Args:
        data_root: Where the data sets are.
        profiles: The numerics to measure beside the baseline.
        rounds: How often each side has its turn.
        seconds: How long a turn takes, about.
        device: Where to compute.
    """

    data_root: Path
    profiles: Sequence[str]
    rounds: int
    seconds: float
    device: str


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["mnist_lenet_300_100", "cifar_resnet_20"])
    parser.add_argument("--data_root", type=Path, required=True)
    parser.add_argument("--profiles", nargs="*", default=PROFILES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--skip", nargs="*", default=(), choices=("train", "eval", "pair"))
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = Options(given.data_root, given.profiles, given.rounds, given.seconds, given.device)
    if given.worker:
        work(given.worker, options)
        return
    process.prepare()
    describe_machine()
    for model in given.models:
        if "train" not in given.skip:
            training(model, options)
        if "eval" not in given.skip:
            evaluating(model, options)
        if "pair" not in given.skip:
            pairs(model, options)


def describe_machine() -> None:
    """Print what the figures were measured on."""
    import torch

    from platforms import cores
    from platforms.fingerprint import cpu_model

    print(
        f"{cpu_model()}, {cores.usable()} cores, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads\n"
    )


def training(model: str, options: Options) -> None:
    """Measure training: the baseline and every profile, window by window in turn."""
    from benchmarks.baseline import BaselineTraining, Recipe

    setting = setting_of(model, options, "float32")
    mask = mask_of(setting)
    hparams = setting.recipe.training
    per_epoch = setting.iterations_per_epoch
    recipe = Recipe(
        lr=hparams.lr,
        momentum=hparams.momentum,
        weight_decay=hparams.weight_decay,
        milestones=[step.iterations(per_epoch) for step in hparams.milestone_steps],
        batch_size=setting.recipe.dataset.batch_size,
    )
    baseline = BaselineTraining(setting.network(), mask, dataset_of(setting, "train"), recipe)
    sides = {"per-image loop": as_published(baseline.run)}
    for profile in options.profiles:
        engine = engine_of(model, options, profile, mask)
        sides[profile] = partial(run_steps, engine)
    alternate(f"{model} training, batch {recipe.batch_size}, 80 % pruned", sides, options)


def evaluating(model: str, options: Options) -> None:
    """Measure evaluation of the test set in the same way."""
    from benchmarks.baseline import evaluate
    from training.evaluation import Evaluation

    setting = setting_of(model, options, "float32")
    mask = mask_of(setting)
    network, dataset = setting.network(), dataset_of(setting, "test")

    def baseline(steps: int) -> float:
        return evaluate(network, mask, dataset, batches=min(steps, 78)).images_per_second

    sides = {"per-image loop": as_published(baseline)}
    for profile in options.profiles:
        other = setting_of(model, options, profile)
        evaluation = Evaluation(other.network(), other.recipe.training)
        weights = other.network().state_dict()

        def ours(
            _: int,
            other: Setting = other,
            evaluation: Evaluation = evaluation,
            weights: Mapping[str, Tensor] = weights,
        ) -> float:
            batches = other.evaluation("test")
            assert batches is not None  # noqa: S101 - both data sets have one
            begun = time.perf_counter()
            evaluation.measure(weights, batches)
            return batches.examples / (time.perf_counter() - begun)

        sides[profile] = ours
    alternate(f"{model} evaluation", sides, options)


def as_published(run: Callable[[int], float]) -> Callable[[int], float]:
    """The same with memory freed as the C library does by itself; our runs keep it."""

    def run_so(steps: int) -> float:
        keep_freed_memory(keep=False)
        try:
            return run(steps)
        finally:
            keep_freed_memory()

    return run_so


def alternate(title: str, sides: Mapping[str, Callable[[int], float]], options: Options) -> None:
    """Give each side its turn, round by round; print medians, spread and ratios to the first."""
    import torch

    from training import numerics

    first = next(iter(sides))
    steps = dict.fromkeys(sides, 1)
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    with numerics.applied("compiled", torch.get_num_threads()):
        for name, run in sides.items():  # warm up, compile, and find how many steps fill a window
            run(3)
            begun = time.perf_counter()
            run(5)
            steps[name] = max(5, int(5 * options.seconds / (time.perf_counter() - begun)))
        for _ in range(options.rounds):
            for name, run in sides.items():
                speeds[name].append(run(steps[name]))
    print(title)
    for name, values in speeds.items():
        ratios = [value / base for value, base in zip(values, speeds[first], strict=True)]
        print(
            f"  {name:<24} {spread(values)} images/s   {statistics.median(ratios):5.2f} x "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
    print(flush=True)


def pairs(model: str, options: Options) -> None:
    """Measure two runs at once against one, in the default profile."""
    alone: list[float] = []
    together: list[float] = []
    for _ in range(options.rounds):
        alone += workers(model, options, 1)
        together.append(sum(workers(model, options, 2)))
    ratios = [both / one for both, one in zip(together, alone, strict=True)]
    print(f"{model}, default profile, runs at once")
    print(f"  one                      {spread(alone)} images/s")
    print(
        f"  two, together            {spread(together)} images/s   "
        f"{statistics.median(ratios):5.2f} x ({min(ratios):.2f} to {max(ratios):.2f})\n",
        flush=True,
    )


def workers(model: str, options: Options, count: int) -> list[float]:
    """The speeds of so many processes that train at the same time."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.throughput",
        "--worker",
        model,
        "--data_root",
        str(options.data_root),
        "--seconds",
        str(options.seconds),
    ]
    started = [
        subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    return [float(json.loads(child.communicate()[0])) for child in started]


def work(model: str, options: Options) -> None:
    """Train as a run does, with a fair share of the threads; print the speed of the middle."""
    with threads.announce():
        time.sleep(0.5)  # both have announced themselves
        process.prepare()

        from platforms import cores
        from training import numerics

        count = threads.share(cores.usable(), threads.workers(with_self=True))
        setting = setting_of(model, options, "float32")
        with numerics.applied("float32", count):
            engine = engine_of(model, options, "float32", mask_of(setting))
            run_for(engine, options.seconds / 4)
            speed = run_for(engine, options.seconds)
            run_for(engine, options.seconds / 2)  # so that the other is not alone at its end
        print(json.dumps(speed))


def setting_of(model: str, options: Options, profile: str) -> Setting:
    """The preset of a model, in a profile, on the device."""
    import torch

    from models.presets import preset
    from training.description import TrainDesc
    from training.setting import Setting

    recipe = TrainDesc.from_flat(preset(model) | {"numerics": profile})
    return Setting(recipe, 1, options.data_root, torch.device(options.device))


def mask_of(setting: Setting) -> dict[str, Tensor]:
    """80 % of the smallest weights of the initialization cut."""
    from pruning.hparams import PruningHparams
    from pruning.prune import prune
    from pruning.subject import Subject

    weights = setting.initialization(setting.initialization_seed)
    hparams = PruningHparams(strategy="magnitude", prune_fraction=0.8)
    return dict(prune(Subject(setting.network(), hparams), weights).mask)


def engine_of(model: str, options: Options, profile: str, mask: Mapping[str, Tensor]) -> Engine:
    """Our engine on the same network, mask and recipe."""
    from pruning.mask import Mask
    from training.engine import Engine
    from training.state import State

    setting = setting_of(model, options, profile)
    weights = setting.initialization(setting.initialization_seed)
    state = State(0, weights, Mask(mask))
    return Engine(
        setting.network(), setting.recipe, setting.data, state, order_seed=1, device=setting.device
    )


def run_steps(engine: Engine, steps: int) -> float:
    """Make so many updates, reading the metrics of each epoch; returns images a second."""
    begun, images = time.perf_counter(), 0
    while steps:
        epoch_end = engine.iteration // engine.iterations_per_epoch + 1
        until = min(engine.iteration + steps, epoch_end * engine.iterations_per_epoch)
        steps -= until - engine.iteration
        images += (until - engine.iteration) * engine.loader.batch_size
        engine.advance(until, lambda _, __: False)
        if until % engine.iterations_per_epoch == 0:
            engine.check_finite()
            engine.epoch_loss()
    float(engine.losses[0])  # waits for a GPU
    return images / (time.perf_counter() - begun)


def run_for(engine: Engine, seconds: float) -> float:
    """Make updates for about so long; returns images a second."""
    begun, images = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        run_steps(engine, 10)
        images += 10 * engine.loader.batch_size
    return images / (time.perf_counter() - begun)


def dataset_of(setting: Setting, split: str) -> PerImageDataset:
    """The images as the per-image loop has them: arrays, made into PIL images one by one."""
    from benchmarks.baseline import PerImageDataset, cifar_transform, mnist_transform

    data = setting.data
    chosen = getattr(data, split)
    images = chosen.images.permute(0, 2, 3, 1).squeeze(-1).contiguous().numpy()
    gray = images.ndim == 3
    transform = mnist_transform() if gray else cifar_transform(augment=split == "train")
    return PerImageDataset(images, chosen.labels.numpy(), transform)


def spread(values: Sequence[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(values):9,.0f} ({min(values):,.0f} to {max(values):,.0f})"


if __name__ == "__main__":
    main()
