"""The engine: holds the tensors of one run and takes them from one iteration to the next.

It knows nothing of files, branches or methods. Whoever drives it decides when to stop, save and
evaluate, between two calls of ``advance``.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, cast

import torch

from datasets.loader import TrainLoader
from foundations.draws import key
from foundations.errors import RunFailedError, UserError
from models.build import trainable
from models.gates import GATE, gate_tensors
from training.numerics import numerics_of, sum_dtype
from training.optimizers import fresh_slots
from training.parallel import ADVANCE, Shared, give, portion_of, received
from training.schedules import learning_rate
from training.state import State
from training.step import Tensors, make_step
from training.synchronized import synchronize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from datasets.data import Data
    from platforms.ranks import Group
    from pruning.mask import Mask
    from training.course import Course
    from training.description import TrainDesc
    from training.setting import Setting
    from training.step import Objective, Step

    Watch = Callable[[int, Tensor], bool]
    """Called after each update with the iteration and the loss; True asks to stop."""


class Engine:
    """Trains one network.

    Args:
        network: The architecture, with the gates of the state's mask if it has any; its own
            tensors are not used.
        recipe: Data and training hyperparameters.
        data: What to train on, on any device.
        state: Where to begin; it is copied.
        order_seed: The seed of the order of the data, and of other draws of training.
        device: Where to compute.
        objective: What is minimized; by default the cross entropy.
        course: How the state changes while it trains; by default by updates alone.
        group: The processes that train it together, each with an engine like this one.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: TrainDesc,
        data: Data,
        state: State,
        *,
        order_seed: int,
        device: torch.device,
        objective: Objective | None = None,
        course: Course | None = None,
        group: Group | None = None,
    ) -> None:
        self.recipe, self.device, self.order_seed = recipe, device, order_seed
        self.course = course
        self._observer = None if course is None else course.observer
        self.numerics = numerics_of(recipe.training.numerics)
        self.network = network.to(device, self.numerics.dtype).train()
        self.loader = TrainLoader(
            data,
            recipe.dataset,
            order_seed=order_seed,
            device=device,
            memory_format=self.numerics.memory_format,
            portion=portion_of(group),
        )
        self.group, self._shared = group, None if group is None else Shared(group)
        self._rank = () if group is None else (group.rank,)
        if group is not None:
            synchronize(self.network, group)
        self.iterations_per_epoch = self.loader.iterations_per_epoch
        self.iteration = state.iteration
        self.mask = state.mask
        self.losses = torch.zeros(
            self.iterations_per_epoch, dtype=self.numerics.dtype, device=device
        )
        self._parameters = [name for name, _ in network.named_parameters()]
        self._gates = gate_tensors(state.mask or {})
        self.tensors = self._tensors(state)
        made = (self.network, recipe.training, device, recipe.dataset.batch_size, objective)
        self._step = make_step(*made, shared=self._shared)
        self._observed = self._observer and make_step(*made, self._observer, self._shared)
        self._drawn_from = _default_generator(device)

    @classmethod
    def on(cls, setting: Setting, state: State) -> Engine:
        """The engine of a run in its setting, at one of its states.

        The first of several processes lets the others have the state.
        """
        if setting.group is not None and setting.group.leads:
            give(setting.group, state)
        course = setting.course
        observed = course.observer.gates if course and course.observer else ()
        return cls(
            setting.network({*(state.mask or ()), *observed}),
            setting.recipe,
            setting.data,
            state,
            order_seed=setting.order_seed,
            device=setting.device,
            objective=setting.objective,
            course=course,
            group=setting.group,
        )

    def state(self) -> State:
        """A copy of where the run stands, on the CPU."""
        held = self.tensors.trained | self.tensors.fixed | self.tensors.buffers
        slots = {slot: _copies(values) for slot, values in self.tensors.slots.items()}
        names = self.network.state_dict().keys()
        weights = _copies({name: held[name] for name in names})
        return State(self.iteration, weights, self.mask, slots, _copies(self.tensors.seen))

    def weights(self) -> dict[str, Tensor]:
        """The tensors in use, by name: to read, not to keep."""
        held = self.tensors.trained | self.tensors.fixed | self.tensors.buffers
        return {name: value for name, value in held.items() if name not in self._gates}

    def gates(self) -> dict[str, Tensor]:
        """The gates of the mask, by their names in the network: what it is called with besides."""
        return {name: self.tensors.fixed[name] for name in self._gates}

    def advance(self, until: int, watch: Watch | None = None) -> None:
        """Make updates up to iteration ``until``, within the current epoch.

        Returns early behind a change of the course, and when ``watch`` asks for it; of several
        processes all return behind the same update. No update waits for the device.

        Raises:
            DismissedError: In place of a change of the course, the first process has ended.
        """
        epoch, first = divmod(self.iteration, self.iterations_per_epoch)
        if until > (epoch + 1) * self.iterations_per_epoch:
            raise ValueError("advance stays within an epoch")
        told = {"do": ADVANCE, "until": until}
        with nullcontext() if self.group is None else self.group.engaged(told):
            self._go_on(epoch, first, until, watch)

    def _go_on(self, epoch: int, first: int, until: int, watch: Watch | None) -> None:
        change = None if self.course is None else self.course.after(self.iteration)
        until = until if change is None else min(until, change)
        rates = self._learning_rates(epoch)
        batches = self.loader.epoch(epoch, first)
        with _borrowed(self._drawn_from) as drawn_from:
            for position in range(first, until - epoch * self.iterations_per_epoch):
                images, labels = next(batches)
                # Dropout, say. A few microseconds, so no network has to say whether it draws.
                drawn_from.manual_seed(key(self.order_seed, "network", self.iteration, *self._rank))
                images = images.to(dtype=self.numerics.dtype)
                step, whole = self._step_at(self.iteration), self.loader.size(position)
                loss = step(self.tensors, images, labels, rates[position], whole)
                self.losses[position] = loss
                self.iteration += 1
                if self.iteration == change:
                    self._change()
                asks = watch is not None and watch(self.iteration, self.losses[position])
                if self._all_stop(asks=asks):
                    return

    def check_finite(self) -> None:
        """Refuse to go on from a loss or a weight that is not finite.

        Raises:
            RunFailedError: Names the iteration at which it happened.
        """
        epoch = (self.iteration - 1) // self.iterations_per_epoch
        begun = epoch * self.iterations_per_epoch
        bad = ~torch.isfinite(self.losses[: self.iteration - begun])
        if bad.any():
            at = begun + int(bad.nonzero()[0])
            loss = float(self.losses[at - begun])
            raise RunFailedError(f"The loss is {loss} at iteration {at} (epoch {epoch}).")
        held = {n: v for n, v in self.weights().items() if v.is_floating_point()}
        finite = torch.stack([torch.isfinite(value).all() for value in held.values()]).tolist()
        for name, ok in zip(held, finite, strict=True):
            if not ok:
                raise RunFailedError(
                    f"{name} is not finite after iteration {self.iteration} (epoch {epoch})."
                )

    @property
    def asked_elsewhere(self) -> bool:
        """Whether another of several processes was asked to stop, which ended ``advance``."""
        return self._shared is not None and self._shared.asked and not self._shared.asks

    def epoch_loss(self) -> float:
        """The mean training loss over the examples of the epoch that has just ended."""
        losses = self.losses.to(sum_dtype(self.device))
        sizes = torch.full_like(losses, self.loader.batch_size)
        sizes[-1] = self.loader.examples - sizes[:-1].sum()
        return float((losses * sizes).sum() / self.loader.examples)

    def _step_at(self, iteration: int) -> Step:
        """The step that follows so many iterations: with the observer, where he looks."""
        if self._observer is not None and self._observer.watches(iteration):
            return cast("Step", self._observed)
        return self._step

    def _all_stop(self, *, asks: bool) -> bool:
        """Whether to stop here: of several processes, where the last update found that one asks."""
        if self._shared is None:
            return asks
        self._shared.asks = asks
        return self._shared.asked

    def _change(self) -> None:
        """Do what the course has for this iteration; whoever stops here stops behind it."""
        state = self._changed()
        self.mask = state.mask
        self._gates = gate_tensors(state.mask or {})
        self.tensors = self._tensors(state)

    def _changed(self) -> State:
        """The state behind the change, which the first of several processes makes for all."""
        if self.group is None:
            return self._made_change()
        if not self.group.leads:
            return received(self.group.hear())
        with self.group.listening():
            state = self._made_change()
            give(self.group, state)
        return state

    def _made_change(self) -> State:
        self.check_finite()
        return cast("Course", self.course).change(self.state())

    def _tensors(self, state: State) -> Tensors:
        weights = state.weights if state.mask is None else state.mask.apply(state.weights)
        held = {name: self._own(value) for name, value in weights.items()}
        updated = trainable(self.network, self.recipe.model)
        if not updated:
            raise UserError(
                "Nothing is left to train: batchnorm_frozen, output_frozen and others_frozen "
                "freeze every parameter."
            )
        trained = {name: held[name] for name in self._parameters if name in updated}
        fixed = {name: held[name] for name in self._parameters if name not in updated}
        fixed |= {name: self._own(gate) for name, gate in self._gates.items()}
        buffers = {name: value for name, value in held.items() if name not in self._parameters}
        slots = state.slots or fresh_slots(self.recipe.training, trained)
        slots = {slot: self._in_order(part, trained) for slot, part in slots.items()}
        fresh = {} if self._observer is None else self._observer.fresh()
        seen = {name: self._own(value) for name, value in (state.seen or fresh).items()}
        return Tensors(trained, fixed, buffers, slots, self._masks(state.mask), seen)

    def _in_order(
        self, slot: Mapping[str, Tensor], trained: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """A slot in the order of the parameters, by which updates go; files have that of names."""
        names = [name for name in trained if name in slot] or list(slot)
        return {name: self._own(slot[name]) for name in names}

    def _masks(self, mask: Mask | None) -> dict[str, Tensor]:
        if mask is None or mask.kept == mask.total:
            return {}
        masked = {name: kept for name, kept in mask.items() if not name.startswith(GATE)}
        return {name: self._own(kept.to(self.numerics.dtype)) for name, kept in masked.items()}

    def _own(self, value: Tensor) -> Tensor:
        """A copy on the device, in the dtype and memory format of the profile."""
        dtype = self.numerics.dtype if value.is_floating_point() else value.dtype
        layout = self.numerics.memory_format if value.dim() == 4 else torch.contiguous_format
        return value.detach().to(self.device, dtype, copy=True).contiguous(memory_format=layout)

    def _learning_rates(self, epoch: int) -> Sequence[float] | Tensor:
        """The learning rate of each update of an epoch; on the device for a compiled step."""
        begin = epoch * self.iterations_per_epoch
        rates = [
            learning_rate(self.recipe.training, iteration, self.iterations_per_epoch)
            for iteration in range(begin, begin + self.iterations_per_epoch)
        ]
        if self.course is not None and self.course.lr is not None and self.course.changes:
            own = max(0, self.course.changes[-1] - begin)
            rates[:own] = [self.course.lr] * len(rates[:own])
        if not self.numerics.compiled:
            return rates
        return torch.tensor(rates, dtype=self.numerics.dtype, device=self.device)


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }


def _default_generator(device: torch.device) -> torch.Generator:
    """PyTorch's global generator, from which a network on this device draws."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    if device.type == "mps":
        return torch.mps._get_default_mps_generator()  # noqa: SLF001 - there is no public one
    return torch.default_generator


@contextmanager
def _borrowed(generator: torch.Generator) -> Iterator[torch.Generator]:
    """The generator, put back afterwards to where it was: it is not ours."""
    before = generator.get_state()
    try:
        yield generator
    finally:
        generator.set_state(before)
