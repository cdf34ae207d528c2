"""Accuracy and loss of a network on a split."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.func import functional_call
from torch.nn import functional

from models.evaluation import folding
from training.numerics import compiled_apart, numerics_of, sum_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor, nn

    from datasets.loader import Batch
    from platforms.ranks import Group
    from training.hparams import TrainingHparams


class Measured(NamedTuple):
    """What was measured, by name, and on how many examples."""

    values: dict[str, float]
    examples: int


class Evaluation:
    """Measures a network, again and again as its weights change.

    Args:
        network: The architecture.
        hparams: Gives numerics, and the temperature of the loss.
    """

    def __init__(self, network: nn.Module, hparams: TrainingHparams) -> None:
        self._numerics = numerics_of(hparams.numerics)
        self._temperature = hparams.loss_temperature
        self._folding = folding(network.to(self._numerics.dtype))

        def forward(weights: dict[str, Tensor], images: Tensor) -> Tensor:
            with self._numerics.arithmetic(images.device):
                logits: Tensor = functional_call(self._folding.network, weights, (images,))
            return logits

        self._eager = forward
        self._forward = compiled_apart(forward) if self._numerics.compiled else forward

    def measure(
        self, weights: Mapping[str, Tensor], batches: Iterable[Batch], top_k: Sequence[int] = ()
    ) -> dict[str, float]:
        """Accuracy and loss on a split, with the statistics of the batch norms.

        Args:
            weights: Parameters and buffers by name, on the device of the network.
            batches: The split, as images and labels; how it is cut into batches does not change
                what is returned.
            top_k: For each k, also the fraction of examples whose label is among the k largest
                logits.

        Returns:
            ``accuracy``, ``loss`` and ``top<k>``: fractions in [0, 1], and the mean over examples
            of the cross-entropy of logits divided by ``loss_temperature``, as in training, but
            without label smoothing.
        """
        found = self.measured(weights, batches, top_k)
        if not found.examples:
            raise _nothing()
        return found.values

    def measured(
        self,
        weights: Mapping[str, Tensor],
        batches: Iterable[Batch],
        top_k: Sequence[int] = (),
        group: Group | None = None,
    ) -> Measured:
        """The same, and on how many examples, which may be none.

        Args:
            weights: As for ``measure``.
            batches: As for ``measure``; of several processes, those that are this one's.
            top_k: As for ``measure``.
            group: The processes; each learns what all have found.
        """

        def part(logits: Tensor, labels: Tensor) -> Tensor:
            return _measures(logits, labels, self._temperature, top_k)

        names = ("accuracy", "loss", *(f"top{k}" for k in top_k))
        sums, examples = self._summed(weights, batches, part)
        if group is not None:
            nothing = torch.zeros(len(names), dtype=sum_dtype(group.device), device=group.device)
            own = nothing if sums is None else sums
            *found, counted = group.added(torch.cat([own, own.new_tensor([examples])])).tolist()
            examples = int(counted)
        else:
            found = [] if sums is None else sums.tolist()
        values = [value / examples for value in found] if examples else []
        return Measured(dict(zip(names, values, strict=bool(examples))), examples)

    def by_class(
        self, weights: Mapping[str, Tensor], batches: Iterable[Batch], classes: int
    ) -> list[float | None]:
        """The accuracy on the examples of each class; None of a class that has none.

        Args:
            weights: As for ``measure``.
            batches: As for ``measure``.
            classes: How many there are.
        """

        def part(logits: Tensor, labels: Tensor) -> Tensor:
            of_class = labels[:, None] == torch.arange(classes, device=labels.device)
            right = (logits.argmax(1) == labels)[:, None] & of_class
            return torch.stack([right.sum(0), of_class.sum(0)])

        counts, _ = self._summed(weights, batches, part)
        if counts is None:
            raise _nothing()
        return [right / total if total else None for right, total in counts.T.tolist()]

    def _summed(
        self,
        weights: Mapping[str, Tensor],
        batches: Iterable[Batch],
        part: Callable[[Tensor, Tensor], Tensor],
    ) -> tuple[Tensor | None, int]:
        """The sum over all batches of what ``part`` makes of logits and labels; the examples."""
        sums: Tensor | None = None
        examples = whole = 0
        with torch.inference_mode():
            folded = {n: self._laid_out(v) for n, v in self._folding.weights(weights).items()}
            for images, labels in batches:
                whole = whole or len(labels)
                # A last batch of another size is not worth a graph of its own.
                forward = self._forward if len(labels) == whole else self._eager
                logits = forward(folded, images.to(dtype=self._numerics.dtype))
                of_batch = part(logits, labels)
                sums = of_batch if sums is None else sums + of_batch
                examples += len(labels)
        return sums, examples

    def _laid_out(self, value: Tensor) -> Tensor:
        layout = self._numerics.memory_format if value.dim() == 4 else torch.contiguous_format
        return value.contiguous(memory_format=layout)


def _nothing() -> ValueError:
    return ValueError("There is nothing to evaluate on.")


def _measures(logits: Tensor, labels: Tensor, temperature: float, top_k: Sequence[int]) -> Tensor:
    """Sums over a batch: right answers, loss, and right answers among the k largest.

    In float64, so that the sum over a split hardly depends on how it is cut into batches.
    """
    logits = logits.to(sum_dtype(logits.device))
    loss = functional.cross_entropy(logits / temperature, labels, reduction="sum")
    right = (logits.argmax(1) == labels).sum()
    places = [min(k, logits.shape[1]) for k in top_k]
    among = [(logits.topk(k).indices == labels[:, None]).any(1).sum() for k in places]
    return torch.stack([count.to(loss.dtype) for count in (right, loss, *among)])
