"""How much faster weights are scored, and the threshold found, than by the published code's way.

    python -m benchmarks.scoring cifar_resnet_20 cifar_vgg_16 --rounds 3

SNIP and GraSP on a batch of 100 drawn images, 100 iterations of SynFlow, and one threshold over as
many scores as ResNet-50 has weights. Both sides take turns in one process with the same threads; a
round is one turn of each. What is printed are medians over the rounds, the smallest and largest,
the median of the ratio within each round, and how much of the published way's mask is kept.
The published ways are written here, plainly, and share no code with ours but the counts to keep.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from platforms import process
from platforms.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.criteria import Criterion, Examples
    from pruning.mask import Mask

SHAPE = (3, 32, 32)
CLASSES = 10
PER_CLASS = 10
SCORES = 25_557_032
"""As many as ResNet-50 has parameters."""
TEMPERATURE = 200


@dataclass(frozen=True)
class Case:
    """A network at initialization, and the data to score it with."""

    name: str
    network: nn.Module
    weights: Mapping[str, Tensor]
    batch: tuple[Tensor, Tensor]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image."""
        return SHAPE

    def batches(self, _: Examples) -> Sequence[tuple[Tensor, Tensor]]:
        """The one batch, whatever is asked for."""
        return [self.batch]


@dataclass(frozen=True)
class Published:
    """Scoring and cutting as the code of Frankle et al. (2021) does it."""

    case: Case

    def snip(self) -> dict[str, Tensor]:
        """Each iteration works on a copy of the network; the loss is differentiated by it all."""
        from torch.nn.functional import cross_entropy

        network = copy.deepcopy(self.case.network).train()
        x, y = self.case.batch
        network.zero_grad()
        cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        return {n: (w * gradient(w)).abs().detach() for n, w in layers(network).items()}

    def grasp(self) -> dict[str, Tensor]:
        """The gradient twice, the second time to be differentiated: two forward passes."""
        import torch
        from torch.nn.functional import cross_entropy

        network = copy.deepcopy(self.case.network).train()
        x, y = self.case.batch
        weights = layers(network)
        first = torch.autograd.grad(
            cross_entropy(network(x) / TEMPERATURE, y), list(weights.values())
        )
        second = torch.autograd.grad(
            cross_entropy(network(x) / TEMPERATURE, y), list(weights.values()), create_graph=True
        )
        network.zero_grad()
        dots = [(one.data * two).sum() for one, two in zip(first, second, strict=True)]
        torch.stack(dots).sum().backward()  # type: ignore[no-untyped-call]
        return {n: (-w * gradient(w)).detach() for n, w in weights.items()}

    def synflow(self, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One pass forward and back of a float64 copy, its parameters without signs."""
        import torch

        network = copy.deepcopy(self.case.network)
        for name, weight in network.named_parameters():
            weight.data *= masks.get(name, 1)
        network.double()
        for parameter in network.parameters():
            parameter.data.abs_()
        network.eval()
        network.zero_grad()
        flow = network(torch.ones(1, *SHAPE, dtype=torch.float64)).sum()
        flow.backward()
        return {n: (w * gradient(w)).abs().detach() for n, w in layers(network).items()}

    def cut(
        self, scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], keep: int
    ) -> dict[str, Tensor]:
        """Sort what is kept; keep whatever is above the last that goes."""
        import torch

        kept = torch.cat([masks[name].reshape(-1) for name in sorted(masks)])
        values = torch.cat([scores[name].reshape(-1) for name in sorted(masks)])
        ordered, _ = torch.sort(values[kept == 1])
        gone = len(ordered) - keep
        threshold = ordered[gone - 1] if gone > 0 else -torch.inf
        return {name: mask * (scores[name] > threshold).float() for name, mask in masks.items()}

    def synflow_rounds(self, counts: Sequence[int]) -> dict[str, Tensor]:
        """Score and cut, once for each count to keep."""
        masks = {name: w.new_ones(w.shape) for name, w in layers(self.case.network).items()}
        for keep in counts:
            masks = self.cut(self.synflow(masks), masks, keep)
        return masks


def gradient(parameter: Tensor) -> Tensor:
    """The gradient that a backward pass has left."""
    assert parameter.grad is not None  # noqa: S101 - a backward pass came before
    return parameter.grad


def layers(network: nn.Module) -> dict[str, Tensor]:
    """The weights of convolutions and linear layers."""
    from torch import nn

    kinds = (nn.Conv2d, nn.Linear)
    return {f"{n}.weight": m.weight for n, m in network.named_modules() if isinstance(m, kinds)}


def our_rounds(case: Case, criterion: Criterion, counts: Sequence[int]) -> Mask:
    """Score and cut, once for each count to keep."""
    from pruning.mask import Mask
    from pruning.select import cut

    mask = Mask.dense(case.weights, layers(case.network))
    for position, keep in enumerate(counts):
        scores = criterion(case.network, mask.apply(case.weights), mask, case, (0, position))
        mask = Mask(cut(scores, mask, mask.kept - keep))
    return mask


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["cifar_resnet_20", "cifar_vgg_16"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--sparsities", type=float, nargs="*", default=[0.9, 0.98])
    parser.add_argument("--threads", type=int, help="all cores unless given")
    parser.add_argument("--skip", nargs="*", default=(), choices=("batch", "synflow", "selection"))
    given = parser.parse_args()
    process.prepare()
    describe_machine(given.threads)
    for model in given.models:
        case = case_of(model)
        if "batch" not in given.skip:
            on_a_batch(case, given.rounds)
        if "synflow" not in given.skip:
            for sparsity in given.sparsities:
                synflow(case, sparsity, given.iterations, given.rounds)
    if "selection" not in given.skip:
        for density in (1.0, 0.2, 0.02):
            selection(density, given.rounds)


def describe_machine(threads: int | None) -> None:
    """Print what the figures were measured on."""
    import torch

    from platforms import cores
    from platforms.fingerprint import cpu_model

    torch.set_num_threads(threads or cores.usable())
    print(
        f"{cpu_model()}, {cores.usable()} cores, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads\n"
    )


def case_of(model: str) -> Case:
    """The network of a preset and drawn images."""
    import torch

    from foundations.draws import generator
    from models.build import build
    from models.hparams import ModelHparams

    hparams = ModelHparams(model_name=model, model_init="kaiming_normal", batchnorm_init="uniform")
    network = build(hparams, shape=SHAPE, classes=CLASSES, seed=1)
    weights = {name: tensor.detach() for name, tensor in network.state_dict().items()}
    labels = torch.arange(CLASSES).repeat(PER_CLASS)
    images = torch.randn(len(labels), *SHAPE, generator=generator(1, "images"))
    return Case(model, network, weights, (images, labels))


def on_a_batch(case: Case, rounds: int) -> None:
    """SNIP and GraSP on one batch."""
    from pruning.criteria import Examples
    from pruning.criteria.grasp import Grasp
    from pruning.criteria.snip import Snip
    from pruning.mask import Mask

    mask = Mask.dense(case.weights, layers(case.network))
    published = Published(case)
    pairs: dict[str, tuple[Callable[[], Any], Criterion]] = {
        "SNIP": (published.snip, Snip(Examples(per_class=PER_CLASS))),
        "GraSP": (published.grasp, Grasp(Examples(per_class=PER_CLASS))),
    }
    for name, (theirs, criterion) in pairs.items():
        ours = partial(criterion, case.network, case.weights, mask, case, (0, 0))
        title = f"{name}, {case.name}, {len(case.batch[1])} images in one batch: scores"
        one, other = alternate(title, {"published": theirs, "ours": ours}, rounds)
        print(f"  80 % sparse, of the published mask we keep {overlap_at(one, other, 0.2):.3%}\n")


def synflow(case: Case, sparsity: float, iterations: int, rounds: int) -> None:
    """All iterations of SynFlow, scoring and cutting."""
    from pruning.criteria.synflow import SynFlow

    total = sum(weight.numel() for weight in layers(case.network).values())
    shares = [(1 - sparsity) ** (k / iterations) for k in range(1, iterations + 1)]
    counts = [round(total * share) for share in shares]
    sides: dict[str, Callable[[], Any]] = {
        "published, float64": partial(Published(case).synflow_rounds, counts)
    }
    for precision in ("float64", "float32"):
        criterion = SynFlow(precision=precision)
        sides[f"ours, {precision}"] = partial(our_rounds, case, criterion, counts)
    title = f"SynFlow, {case.name}, {iterations} iterations to {sparsity:.0%}, one input of ones"
    theirs, *ours = alternate(title, sides, rounds)
    for name, mask in zip(list(sides)[1:], ours, strict=True):
        print(f"  of the published mask, {name} keeps {overlap(theirs, mask):.3%}")
    print(flush=True)


def selection(density: float, rounds: int) -> None:
    """One threshold over many scores, of which all but ``density`` are zero."""
    import numpy as np
    import torch

    from foundations.draws import generator
    from pruning.select import cut

    drawn = generator(1, "scores")
    flat = torch.rand(SCORES, generator=drawn)
    flat *= torch.rand(SCORES, generator=drawn) < density
    sizes = [SCORES // 54] * 53
    scores = dict(enumerate(torch.split(flat, [*sizes, SCORES - sum(sizes)])))
    named = {f"layer {n:02}": part for n, part in scores.items()}
    kept = {name: torch.ones_like(part, dtype=torch.bool) for name, part in named.items()}
    gone = SCORES - int(SCORES * density / 2)
    sides: dict[str, Callable[[], Any]] = {
        "torch.sort": lambda: torch.sort(flat).values[gone - 1],
        "numpy.sort": lambda: torch.from_numpy(np.sort(flat.numpy()))[gone - 1],
        "ours, mask included": lambda: cut(named, kept, gone),
    }
    title = f"{SCORES:,} scores, {density:.0%} of them not zero, half of these kept"
    alternate(title, sides, rounds, first=("torch.sort", "numpy.sort"))
    print(flush=True)


def alternate(
    title: str,
    sides: Mapping[str, Callable[[], Any]],
    rounds: int,
    first: Sequence[str] = (),
) -> list[Any]:
    """Give each side its turn, round by round; print times and how many times faster.

    Returns:
        What each side found.
    """
    bases = first or [next(iter(sides))]
    times: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for name, run in sides.items():
            # Our processes keep freed memory; published code has it as the C library does.
            keep_freed_memory(keep=not name.startswith("published"))
            begun = time.perf_counter()
            found[name] = run()
            times[name].append(time.perf_counter() - begun)
    print(title)
    for name, values in times.items():
        ratios = [f"{ratio(times[base], values)} {base}" for base in bases if name not in bases]
        print(f"  {name:<20} {spread(values)}   {', '.join(ratios)}")
    return list(found.values())


def spread(values: Sequence[float]) -> str:
    """Median, smallest and largest, in milliseconds."""
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle * 1e3:9,.1f} ms ({low * 1e3:,.1f} to {high * 1e3:,.1f})"


def ratio(base: Sequence[float], values: Sequence[float]) -> str:
    """How many times faster than the base, in the median of the rounds."""
    ratios = [one / other for one, other in zip(base, values, strict=True)]
    return f"{statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"


def overlap(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> float:
    """What share of one mask's kept weights another keeps."""
    both = sum(int((mask.bool() & ours[name]).sum()) for name, mask in theirs.items())
    return both / sum(int(mask.sum()) for mask in theirs.values())


def overlap_at(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor], density: float) -> float:
    """The overlap of the masks that scores give, when the highest are kept."""
    import torch

    masks = []
    for scores in (theirs, ours):
        flat = torch.cat([scores[name].reshape(-1) for name in sorted(scores)])
        threshold = flat.sort().values[round(len(flat) * (1 - density))]
        masks.append({name: values >= threshold for name, values in scores.items()})
    return overlap(*masks)


if __name__ == "__main__":
    main()
