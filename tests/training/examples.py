"""Small recipes, data and engines for the tests of training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from datasets.data import Data, Split
from datasets.dataset import Augmentation
from models.build import build
from models.family import Family
from models.presets import preset
from training.description import TrainDesc
from training.engine import Engine
from training.state import State

if TYPE_CHECKING:
    from models.family import Arguments
    from pruning.mask import Mask

CPU = torch.device("cpu")
SEED = 7


def recipe(preset_name: str = "digits_lenet_8", **flags: Any) -> TrainDesc:
    """A training job of a small network, by default in batches of 4 for 2 epochs."""
    small = {"batch_size": 4, "training_steps": "2ep"}
    return TrainDesc.from_flat(preset(preset_name) | small | flags)


def random_data(
    train: int = 10, test: int = 7, shape: tuple[int, int, int] = (1, 4, 4), classes: int = 3
) -> Data:
    """Random pixels with every class in turn, not augmented."""
    drawn = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        pixels = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=drawn)
        return Split(pixels, torch.arange(count) % classes)

    channels = shape[0]
    return Data(
        name="random",
        classes=classes,
        shape=shape,
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        augmentation=Augmentation(),
        train=split(train),
        validation=None,
        test=split(test),
    )


def network_for(recipe: TrainDesc, data: Data) -> nn.Module:
    """The network of a recipe, with initial weights."""
    return build(recipe.model, shape=data.shape, classes=data.classes, seed=SEED)


def start_of(network: nn.Module, mask: Mask | None = None, iteration: int = 0) -> State:
    """The state of a network's weights."""
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    return State(iteration, weights, mask)


def engine_of(recipe: TrainDesc, data: Data | None = None, state: State | None = None) -> Engine:
    """An engine on random data, at the initialization unless told otherwise."""
    data = data or random_data()
    network = network_for(recipe, data)
    state = state or start_of(network)
    return Engine(network, recipe, data, state, order_seed=SEED, device=CPU)


def trained(engine: Engine, until: int) -> Engine:
    """The engine, gone on to iteration ``until`` over as many epochs as that takes."""
    while engine.iteration < until:
        epoch = engine.iteration // engine.iterations_per_epoch
        engine.advance(min(until, (epoch + 1) * engine.iterations_per_epoch))
    return engine


class Dropping(nn.Module):
    """Drops activations, by a module or by a function alone: then no module says that it draws."""

    output_layer = "fc"

    def __init__(self, inputs: int, classes: int, *, by_module: bool) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.5) if by_module else self._drop
        self.fc = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        logits: Tensor = self.fc(self.drop(functional.relu(self.norm(self.hidden(x.flatten(1))))))
        return logits

    def _drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.5, training=self.training)


DROPPING = Family(
    name="test_dropping",
    form="test_dropping_HOW",
    rule="",
    examples=(),
    pattern=r"test_dropping_(?P<how>module|functional)",
    builder="tests.training.examples:build_dropping",
)
"""A family of networks that draw in their forward pass, to be added as a user's file would."""


def build_dropping(arguments: Arguments, *, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """A network that draws in its forward pass, as a user's own family might."""
    inputs = shape[0] * shape[1] * shape[2]
    return Dropping(inputs, classes, by_module=arguments["how"] == "module")
