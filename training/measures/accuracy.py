"""How good a network is on a split: accuracy, loss, top-k accuracy, the accuracy of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

from foundations.errors import UserError, check_known
from training.evaluation import Evaluation
from training.hparams import SPLITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasets.loader import EvalLoader
    from training.measures.subject import Subject


class Accuracy(TypedDict):
    """Of one split; accuracies in [0, 1]."""

    split: str
    examples: int
    metrics: dict[str, float]
    """``accuracy``, ``loss`` and ``top<k>``."""
    per_class: NotRequired[list[float | None]]
    """By label; None of a class that has no examples."""


def evaluate(
    subject: Subject,
    splits: Sequence[str] = ("test",),
    *,
    top_k: Sequence[int] = (),
    per_class: bool = False,
) -> list[Accuracy]:
    """Measure a network on each of the splits.

    Args:
        subject: The network at a state.
        splits: Any of ``test``, ``validation`` and ``train``, which is not augmented.
        top_k: For which k the top-k accuracy is measured too.
        per_class: Whether the accuracy of each class is.

    Raises:
        UserError: There is no such split; nothing was held out for validation.
    """
    for split in splits:
        check_known("split", split, SPLITS)
    setting = subject.setting
    evaluation = Evaluation(subject.network(), setting.recipe.training)
    found: list[Accuracy] = []
    for split in splits:
        batches = _batches(subject, split)
        metrics = evaluation.measure(subject.weights, batches, top_k)
        of_split: Accuracy = {"split": split, "examples": batches.examples, "metrics": metrics}
        if per_class:
            classes = setting.data.classes
            of_split["per_class"] = evaluation.by_class(subject.weights, batches, classes)
        found.append(of_split)
    return found


def _batches(subject: Subject, split: str) -> EvalLoader:
    batches = subject.setting.evaluation(split)
    if batches is None:
        raise UserError(
            f"There is no {split} split to evaluate on: the run held nothing out of its training "
            "examples."
        )
    return batches
