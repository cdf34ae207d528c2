"""Every row of the README's tables of equivalents, carried out at a small scale, in order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from models.build import build
from models.hparams import ModelHparams
from open_prune import main
from tests.test_readme import README

if TYPE_CHECKING:
    from pathlib import Path

SECTION = README.split("## Coming from other code")[1].split("\n## ")[0]
TABLES = [table for table in re.split(r"^\*\*", SECTION, flags=re.MULTILINE)[1:] if "|" in table]

NETWORKS = {
    "granularity_resnet_20": "granularity_resnet_8",
    "mnist_dbsn": "mnist_dbsn_30_20",
    "mnist_lenet_300_100": "mnist_lenet_30_20",
    "cifar_resnet_20": "cifar_resnet_8",
    "cifar_resnet_56_a": "cifar_resnet_8_a",
    "cifar_vgg_16": "cifar_vgg_11",
    "cifar_vgg_16_hidden": "cifar_vgg_11_hidden",
    "cifar_preresnet_110": "cifar_preresnet_8",
    "imagenet_resnet_50": "imagenet_resnet_18",
    "cifar_resnet_110_a": "cifar_resnet_8_a",
    "cifar_vgg_13_relu_bn": "cifar_vgg_11_4_relu_bn",
    "cifar_mobilenet": "cifar_mobilenet_4",
    "gradient_flow_resnet_56": "gradient_flow_resnet_8",
    "cifar_imagenet_resnet_18": "cifar_imagenet_resnet_18_4",
    "cifar_imagenet_resnet_34": "cifar_imagenet_resnet_18_4",
    "cifar_wide_resnet_40_2": "cifar_wide_resnet_10_0.25",
    "cifar_wide_resnet_16_2": "cifar_wide_resnet_16_0.25",
    "cifar_wide_resnet_40_0.5": "cifar_wide_resnet_10_0.5",
    "cifar_wide_resnet_40_2_bottle_0.5": "cifar_wide_resnet_10_0.25_bottle_0.5",
    "cifar_densenet_bc_100_12": "cifar_densenet_bc_10_3",
    "cifar_densenet_bc_40_12": "cifar_densenet_bc_16_3",
    "cifar_densenet_bc_100_6": "cifar_densenet_bc_10_2",
    "cifar_densenet_bc_100_12_bottle_0.5": "cifar_densenet_bc_10_3_bottle_0.5",
}
"""What stands in for the network of a preset; the others stand for themselves."""

SMALLER = {
    "160ep": "2ep",
    "200ep": "2ep",
    "300ep": "2ep",
    "20ep": "1ep",
    "--prune_after=10ep": "--prune_after=1ep",
    "--prune_iterations=25": "--prune_iterations=3",
    "--prune_every=100it": "--prune_every=1it",
    "--prune_iterations=1300": "--prune_iterations=5",
    "--prune_iterations=2600": "--prune_iterations=5",
    "prunes:500": "prunes:3",
    "--score_examples=2560": "--score_examples=20",
    "--latency": "--latency --latency_batches=1 --latency_threads=1",
    "1000it,2000it,3000it": "1it,2it,3it",
    "1000it": "1it",
    "2000it": "2it",
    "--prune_iterations=100": "--prune_iterations=3",
    "--score_examples=2000": "--score_examples=20",
    "fc,blocks.3.shortcut,blocks.6.shortcut": "fc,blocks.1.shortcut,blocks.2.shortcut",
}
PREFIXES = {"finetune": "finetune", "--finetune": "finetune", "distill": "distill"}
"""Words that mean that a training of its own follows, and how its flags begin."""

LOOKS = ("eval", "compact")
"""Commands that make no run."""


def rows(table: str) -> list[tuple[str, str | None]]:
    """The commands of a table, and the name that later rows have for the run."""
    found = re.findall(
        r"\| `python open_prune\.py ([^`]*)`(?: \*makes (\w+)\*)? \|$", table, re.MULTILINE
    )
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(found) == len(lines) - 1, "a row without a command"
    return [(command, name or None) for command, name in found]


def small(command: str, images: Path) -> list[str]:
    """The command with a small network, little data and few steps."""
    for long, short in SMALLER.items():
        command = re.sub(rf"(?<![\w,]){re.escape(long)}(?![\w,])", short, command)
    words = command.split()
    for place, word in enumerate(words):
        flag, _, value = word.partition("=")
        if flag == "--default_hparams":
            words[place] = f"{flag}={NETWORKS.get(value, value)}"
            words += _data(value, images)
    for word, prefix in PREFIXES.items():
        if word in words:
            words.append(f"--{prefix}_training_steps=1ep")
    if "interleaved" in words and "--prune_every" not in command:
        words.append("--prune_every=1it")
    return [*words, "--quiet"] if words[0] not in LOOKS else words


def _data(preset: str, images: Path) -> list[str]:
    data = ["--dataset_name=folder", f"--folder={images}", "--normalize=own"]
    data = ["--dataset_name=digits"] if preset.startswith("mnist") else data
    return [*data, "--batch_size=16", "--training_steps=2ep"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """An image folder of ten classes, of 32 x 32 pixels."""
    draws = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 2)):
        for label in range(10):
            folder = tmp_path / "images" / split / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draws.integers(20 * label, 20 * label + 60, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A state dict of a small network for ten classes, as other projects save it."""
    hparams = ModelHparams(
        model_name="gradient_flow_resnet_8",
        model_init="pytorch_default",
        batchnorm_init="fixed",
    )
    network = build(hparams, shape=(3, 32, 32), classes=10, seed=3)
    path = tmp_path / "weights.pth"
    torch.save({"net": {f"module.{n}": v for n, v in network.state_dict().items()}}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES, ids=lambda table: re.sub(r"\W+", "_", table[:24]))
def test_every_row_does_what_it_says(
    table: str,
    images: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each command ends well and leaves a finished run, which the next rows may name."""
    monkeypatch.setenv("OPEN_PRUNE_ROOT", str(tmp_path / "runs"))
    monkeypatch.setenv("OPEN_PRUNE_DATA", str(tmp_path / "data"))
    names = {"IMAGES": str(images), "WEIGHTS": str(weights)}
    for command, makes in rows(table):
        for name, stands_for in names.items():
            command = re.sub(rf"\b{name}\b", stands_for, command)  # noqa: PLW2901 - read as what it means
        words = small(command, images)
        assert main(words) == 0, f"{' '.join(words)}\n{capsys.readouterr().err}"
        printed = capsys.readouterr().out
        if words[0] not in LOOKS:
            last = printed.splitlines()[-1].split()[0]
            assert list((tmp_path / "runs" / last).glob("replicate_*/done.json")), printed
            names |= {makes: last} if makes else {}
