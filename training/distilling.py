"""The loss of a network that learns from an ensemble of others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from foundations.errors import UserError
from training.measures.subject import Subject
from training.numerics import sum_dtype
from training.step import training_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

    from datasets.loader import Batch
    from training.description import TrainDesc
    from training.hparams import TrainingHparams
    from training.setting import Setting
    from training.state import State

    Network = Callable[[Tensor], Tensor]
    """From images, normalized, to logits."""


@dataclass(frozen=True)
class Distilling:
    """What an ensemble teaches: ``1/M sum_m T^2 KL(softmax(t_m / T) || softmax(s / T))``.

    The distillation of Hinton et al. 2015 (eq. 1), from M teachers as in "Paying more Attention to
    Snapshots of Iterative Pruning" (Le et al. 2020). The gradient flows into the student's logits
    s alone.

    Args:
        teachers: Networks in evaluation mode.
        hparams: The student's; the loss of labels.
        temperature: T.
        mean: Over what the divergence is a mean: "examples"; or "examples_and_classes", as
            the mean over all numbers has it.
        cross_entropy: The weight of the loss of the labels, which is added.
    """

    teachers: Sequence[Network]
    hparams: TrainingHparams
    temperature: float
    mean: str = "examples"
    cross_entropy: float = 0.0

    def __call__(self, images: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of a batch, one number."""
        student = functional.log_softmax(_precise(logits) / self.temperature, 1)
        total = logits.new_zeros((), dtype=student.dtype)
        for teacher in self.teachers:
            with torch.no_grad():
                taught = functional.softmax(_precise(teacher(images)) / self.temperature, 1)
            total = total + functional.kl_div(student, taught, reduction="batchmean")
        summed = len(self.teachers) * (1 if self.mean == "examples" else logits.shape[1])
        loss = total * (self.temperature**2 / summed)
        if self.cross_entropy:
            loss = loss + self.cross_entropy * training_loss(self.hparams, logits, labels)
        return loss


def teacher(setting: Setting, recipe: TrainDesc, state: State) -> Network:
    """A network that has been trained, as one that teaches.

    Args:
        setting: The student's, whose images it sees, and in whose arithmetic it computes.
        recipe: By which it was trained itself.
        state: Its weights, and its mask.

    Raises:
        UserError: It has other classes, or saw other images.
    """
    own, other = setting.recipe.dataset.normalize, recipe.dataset.normalize
    if own != other:
        raise UserError(
            f"A teacher sees the images of its student: it was trained with --normalize={other}, "
            f"and the student is with --normalize={own}."
        )
    taught = replace(setting, recipe=replace(setting.recipe, model=recipe.model))
    subject = Subject.of(taught, state)
    network, weights = subject.network(), subject.weights
    return lambda images: subject.call(network, weights, images)


def ensemble_accuracy(teachers: Sequence[Network], batches: Iterable[Batch]) -> float:
    """The accuracy of the mean of the teachers' probabilities."""
    right = examples = 0
    with torch.inference_mode():
        for images, labels in batches:
            dtype = sum_dtype(images.device)
            votes = sum(functional.softmax(network(images).to(dtype), 1) for network in teachers)
            right += int((torch.as_tensor(votes).argmax(1) == labels).sum())
            examples += len(labels)
    return right / examples


def _precise(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype == torch.bfloat16 else logits
