"""What this project is measured against: a training loop that decodes one image at a time.

It does what OpenLTH does in a step, in the same order, and nothing to be slower: a PIL image from
the array, torchvision's transforms on it, torch's DataLoader with no workers, masks multiplied into
the weights by a loop over the layers before each forward pass, torch's own SGD and a learning rate
set at every iteration; evaluation reads its loss and its accuracy off the device at every batch.
"""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Batch = tuple[torch.Tensor, torch.Tensor]

MNIST_MEAN, MNIST_STD = (0.1307,), (0.3081,)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def mnist_transform() -> Callable[[Image.Image], torch.Tensor]:
    """Image (28, 28) to normalized tensor (1, 28, 28); the same for training and evaluation."""
    steps = [transforms.ToTensor(), transforms.Normalize(MNIST_MEAN, MNIST_STD)]
    return transforms.Compose(steps)  # type: ignore[no-any-return]


def cifar_transform(*, augment: bool) -> Callable[[Image.Image], torch.Tensor]:
    """Image (32, 32) to normalized tensor (3, 32, 32), flipped and cropped at random or not."""
    random = [transforms.RandomHorizontalFlip(), transforms.RandomCrop(32, 4)] if augment else []
    steps = [*random, transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
    return transforms.Compose(steps)  # type: ignore[no-any-return]


class PerImageDataset(Dataset[tuple[torch.Tensor, int]]):
    """Images that are decoded when they are asked for, one by one.

    Args:
        images: uint8 (N, H, W), or (N, H, W, 3).
        labels: Integers (N,).
        transform: From a PIL image to a tensor (C, H, W).
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        transform: Callable[[Image.Image], torch.Tensor],
    ) -> None:
        self._images, self._labels, self._transform = images, labels, transform

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self._images[index])
        return self._transform(image), int(self._labels[index])


class MaskedNetwork(nn.Module):
    """A network whose masked weights are set to zero before each forward pass, layer by layer.

    Args:
        network: What is masked, in place.
        masks: Ones and zeros, by the name and in the shape of the parameter they mask.
    """

    def __init__(self, network: nn.Module, masks: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.network = network
        for name, mask in masks.items():
            self.register_buffer(_buffer_name(name), mask.float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits of the masked network."""
        for name, parameter in self.network.named_parameters():
            if hasattr(self, _buffer_name(name)):
                parameter.data *= getattr(self, _buffer_name(name))
        return self.network(x)  # type: ignore[no-any-return]


def _buffer_name(parameter: str) -> str:
    return "mask_" + parameter.replace(".", "___")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the baseline trains. The milestones are iterations; the warm-up is linear."""

    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    milestones: Sequence[int] = ()
    gamma: float = 0.1
    warmup: int = 0
    batch_size: int = 128

    def factor(self, iteration: int) -> float:
        """What the learning rate is multiplied by at an iteration."""
        warm = min(1.0, iteration / self.warmup) if self.warmup else 1.0
        return float(self.gamma ** bisect(self.milestones, iteration)) * warm


class BaselineTraining:
    """A training that can be run for some steps at a time, so that rivals can take turns."""

    def __init__(
        self,
        network: nn.Module,
        masks: Mapping[str, torch.Tensor],
        dataset: PerImageDataset,
        recipe: Recipe,
        device: torch.device | str = "cpu",
    ) -> None:
        self._device = torch.device(device)
        self._network = MaskedNetwork(network, masks).to(self._device)
        self._loss = nn.CrossEntropyLoss()
        self._optimizer = torch.optim.SGD(
            self._network.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self._schedule = LambdaLR(self._optimizer, recipe.factor)
        self._batches = _endless(
            DataLoader(
                dataset,
                batch_size=recipe.batch_size,
                shuffle=True,
                num_workers=0,
                pin_memory=self._device.type == "cuda",
            )
        )

    def run(self, steps: int) -> float:
        """Train for so many steps.

        Returns:
            Images per second, the reading of the images included.
        """
        images, start = 0, perf_counter()
        for x, y in islice(self._batches, steps):
            self._step(x.to(self._device), y.to(self._device))
            images += len(x)
        _wait(self._device)
        return images / (perf_counter() - start)

    def _step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self._optimizer.zero_grad()
        self._network.train()
        loss = self._loss(self._network(x), y)
        loss.backward()
        self._optimizer.step()
        self._schedule.step()


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found, and how fast."""

    images_per_second: float
    accuracy: float
    loss: float


def evaluate(
    network: nn.Module,
    masks: Mapping[str, torch.Tensor],
    dataset: PerImageDataset,
    *,
    batches: int | None = None,
    batch_size: int = 128,
    device: torch.device | str = "cpu",
) -> Evaluation:
    """Evaluate a masked network on the first ``batches``, or all, of a data set."""
    device = torch.device(device)
    masked = MaskedNetwork(network, masks).to(device).eval()
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader(
        dataset, batch_size=batch_size, num_workers=0, pin_memory=device.type == "cuda"
    )
    images, correct, total, start = 0, 0.0, 0.0, perf_counter()
    with torch.no_grad():
        for images_cpu, labels_cpu in islice(loader, batches):
            x, y = images_cpu.to(device), labels_cpu.to(device)
            output = masked(x)
            total += criterion(output, y).item() * len(y)
            correct += (output.argmax(dim=1) == y).sum().item()
            images += len(y)
    _wait(device)
    return Evaluation(images / (perf_counter() - start), correct / images, total / images)


def _endless(loader: DataLoader[tuple[torch.Tensor, int]]) -> Iterator[Batch]:
    """Batches of one epoch after another."""
    while True:
        yield from loader


def _wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
