"""Of which networks the weight-level papers cut weights or filters, and what is published there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from papers.paper import Published

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

README = "README of the weight-level code, baselines"
UNSTRUCTURED = "README of the code of Le et al., table of results, unstructured"
STRUCTURED = "README of the code of Le et al., table of results, structured"
IMAGENET = "README of imagenet/weight-level in the code of Liu et al."

DATASETS = ("cifar10", "cifar100")


STAGE_FRACTIONS = (0.1, 0.2, 0.3)
"""What a step cuts of the filters that are left in a layer, by the stage of a residual network."""


@dataclass(frozen=True)
class LayerPlan:
    """How filters of a layer are cut, step by step.

    Args:
        layer: The beginning of its name.
        width: How many filters it has.
        fraction: What each step cuts of those that are left.
    """

    layer: str
    width: int
    fraction: float

    def cut(self, steps: int) -> float:
        """The fraction of all that so many steps cut: each leaves a whole number, rounded down."""
        left = self.width
        for _ in range(steps):
            left = int(left * (1 - self.fraction))
        return 1 - left / self.width


def in_blocks(
    blocks: int,
    width: int,
    whole: Collection[tuple[int, int]] = (),
    convolutions: tuple[str, ...] = ("conv1",),
) -> tuple[LayerPlan, ...]:
    """The layers inside blocks, to which nothing is added, by ``STAGE_FRACTIONS``.

    Args:
        blocks: How many a stage has.
        width: How many filters each convolution has in the first stage; twice, four times as many
            in the next.
        whole: Blocks that are not cut: the stage, and the place in it, both from 0.
        convolutions: What they are called in a block.
    """
    return tuple(
        LayerPlan(f"blocks.{stage * blocks + block}.{name}", width << stage, fraction)
        for stage, fraction in enumerate(STAGE_FRACTIONS)
        for block in range(blocks)
        if (stage, block) not in whole
        for name in convolutions
    )


@dataclass(frozen=True)
class Results:
    """What is published of a network that is cut step by step.

    Args:
        accuracies: By data set, after the last step: fine-tuned, with one cycle, taught by
            snapshots.
        sizes: What is left then, on CIFAR-10.
    """

    accuracies: Mapping[str, tuple[Published, ...]] = field(default_factory=dict)
    sizes: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Network:
    """A network, and what is published of it.

    Args:
        title: What it is.
        preset: Its recipe and, at full scale, the network.
        not_pruned: Its layers that are no convolutions.
        plan: What is cut of all weights after each step of iterative pruning.
        baseline: By data set, the accuracy of the unpruned network.
        unstructured: After the last step of the plan; the size is that in weights.
        filter_plan: Of which layers filters are cut.
        structured: When they are; sizes are that in weights, and the fraction of the operations.
    """

    title: str
    preset: str
    not_pruned: tuple[str, ...] = ("fc",)
    plan: tuple[float, ...] = ()
    baseline: Mapping[str, Published] = field(default_factory=dict)
    unstructured: Results = Results()
    filter_plan: tuple[LayerPlan, ...] = ()
    structured: Results = Results()


def _accuracy(where: str, percent: float, deviation: float | None = None) -> Published:
    """Given in percent."""
    spread = None if deviation is None else round(deviation / 100, 6)
    return Published(round(percent / 100, 6), spread, where)


def _weights(where: str, millions: float) -> Published:
    return Published(round(1e6 * millions), where=where)


def _baselines(where: str, *percents: float) -> dict[str, Published]:
    numbers = (_accuracy(where, percent) for percent in percents)
    return dict(zip(DATASETS, numbers, strict=True))


def _unstructured(millions: float, *by_dataset: tuple[tuple[float, float], ...]) -> Results:
    """Weights that are left; for each data set, accuracies with deviations, in percent."""
    numbers = (tuple(_accuracy(UNSTRUCTURED, *pair) for pair in pairs) for pairs in by_dataset)
    accuracies = dict(zip(DATASETS, numbers, strict=True))
    return Results(accuracies, (_weights(UNSTRUCTURED, millions),))


def _structured(millions: float, cut: float, *by_dataset: tuple[float, ...]) -> Results:
    """Weights that are left; percent of operations that are cut; accuracies in percent."""
    numbers = (tuple(_accuracy(STRUCTURED, each) for each in percents) for percents in by_dataset)
    accuracies = dict(zip(DATASETS, numbers, strict=True))
    operations = Published(round(1 - cut / 100, 6), where=STRUCTURED)
    return Results(accuracies, (_weights(STRUCTURED, millions), operations))


RESNET_56 = Network(
    "ResNet-56",
    "cifar_resnet_56_a",
    plan=(0.22, 0.39, 0.51, 0.59, 0.66),
    baseline=_baselines(README, 93.42, 71.07),
    unstructured=_unstructured(
        0.29,
        ((92.69, 0.02), (93.41, 0.08), (93.90, 0.10)),
        ((69.53, 0.07), (70.46, 0.30), (72.27, 0.09)),
    ),
    filter_plan=in_blocks(9, 16, whole=((0, 7), (1, 0), (2, 0), (2, 8))),
    structured=_structured(
        0.28,
        61.5,
        (90.35, 92.31, 93.34),
        (64.91, 69.03, 70.95),
    ),
)
RESNET_110 = Network(
    "ResNet-110",
    "cifar_resnet_110_a",
    plan=(0.27, 0.46, 0.60, 0.70, 0.80),
    baseline=_baselines(README, 94.01, 72.35),
    unstructured=_unstructured(
        0.36,
        ((93.02, 0.04), (93.69, 0.17), (94.44, 0.11)),
        ((68.90, 0.08), (71.59, 0.30), (73.12, 0.25)),
    ),
    filter_plan=in_blocks(18, 16, whole=((0, 17), (1, 0), (2, 0))),
    structured=_structured(
        0.39,
        65.38,
        (91.51, 93.24, 94.01),
        (65.44, 69.54, 72.12),
    ),
)
WIDE_RESNET = Network(
    "WRN-16-8",
    "cifar_wide_resnet_16_8_dropout",
    plan=(0.27, 0.46, 0.60, 0.70, 0.77),
    baseline=_baselines(UNSTRUCTURED, 95.62, 79.57),
    unstructured=_unstructured(
        2.53,
        ((95.47, 0.07), (95.55, 0.05), (95.97, 0.05)),
        ((77.92, 0.16), (78.82, 0.11), (80.08, 0.06)),
    ),
    filter_plan=in_blocks(2, 128),
    structured=_structured(
        2.48,
        64.52,
        (94.61, 94.91, 95.68),
        (73.82, 76.46, 79.01),
    ),
)
VGG_16 = Network(
    "VGG-16",
    "cifar_vgg_16_hidden",
    not_pruned=("hidden", "fc"),
    plan=(0.2, 0.4, 0.6, 0.8, 0.95),
    baseline=_baselines(README, 94.23, 73.24),
    unstructured=_unstructured(
        1.02,
        ((93.47, 0.22), (93.53, 0.10), (94.01, 0.06)),
        ((68.39, 0.21), (71.74, 0.15), (73.91, 0.09)),
    ),
    filter_plan=(
        LayerPlan("layers.0", 64, 0.25),
        *(LayerPlan(f"layers.{place}", 512, 0.25) for place in (10, 11, 12, 14, 15, 16)),
    ),
    structured=_structured(
        2.71,
        45.16,
        (93.88, 94.10, 94.59),
        (68.37, 71.95, 73.52),
    ),
)
PRERESNET_110 = Network("PreResNet-110", "cifar_preresnet_110")
PRERESNET_164 = Network(
    "PreResNet-164",
    "cifar_preresnet_164",
    baseline=_baselines(STRUCTURED, 95.06, 76.35),
    # Not published is which convolutions; with both that are inside a block its size comes out.
    filter_plan=in_blocks(18, 16, ((0, 17), (1, 0), (2, 0)), ("convs.0", "convs.1")),
    structured=_structured(
        0.31,
        69.23,
        (92.05, 94.15, 94.30),
        (69.20, 73.99, 75.84),
    ),
)

SNAPSHOT_NETWORKS = (RESNET_56, RESNET_110, WIDE_RESNET, VGG_16)
FILTER_NETWORKS = (RESNET_56, RESNET_110, PRERESNET_164, WIDE_RESNET, VGG_16)
CUT_ONCE = (VGG_16, RESNET_56, RESNET_110, PRERESNET_110)

IMAGENET_NETWORKS: Mapping[str, Any] = {
    "VGG-16": (
        "torchvision_vgg16_bn",
        ("classifier",),
        {
            0.3: ((73.68, 91.53), (72.75, 91.06), (74.02, 91.78)),
            0.6: ((73.63, 91.54), (71.50, 90.43), (73.42, 91.48)),
        },
    ),
    "ResNet-50": (
        "torchvision_resnet50",
        ("fc",),
        {
            0.3: ((76.06, 92.88), (74.77, 92.19), (75.60, 92.75)),
            0.6: ((76.09, 92.91), (73.69, 91.61), (74.90, 92.28)),
        },
    ),
}
"""Preset, layers that are not pruned, and by what is cut, top-1 and top-5 accuracy in percent:
fine-tuned, scratch E, scratch B."""
