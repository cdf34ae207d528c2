"""What the other processes do while the first of them trains a run: what it tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.engine import Engine
from training.evaluation import Evaluation
from training.parallel import (
    ADVANCE,
    END,
    MEASURE,
    STATE,
    DismissedError,
    portion_of,
    received,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from datasets.loader import Batch
    from platforms.ranks import Group
    from platforms.stop import Stop
    from training.evaluation import Measured
    from training.setting import Setting


def follow(group: Group, setting: Setting, stop: Stop) -> None:
    """Take part in the training of a run until the first process ends it.

    Args:
        group: The processes.
        setting: The run's, as the first has it.
        stop: Whether this process was asked to stop: all do, and the first says how.

    Raises:
        RankLostError: A process is gone.
    """
    engine: Engine | None = None
    evaluation: Evaluation | None = None
    while (heard := group.hear()).message["do"] != END:
        asked = heard.message
        if asked["do"] == STATE:
            engine, evaluation = Engine.on(setting, received(heard)), None
        elif engine is None:
            raise ValueError(f"{asked['do']!r} was told before there was a state")
        elif asked["do"] == ADVANCE:
            try:
                engine.advance(asked["until"], lambda *_: stop.requested is not None)
            except DismissedError:
                return
        elif asked["do"] == MEASURE:
            if evaluation is None:
                evaluation = Evaluation(setting.network(engine.mask), setting.recipe.training)
            measured_on(asked["split"], engine, evaluation, asked["top_k"], setting, stop)


def measured_on(
    split: str,
    engine: Engine,
    evaluation: Evaluation,
    top_k: Sequence[int],
    setting: Setting,
    stop: Stop,
) -> tuple[Measured, bool] | None:
    """What is measured on a split by all processes, each of which takes some of its batches.

    Args:
        split: Its name.
        engine: Has the weights.
        evaluation: Of the network.
        top_k: See ``Evaluation.measure``.
        setting: The run's.
        stop: Ends it early.

    Returns:
        The measures, and whether they are of the whole split; None where there is no such split.
    """
    group = setting.group
    batches = setting.evaluation(split, portion_of(group))
    if batches is None:
        return None
    weights = engine.weights() | engine.gates()
    going = _until_stopped(batches, stop)
    if group is None:
        found = evaluation.measured(weights, going, top_k)
    else:
        with group.engaged({"do": MEASURE, "split": split, "top_k": list(top_k)}):
            found = evaluation.measured(weights, going, top_k, group)
    return found, found.examples == batches.examples


def _until_stopped(batches: Iterable[Batch], stop: Stop) -> Iterator[Batch]:
    """The batches, as long as nobody asks to stop."""
    for batch in batches:
        if stop.requested is not None:
            return
        yield batch
