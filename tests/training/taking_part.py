"""What each of two processes does in the tests of parallel training; started by torchrun.

Its argument is a folder, where each leaves what it found as ``<rank>.json``, and where runs go.
"""

from __future__ import annotations

import copy
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from branches.run import Job, complete
from branches.together import leading
from commands.progress import Silent
from datasets.dataset import Augmentation
from foundations.tensors import digest
from models import MODELS
from platforms.local import Local
from platforms.ranks import Group, place
from platforms.stop import Stop
from pruning.mask import Mask
from tests.training.examples import (
    CPU,
    DROPPING,
    SEED,
    network_for,
    random_data,
    recipe,
)
from tests.training.together import runs
from training.context import Context
from training.distilling import Distilling
from training.engine import Engine
from training.evaluation import Evaluation
from training.hparams import RunOptions
from training.parallel import ADVANCE
from training.state import State
from training.synchronized import synchronize

if TYPE_CHECKING:
    from datasets.data import Data
    from training.description import TrainDesc
    from training.engine import Watch

    Found = dict[str, Any]


def norms(group: Group) -> Found:
    """The largest differences of synchronized norms from those that see the whole batch."""
    made = {
        "2d": (nn.BatchNorm2d(5), (7, 5, 3, 3)),
        "2d of one example": (nn.BatchNorm2d(5), (1, 5, 3, 3)),
        "1d with a plain mean": (nn.BatchNorm1d(4, momentum=None), (5, 4)),
        "1d without weights": (nn.BatchNorm1d(4, affine=False), (3, 4)),
    }
    return {name: _difference(norm.double(), shape, group) for name, (norm, shape) in made.items()}


def _difference(norm: nn.Module, shape: tuple[int, ...], group: Group) -> float:
    drawn = torch.Generator().manual_seed(1)
    x, slope = (torch.randn(shape, generator=drawn, dtype=torch.float64) * 2 + 3 for _ in "xs")
    own = copy.deepcopy(norm)
    synchronize(own, group)
    begin, end = (len(x) * (group.rank + more) // group.size for more in (0, 1))
    whole, part = x.clone().requires_grad_(), x[begin:end].clone().requires_grad_()
    for _ in range(2):  # so that running statistics move twice
        expected, found = norm(whole), own(part)
    torch.autograd.backward([expected, found], [slope, slope[begin:end]])
    pairs = [(expected[begin:end], found), (_slope(whole)[begin:end], _slope(part))]
    pairs += zip(norm.buffers(), own.buffers(), strict=True)
    pairs += [
        (_slope(theirs), group.added(_slope(mine).clone()))
        for theirs, mine in zip(norm.parameters(), own.parameters(), strict=True)
    ]
    return max(_largest(theirs - mine) for theirs, mine in pairs)


def _slope(of: torch.Tensor) -> torch.Tensor:
    if of.grad is None:
        raise ValueError("nothing was differentiated")
    return of.grad


def _largest(values: torch.Tensor) -> float:
    return float(values.detach().abs().max()) if values.numel() else 0.0


def steps(group: Group) -> dict[str, Found]:
    """Two epochs of several trainings, with others and alone: their largest differences."""
    common: dict[str, Any] = {
        "numerics": "float64",
        "momentum": 0.9,
        "weight_decay": 1e-2,
        "batch_size": 4,
    }
    smooth = recipe(**common, lr=0.1, label_smoothing=0.1, clip_gradient_norm=0.5)
    convolved = recipe("cifar_resnet_20", **common, lr=0.05, milestone_steps=(), gamma=None)
    adam = recipe(**(common | {"momentum": 0.0}), optimizer_name="adam", lr=0.01)
    shape = (3, 8, 8)
    pictures = random_data(train=9, shape=shape)
    moved = replace(pictures, augmentation=Augmentation(flip=True, crop=2))
    return {
        "lenet": _compared(smooth, random_data(train=9), group),
        "resnet": _compared(convolved, moved, group),
        "distilled": _compared(convolved, pictures, group, taught=True),
        "adam": _compared(adam, random_data(train=10), group),
    }


def _compared(made: TrainDesc, data: Data, group: Group, *, taught: bool = False) -> Found:
    ours, alone = (_engine(made, data, g, taught=taught) for g in (group, None))
    for _ in range(2):
        alone.advance(alone.iteration + alone.iterations_per_epoch)
        _advance(ours, alone.iteration, group)
    theirs, mine = alone.state(), ours.state()
    pairs = [(theirs.weights, mine.weights)]
    pairs += [(theirs.slots[slot], mine.slots[slot]) for slot in theirs.slots]
    moved = _engine(made, data, None, taught=taught).state().weights
    return {
        "difference": max(_largest(a[n].double() - b[n].double()) for a, b in pairs for n in a),
        "loss": _largest(alone.losses - ours.losses),
        "moved": max(_largest(theirs.weights[n] - v) for n, v in moved.items() if v.dim()),
        "digest": digest(mine.weights),
        "evaluated": _evaluated(made, data, ours, group),
        "evaluated alone": _evaluated(made, data, alone, None),
    }


def _advance(engine: Engine, until: int, group: Group, watch: Watch | None = None) -> None:
    """As one that follows: it hears first what is to be done."""
    if not group.leads:
        assert group.hear().message == {"do": ADVANCE, "until": until}
    engine.advance(until, watch)


def _engine(made: TrainDesc, data: Data, group: Group | None, *, taught: bool) -> Engine:
    network = network_for(made, data)
    start = {name: value.detach().clone() for name, value in network.state_dict().items()}
    drawn = torch.Generator().manual_seed(2)
    mask = Mask(
        {n: torch.rand(v.shape, generator=drawn) < 0.5 for n, v in start.items() if v.dim() > 1}
    )
    teachers = [lambda images: torch.stack([images.mean((1, 2, 3)) * k for k in (1, 2, 3)], 1)]
    return Engine(
        network,
        made,
        data,
        State(0, start, mask),
        order_seed=SEED,
        device=CPU,
        objective=Distilling(teachers, made.training, 2.0, cross_entropy=0.5) if taught else None,
        group=group,
    )


def _evaluated(made: TrainDesc, data: Data, engine: Engine, group: Group | None) -> list[float]:
    """On the seven examples of the test split, in batches of three: one process has one of them."""
    from datasets.loader import EvalLoader
    from training.parallel import portion_of

    loader = EvalLoader(data.test, data, batch_size=3, device=CPU, portion=portion_of(group))
    evaluation = Evaluation(network_for(made, data), made.training)
    found = evaluation.measured(engine.weights(), loader, (2,), group)
    return [*found.values.values(), found.examples]


def draws(group: Group) -> list[float]:
    """The losses of portions that are alike, of a network with dropout; and those of the batch."""
    MODELS.add(DROPPING.name, DROPPING)
    made = recipe(model_name="test_dropping_module", batch_size=2, lr=0.0)
    data = random_data(train=2)
    image = data.train.images[:1]
    same = replace(data.train, images=image.repeat(2, 1, 1, 1), labels=torch.zeros(2).long())
    engine = _engine(made, replace(data, train=same), group, taught=False)
    return [_own_loss(engine, group), float(engine.losses[0])]


def _own_loss(engine: Engine, group: Group) -> float:
    """What this process has of the loss of the next update."""
    shared, kept = engine._shared, []
    if shared is None:
        raise ValueError("nobody shares")
    total = shared.total

    def noted(loss: torch.Tensor, gradients: Any) -> Any:
        kept.append(float(loss))
        return total(loss, gradients)

    shared.total = noted  # type: ignore[method-assign]
    _advance(engine, 1, group)
    return kept[0]


def stopped(group: Group) -> int:
    """How far all get where the last process alone asks to stop, after two updates."""
    data = random_data(train=40)
    engine = _engine(recipe(), data, group, taught=False)
    last = group.rank == group.size - 1
    _advance(engine, 10, group, lambda iteration, _: last and iteration == 2)
    return engine.iteration


def main(folder: Path) -> None:
    """Find all of it."""
    torch.set_num_threads(1)
    here = place()
    if here is None:
        raise ValueError("this is started by torchrun")
    group = Group(here, CPU)
    found = {
        "norms": norms(group),
        "steps": steps(group),
        "draws": draws(group),
        "stopped": stopped(group),
    }
    platform = Local(root=str(folder / "runs"), device="cpu", threads=1)
    context = Context(platform, Silent(), RunOptions(), Stop())
    with leading(group, context) as own:
        for description in runs("float64_world_2") if own else ():
            complete(Job(description), own or context)
    group.close()
    (folder / f"{here.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
