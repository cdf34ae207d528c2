"""The surroundings of a run: its recipe, replicate, data and device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from datasets.load import load
from datasets.loader import EvalLoader, scoring_batches
from datasets.sources import WHOLE, Portion
from foundations.errors import UserError
from models.build import architecture, build, initialization_of
from pruning.gating import with_gates
from training.numerics import numerics_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from datasets.data import Data, Split
    from datasets.hparams import DatasetHparams
    from platforms.base import Platform
    from platforms.ranks import Group
    from pruning.criteria import Examples
    from training.course import Course
    from training.description import TrainDesc
    from training.step import Objective

    Left = Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]]


EVALUATION_BATCH = 500
"""Examples evaluated at once: it decides speed alone; activations of more leave the caches."""


@dataclass(frozen=True)
class Setting:
    """All that a run's results depend on besides its start, and where it is computed.

    Args:
        recipe: Network, data and training.
        replicate: Seeds follow it, where the recipe does not set them apart.
        data_root: Where data sets are.
        device: Where to compute.
        workers: Processes that decode images.
        objective: What training minimizes; None is the cross entropy.
        course: How its state changes while it trains, besides by updates.
        group: The processes that train it together; None: this one alone.
    """

    recipe: TrainDesc
    replicate: int
    data_root: Path
    device: torch.device
    workers: int = 0
    objective: Objective | None = None
    course: Course | None = None
    group: Group | None = None

    @classmethod
    def on(cls, platform: Platform, recipe: TrainDesc, replicate: int) -> Setting:
        """The setting of a replicate on a platform."""
        return cls(
            recipe,
            replicate,
            platform.datasets_root(),
            platform.torch_device(),
            platform.num_workers,
        )

    @property
    def initialization_seed(self) -> int:
        """The seed of the network's first weights."""
        return self._seed(self.recipe.model.model_seed)

    @property
    def order_seed(self) -> int:
        """The seed of the order and the augmentation of the data."""
        return self._seed(self.recipe.training.data_order_seed)

    @cached_property
    def data(self) -> Data:
        """The data set, transformed and split, on the device."""
        seed = self._seed(self.recipe.dataset.transformation_seed)
        whole = _loaded(self.recipe.dataset, seed, self.data_root, self.workers)
        return whole.to(self.device)

    @property
    def iterations_per_epoch(self) -> int:
        """Updates in an epoch; the last one may be on fewer examples."""
        return -(-len(self.data.train.labels) // self.recipe.dataset.batch_size)

    @property
    def end(self) -> int:
        """The iteration at which training ends."""
        return self.recipe.training.training_steps.iterations(self.iterations_per_epoch)

    def network(self, mask: Iterable[str] | None = None) -> nn.Module:
        """The architecture, on the device; its own weights mean nothing.

        Args:
            mask: The network has the gates that it (or other names) names; they are all ones until
                a functional call is given those of ``gate_tensors(mask)``.

        Raises:
            UserError: The network has no place for such a gate.
        """
        data = self.data
        made = architecture(self.recipe.model, shape=data.shape, classes=data.classes, seed=0)
        return with_gates(made.to(self.device), data.shape, mask or ())

    def check_fits(self, weights: Mapping[str, Tensor]) -> None:
        """Refuse the weights of another network.

        Raises:
            UserError: Names what is missing, too much, or of another shape.
        """
        own = {name: tuple(value.shape) for name, value in self.network().state_dict().items()}
        other = {name: tuple(value.shape) for name, value in weights.items()}
        for name in sorted(own.keys() | other.keys()):
            if own.get(name) != other.get(name):
                raise UserError(
                    f"These are the weights of another network: {name} has the shape "
                    f"{other.get(name, '(absent)')} there and {own.get(name, '(absent)')} in "
                    f"{self.recipe.model.model_name}."
                )

    def initialization(self, seed: int, left: Left | None = None) -> dict[str, Tensor]:
        """The first weights and buffers that follow from a seed.

        Args:
            seed: Which.
            left: What of each layer is left, where it is drawn for that alone.
        """
        data = self.data
        if left is not None:
            return initialization_of(
                self.recipe.model, shape=data.shape, classes=data.classes, seed=seed, left=left
            )
        made = build(self.recipe.model, shape=data.shape, classes=data.classes, seed=seed)
        state = made.state_dict()
        return {name: value.detach() for name, value in state.items()}

    def on_device(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights where the network computes, in the dtype of the profile."""
        dtype = numerics_of(self.recipe.training.numerics).dtype
        return {
            name: value.to(self.device, dtype if value.is_floating_point() else value.dtype)
            for name, value in weights.items()
        }

    def scoring_data(self, seed: int) -> ScoringData:
        """What criteria score on, drawn by this seed."""
        return ScoringData(self, seed)

    def evaluation(self, split: str, portion: Portion = WHOLE) -> EvalLoader | None:
        """The batches of ``test``, ``validation`` or ``train``; None where there is no such one.

        Args:
            split: Its name.
            portion: Of several processes, that of one.
        """
        chosen: Split | None = getattr(self.data, split)
        if chosen is None:
            return None
        layout = numerics_of(self.recipe.training.numerics).memory_format
        return EvalLoader(
            chosen,
            self.data,
            batch_size=EVALUATION_BATCH,
            device=self.device,
            memory_format=layout,
            portion=portion,
        )

    def _seed(self, own: int | None) -> int:
        return self.replicate if own is None else own


@dataclass(frozen=True)
class ScoringData:
    """The training examples that criteria look at, without augmentation."""

    setting: Setting
    seed: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of an image: channels, height, width."""
        return self.setting.data.shape

    def batches(self, examples: Examples) -> Sequence[tuple[Tensor, Tensor]]:
        """The examples that are asked for, in the arithmetic of the profile."""
        setting = self.setting
        data = setting.data
        examples = examples.resolved(len(data.train), data.classes)
        return scoring_batches(
            data,
            setting.recipe.dataset,
            per_class=examples.per_class,
            examples=examples.examples,
            batches=examples.batches,
            batch_size=examples.batch_size or setting.recipe.dataset.batch_size,
            seed=self.seed,
            augmented=examples.augmented,
            device=setting.device,
        )


@lru_cache(maxsize=1)  # a parent and its branches share their data
def _loaded(hparams: DatasetHparams, seed: int, root: Path, workers: int) -> Data:
    return load(hparams, seed=seed, root=root, workers=workers)
