"""Weight level: its runs, to their number and their flags, and what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from branches.base import branch_of, lineage, recipe_of
from branches.distill import Distill
from branches.pruning import PruningBranch
from foundations.description import BranchDesc
from models.build import architecture, prunable
from papers.paper import Scale
from papers.weight_level import PAPER, Experiment
from papers.weight_level_networks import (
    FILTER_NETWORKS,
    IMAGENET_NETWORKS,
    PRERESNET_110,
    PRERESNET_164,
    RESNET_56,
    RESNET_110,
    VGG_16,
    WIDE_RESNET,
    Network,
)
from pruning.compaction.compact import compacted, parameters
from pruning.conventions import PTFLOPS
from pruning.counting import operations
from pruning.prune import prune
from pruning.subject import Subject
from tests.papers.commanded import name_of

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description

SHAPE = (3, 32, 32)
VGG = Experiment.of(VGG_16, "cifar10", Scale.FULL)
END = "--prune_step=160ep --state_step=160ep --start_step=160ep"
CYCLE = (
    "--finetune_lr_schedule=one_cycle --finetune_lr=0.1 --finetune_one_cycle_div_factor=10 "
    "--finetune_one_cycle_warmup_fraction=0.1 --finetune_one_cycle_final_div_factor=100"
)

MEAN = "--distill_mean=examples_and_classes"
"""Of its losses, says the code of Le et al. (the README's row has the mean over examples)."""


def test_every_table_has_the_cells_and_runs_of_its_grid() -> None:
    """Five ways of four percentages of four networks, and lines for the unpruned ones."""
    found = {}
    for name, make in PAPER.studies.items():
        study = make(Scale.FULL)
        found[name] = len(study.table.cells), len(study.runs), len(study.replicates)
    once, steps = (4 * 4 * 5, 4 * 4 * 5 + 4, 5), (4 * (3 + 1), 4 * 3, 5)
    filters = 5 * (3 + 2), 5 * 3, 5
    assert found == {
        "baselines": (12, 12, 5),
        "cifar10": once,
        "cifar100": once,
        "snapshots_cifar10": steps,
        "snapshots_cifar100": steps,
        "filters_cifar10": filters,
        "filters_cifar100": filters,
        "imagenet": (2 * 2 * 3 * 2, 2 * 2 * 3, 1),
    }


def test_networks_and_cuts_are_those_of_the_readmes_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of VGG-16 neither linear layer is pruned."""
    other = Experiment.of(PRERESNET_110, "cifar10", Scale.FULL)
    hundred = Experiment.of(RESNET_56, "cifar100", Scale.FULL)
    for run, command in (
        (VGG.dense, "train --default_hparams=cifar_vgg_16_hidden"),
        (
            hundred.dense,
            "train --default_hparams=cifar_resnet_56_a --dataset_name=cifar100",
        ),
        (
            VGG.cut(0.3),
            f"branch BASELINE oneshot --prune_fraction=0.3 {END} --layers_to_ignore=hidden,fc",
        ),
        (
            other.cut(0.3),
            (
                "branch train oneshot --default_hparams=cifar_preresnet_110 --prune_fraction=0.3 "
                f"{END} --layers_to_ignore=fc"
            ),
        ),
    ):
        assert name_of(command, tmp_path, capsys, BASELINE=VGG.dense) == run.name


@pytest.mark.parametrize(
    ("way", "command"),
    [
        ("fine-tuned", "finetune"),
        ("one-cycle", f"finetune {CYCLE}"),
        ("distilled", f"distill --teachers=BASELINE --distill_temperature=5 {MEAN}"),
        ("scratch E", "scratch"),
        ("scratch B", "scratch --budget=flops"),
    ],
)
def test_ways_are_those_of_the_readmes_commands(
    way: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of what is left of VGG-16 after a cut of 30 %."""
    runs: dict[str, Description] = {"CUT": VGG.cut(0.3), "BASELINE": VGG.dense}
    found = name_of(f"branch CUT {command}", tmp_path, capsys, **runs)
    assert found == VGG.ways(0.3)[way].name


def test_steps_are_those_of_the_readmes_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """VGG-16 in five, fine-tuned after each."""
    command = (
        "iterative --default_hparams=cifar_vgg_16_hidden --pruning_schedule=explicit "
        "--pruning_fractions=.2,.4,.6,.8,.95 --pruning_fraction=.95 --finetune "
        "--pruning_layers_to_ignore=hidden,fc"
    )
    assert name_of(command, tmp_path, capsys) == VGG.snapshots(VGG.cut_weights)["fine-tuned"].name


def test_the_unpruned_network_and_every_snapshot_teach_the_last_cut() -> None:
    """Six of them: the snapshots are those with one cycle; the student is their last cut."""
    runs = VGG.snapshots(VGG.cut_weights)
    distilled, last = runs["distilled"], runs["one-cycle"]
    assert isinstance(distilled, BranchDesc)
    assert isinstance(last, BranchDesc)
    branch = branch_of(distilled)
    assert isinstance(branch, Distill)
    line = lineage(last)
    assert [teacher.description for teacher in branch.teachers] == line[::2]
    assert len(branch.teachers) == 6
    assert branch.distill_mean == "examples_and_classes"
    assert distilled.parent == last.parent


def test_published_accuracies_stand_where_they_are_said_to() -> None:
    """A few of each source, with their deviations."""
    studies = {name: make(Scale.FULL).table.cells for name, make in PAPER.studies.items()}
    expected = {
        ("baselines", "ResNet-110", "cifar100"): (0.7235, None, "baselines"),
        ("baselines", "WRN-16-8", "cifar10"): (0.9562, None, "Le et al."),
        ("snapshots_cifar10", "ResNet-56", "fine-tuned"): (0.9269, 0.0002, "Le et al."),
        ("snapshots_cifar100", "VGG-16", "distilled"): (0.7391, 0.0009, "Le et al."),
        ("snapshots_cifar100", "WRN-16-8", "one-cycle"): (0.7882, 0.0011, "Le et al."),
        ("filters_cifar10", "ResNet-110", "one-cycle"): (0.9324, None, "structured"),
        ("filters_cifar100", "PreResNet-164", "distilled"): (0.7584, None, "structured"),
        ("filters_cifar10", "WRN-16-8", "operations left"): (0.3548, None, "structured"),
        ("filters_cifar10", "VGG-16", "weights"): (2_710_000, None, "structured"),
        ("snapshots_cifar10", "WRN-16-8", "weights kept"): (2_530_000, None, "unstructured"),
        ("imagenet", "VGG-16, 60 %, scratch B", "test accuracy"): (0.7342, None, "Liu et al."),
        ("imagenet", "ResNet-50, 30 %, fine-tuned", "test top5"): (0.9288, None, "Liu et al."),
    }
    for (study, row, column), (value, deviation, where) in expected.items():
        number = studies[study][row, column].published
        assert number is not None
        assert (number.value, number.deviation) == (value, deviation)
        assert where in number.where


@pytest.mark.parametrize("name", ["cifar100", "snapshots_cifar100", "filters_cifar100"])
def test_titles_say_on_what_networks_were_trained(name: str) -> None:
    """Which at the scale of smoke are digits."""
    make = PAPER.studies[name]
    assert make(Scale.FULL).table.title.endswith(" on cifar100")
    assert make(Scale.SMOKE).table.title.endswith(" on digits")


def test_imagenet_is_fine_tuned_for_ten_epochs() -> None:
    """And measured to the fifth guess."""
    study = PAPER.studies["imagenet"](Scale.FULL)
    run = study.table.cells["ResNet-50, 30 %, fine-tuned", "test accuracy"].run
    assert isinstance(run, BranchDesc)
    assert str(vars(run.branch)["finetune_training_steps"]) == "10ep"
    assert study.options.top_k == (5,)


def test_the_numbers_that_are_published_are_as_many_as_there_are() -> None:
    """Five baselines on two data sets, the ways of networks on each, and ImageNet's."""
    counts = {
        name: sum(cell.published is not None for cell in make(Scale.FULL).table.cells.values())
        for name, make in PAPER.studies.items()
    }
    assert counts == {
        "baselines": 10,
        "cifar10": 0,
        "cifar100": 0,
        "snapshots_cifar10": 16,
        "snapshots_cifar100": 12,
        "filters_cifar10": 25,
        "filters_cifar100": 15,
        "imagenet": 24,
    }


@pytest.mark.parametrize(
    ("network", "weights"),
    [
        (VGG_16, 14_710_464),
        (RESNET_56, 848_304),
        (RESNET_110, None),
        (WIDE_RESNET, None),
        (PRERESNET_110, None),
        (PRERESNET_164, None),
        *(
            (Network(name, preset, layers), None)
            for name, (preset, layers, _) in IMAGENET_NETWORKS.items()
        ),
    ],
    ids=lambda value: value.title if isinstance(value, Network) else "",
)
def test_convolutions_are_pruned_and_nothing_else(network: Network, weights: int | None) -> None:
    """As many weights of them as in the published code, where that is known."""
    recipe = recipe_of(Experiment.of(network, "cifar10", Scale.FULL).dense)
    made = architecture(recipe.model, shape=SHAPE, classes=10, seed=1)
    layers = {name: made.get_parameter(name) for name in prunable(made)}
    pruned = {name for name in layers if not name.startswith(network.not_pruned)}
    assert pruned == {name for name, weight in layers.items() if weight.dim() == 4}
    assert weights in {None, sum(layers[name].numel() for name in pruned)}


def test_filters_are_cut_as_a_command_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first step of WRN-16-8, of what is left in each layer, rounded down."""
    first, tuned = Experiment.of(WIDE_RESNET, "cifar10", Scale.FULL).cut_filters()[1:3]
    fractions = zip(range(6), (0.1015625,) * 2 + (0.203125,) * 2 + (0.30078125,) * 2, strict=True)
    layers = ",".join(f"blocks.{block}.conv1={fraction}" for block, fraction in fractions)
    command = (
        "branch train oneshot --default_hparams=cifar_wide_resnet_16_8_dropout "
        f"--granularity=channels --coupling=inner --reduction=abs_sum --allocation=explicit {END} "
        f"--layer_fractions={layers} --prune_fraction_of=all"
    )
    assert name_of(command, tmp_path, capsys) == first.name
    assert name_of("branch CUT finetune", tmp_path, capsys, CUT=first) == tuned.name


@pytest.mark.parametrize(
    ("network", "blocks", "whole", "convolutions"),
    [
        (RESNET_56, 9, "1.7 2.0 3.0 3.8", {"conv1"}),
        (RESNET_110, 18, "1.17 2.0 3.0", {"conv1"}),
        (PRERESNET_164, 18, "1.17 2.0 3.0", {"convs.0", "convs.1"}),
        (WIDE_RESNET, 2, "", {"conv1"}),
    ],
    ids=lambda value: value.title if isinstance(value, Network) else "",
)
def test_blocks_that_are_left_whole(
    network: Network, blocks: int, whole: str, convolutions: set[str]
) -> None:
    """As the filter pruning of the same authors has them: the stage, and the block from 0."""
    pairs = [name.split(".") for name in whole.split()]
    left = {(int(stage) - 1) * blocks + int(block) for stage, block in pairs}
    cut = {*range(3 * blocks)} - left
    expected = {f"blocks.{block}.{convolution}" for block in cut for convolution in convolutions}
    assert {plan.layer for plan in network.filter_plan} == expected


@pytest.mark.parametrize(
    ("network", "classes"),
    [(network, 100 if network is RESNET_110 else 10) for network in FILTER_NETWORKS],
    ids=lambda value: value.title if isinstance(value, Network) else "",
)
def test_five_steps_come_to_the_published_sizes(network: Network, classes: int) -> None:
    """Parameters in millions, and the ratio of billions of operations, as they were rounded.

    That of ResNet-110 is 0.38 with 10 classes, and as published, 0.39, with 100.
    """
    runs = Experiment.of(network, "cifar10", Scale.FULL).cut_filters()
    made = architecture(recipe_of(runs[0]).model, shape=SHAPE, classes=classes, seed=1)
    mask = None
    for run in runs[1::2]:
        assert isinstance(run, BranchDesc)
        assert isinstance(run.branch, PruningBranch)
        mask = prune(Subject(made, run.branch, SHAPE), made.state_dict(), mask=mask).mask
    small = compacted(made, SHAPE, made.state_dict(), mask)
    count, left = network.structured.sizes
    assert round(parameters(small) / 1e6, 2) == count.value / 1e6
    before, after = (PTFLOPS.count(operations(each, SHAPE)) for each in (made, small))
    ratio = round(after / 1e9, 2) / round(before / 1e9, 2)
    assert ratio == pytest.approx(
        left.value, abs=5e-4
    )  # published to a tenth of a percent or finer
