"""A results folder as OpenLTH writes it, with networks that this project has not trained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from models.lenet import LeNet

if TYPE_CHECKING:
    from pathlib import Path

PER_EPOCH = 23
"""Iterations of an epoch of the digits in batches of 64."""

DATASET = "Dataset Hyperparameters\n    * dataset_name => digits\n    * batch_size => 64"
MODEL = (
    "Model Hyperparameters\n    * model_name => mnist_lenet_8\n"
    "    * model_init => standard_normal\n    * batchnorm_init => uniform"
)
TRAINING = (
    "Training Hyperparameters\n    * optimizer_name => sgd\n    * lr => 0.1\n"
    "    * training_steps => 2ep\n    * milestone_steps => 1ep\n    * gamma => 0.1"
)
PRUNING = (
    "Hyperparameters for Sparse Global Pruning\n    * pruning_strategy => sparse_global\n"
    "    * pruning_fraction => 0.25\n    * pruning_layers_to_ignore => fc.weight"
)
RETRAIN = (
    "Branch Arguments\n    * retrain_d => Hparams(batch_size=64, dataset_name='digits')\n"
    "    * retrain_t => Hparams(lr=0.2, optimizer_name='adam', training_steps='1ep')"
)

Weights = dict[str, Tensor]


def hashed(word: str) -> str:
    """A name as OpenLTH makes them."""
    return f"{word}_{hashlib.md5(word.encode(), usedforsecurity=False).hexdigest()}"


def weights(seed: int) -> Weights:
    """A network's."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return {name: value.clone() for name, value in LeNet(64, [8], 10).state_dict().items()}


def mask(seed: int, kept: float, within: Weights | None = None) -> Weights:
    """A mask of the weights of all layers but the last."""
    drawn = torch.rand(8, 64, generator=torch.Generator().manual_seed(seed)) < kept
    before = torch.ones(8, 64) if within is None else within["fc_layers.0.weight"]
    return {
        "fc_layers.0.weight": (drawn * before).int(),
        "fc.weight": torch.ones(10, 8).int(),
    }


def inside(values: Weights) -> Weights:
    """Named as those of the networks that OpenLTH has from torchvision."""
    return {f"model.{name}": value for name, value in values.items()}


@dataclass
class Folder:
    """The folder, and what was written into it."""

    path: Path
    states: dict[Path, Weights] = field(default_factory=dict)

    def log(self, place: str, *sections: str) -> Path:
        """Write an ``hparams.log``."""
        path = self.path / place / "hparams.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(sections))
        return path

    def state(self, place: str, step: str, values: Weights) -> Path:
        """Write a state."""
        path = self.path / place / f"model_{step}.pth"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(values, path)
        self.states[path] = values
        return path

    def mask(self, place: str, values: Weights) -> None:
        """Write a mask and its report."""
        folder = self.path / place
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(values, folder / "mask.pth")
        counts = {
            "total": float(sum(value.numel() for value in values.values())),
            "unpruned": float(sum(int(value.sum()) for value in values.values())),
        }
        (folder / "sparsity_report.json").write_text(json.dumps(counts, indent=4))

    def logger(self, place: str, rows: str) -> None:
        """Write a logger."""
        (self.path / place / "logger").write_text(rows)


def results(path: Path) -> Folder:
    """Training jobs, one of them broken off; a lottery with rewinding, two levels and branches."""
    folder = Folder(path)
    for replicate in (1, 2):
        main = f"{hashed('train')}/replicate_{replicate}/main"
        folder.log(main, DATASET, MODEL, TRAINING)
        folder.state(main, "ep0_it0", weights(replicate))
        folder.state(main, "ep1_it0", weights(10 + replicate))
        if replicate == 1:
            folder.state(main, "ep2_it0", weights(20))
            folder.logger(main, "test_loss,0,2.5\ntest_accuracy,0,0.1\ntest_accuracy,46,0.75")
    oneshot = f"{hashed('train')}/replicate_1/{hashed('train_branch_oneshot_experiments')}"
    folder.mask(oneshot, mask(1, 0.2))
    folder.state(oneshot, "ep0_it0", weights(1))
    folder.state(oneshot, "ep2_it0", weights(21))
    _lottery(folder, f"{hashed('lottery')}/replicate_1")
    return folder


def _lottery(folder: Folder, replicate: str) -> None:
    pretraining = (
        DATASET.replace("Dataset", "Pretraining Dataset"),
        TRAINING.replace("Training", "Pretraining Training")
        .replace("2ep", "5it")
        .replace("1ep", "3it"),
    )
    folder.log(f"{replicate}/level_0/main", DATASET, MODEL, *pretraining, PRUNING, TRAINING)
    folder.state(f"{replicate}/level_pretrain/main", "ep0_it0", weights(30))
    folder.state(f"{replicate}/level_pretrain/main", "ep0_it5", weights(31))
    masks = [mask(0, 2.0), mask(5, 0.75)]
    masks.append(mask(6, 0.75, within=masks[1]))
    for level, keep in enumerate(masks):
        main = f"{replicate}/level_{level}/main"
        folder.mask(main, keep)
        folder.state(main, "ep0_it5", weights(31))
        folder.state(main, "ep2_it0", weights(40 + level))
        folder.logger(main, f"test_loss,5,2.25\ntest_accuracy,46,0.{level + 5}")
    reinit = f"{replicate}/level_1/{hashed('lottery_branch_randomly_reinitialize')}"
    folder.mask(reinit, inside(masks[1]))
    folder.state(reinit, "ep0_it0", inside(weights(50)))
    folder.state(reinit, "ep2_it0", inside(weights(51)))
    retrain = f"{replicate}/level_0/{hashed('lottery_branch_retrain')}"
    folder.log(retrain, RETRAIN)
    folder.state(retrain, "ep0_it0", weights(31))
    folder.state(retrain, "ep1_it0", weights(61))
