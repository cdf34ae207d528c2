"""The training step: what happens to parameters, buffers and slots at one batch.

The step is a function of the tensors it is given. It changes parameters, buffers and slots in
place and has no state of its own, so the same definition runs eagerly and as one compiled graph
(forward, backward, update and mask), and can be stacked over runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call, grad_and_value
from torch.nn import functional

from training import OPTIMIZERS
from training.course import Update
from training.numerics import compiled_apart, numerics_of
from training.optimizers import clipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from training.course import Observer
    from training.hparams import TrainingHparams
    from training.optimizers import Rate, Slots
    from training.parallel import Shared

    Loss = Callable[[dict[str, Tensor], dict[str, Tensor]], Tensor]
    """From parameters and buffers, which it changes, to the loss."""
    ValueAndGrad = Callable[
        [Loss, dict[str, Tensor], dict[str, Tensor]], tuple[Tensor, list[Tensor]]
    ]
    Step = Callable[["Tensors", Tensor, Tensor, Rate, int], Tensor]
    Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
    """From images (B, C, H, W), logits (B, classes) and labels (B,) to the loss: one number, a mean
    over examples, so that the losses of parts of a batch make up that of the whole."""


@dataclass(frozen=True)
class Tensors:
    """What a step reads and changes.

    Args:
        trained: The parameters that are updated.
        fixed: Frozen parameters.
        buffers: Batch-norm statistics, changed by the forward pass.
        slots: The optimizer's state.
        masks: Of each pruned parameter, 1 where it is kept and 0 where not, in its dtype.
        seen: What an observer has accumulated.
    """

    trained: dict[str, Tensor]
    fixed: dict[str, Tensor]
    buffers: dict[str, Tensor]
    slots: Slots
    masks: dict[str, Tensor]
    seen: dict[str, Tensor] = field(default_factory=dict)


def training_loss(hparams: TrainingHparams, logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of ``logits / temperature``, with label smoothing.

    Args:
        hparams: Gives temperature and smoothing.
        logits: Of shape (examples, classes).
        labels: Of shape (examples,), int64.
    """
    logits = logits.float() if logits.dtype == torch.bfloat16 else logits
    if hparams.loss_temperature != 1:
        logits = logits / hparams.loss_temperature
    return functional.cross_entropy(logits, labels, label_smoothing=hparams.label_smoothing)


def make_step(
    network: nn.Module,
    hparams: TrainingHparams,
    device: torch.device,
    batch_size: int,
    objective: Objective | None = None,
    observer: Observer | None = None,
    shared: Shared | None = None,
) -> Step:
    """The step of this network under these hyperparameters.

    Args:
        network: The architecture, in training mode.
        hparams: The optimizer, its settings, and the loss.
        device: Where to compute.
        batch_size: Of whole batches, for which a compiled step has its graph.
        objective: What is minimized; by default the cross entropy.
        observer: Who looks at each update; such a step is not compiled.
        shared: Who else has a part in each batch; such a step is not compiled either.

    Returns:
        A function of the tensors, images, labels, learning rate (a number, or a tensor of one
        element where the profile is compiled) and number of examples in the whole batch, of which
        a process that shares it may have none, that makes one update and returns the loss before
        it.
    """
    numerics = numerics_of(hparams.numerics)
    update = OPTIMIZERS[hparams.optimizer_name].update

    def step(
        tensors: Tensors,
        images: Tensor,
        labels: Tensor,
        lr: Rate,
        whole: int,
        differentiate: ValueAndGrad,
    ) -> Tensor:
        gates = _inputs(observer, tensors, len(images))

        def loss_of(variables: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            weights = {**tensors.fixed, **variables, **buffers}
            with numerics.arithmetic(device):
                logits = functional_call(network, weights, (images,))
            return _loss(hparams, objective, (images, logits, labels), whole)

        loss, slopes = differentiate(loss_of, {**tensors.trained, **gates}, tensors.buffers)
        gradients, of_gates = slopes[: len(tensors.trained)], slopes[len(tensors.trained) :]
        if shared is not None:
            loss, gradients = shared.total(loss, gradients)
        with torch.no_grad():
            mask_gradients(tensors, gradients)
            found = dict(zip(tensors.trained, gradients, strict=True))
            if hparams.clip_gradient_norm is not None:
                gradients = clipped(gradients, hparams.clip_gradient_norm)
            update(list(tensors.trained.values()), gradients, tensors.slots, lr, hparams)
            if observer is not None:
                of_examples = dict(zip(gates, of_gates, strict=True))
                if shared is not None:
                    gates = _inputs(observer, tensors, whole)
                    of_examples = shared.joined(of_examples, whole)
                parameters = {**tensors.fixed, **tensors.trained}
                observer.observe(tensors.seen, Update(parameters, found, gates, of_examples, whole))
        return loss

    def eager(tensors: Tensors, images: Tensor, labels: Tensor, lr: Rate, whole: int) -> Tensor:
        return step(tensors, images, labels, lr, whole, eager_gradient)

    if observer is not None or not numerics.compiled:
        return eager
    return _compiled(step, eager, batch_size)


def _loss(
    hparams: TrainingHparams,
    objective: Objective | None,
    batch: tuple[Tensor, Tensor, Tensor],
    whole: int,
) -> Tensor:
    """What these images, logits and labels have of the loss of a batch of ``whole`` examples."""
    images, logits, labels = batch
    if not len(images):
        return logits.sum()  # of nothing: it has no part in the batch, but in what is exchanged
    if objective is None:
        loss = training_loss(hparams, logits, labels)
    else:
        loss = objective(images, logits, labels)
    return loss if len(images) == whole else loss * (len(images) / whole)


def _inputs(observer: Observer | None, tensors: Tensors, examples: int) -> dict[str, Tensor]:
    """The gates of each example that the observer asks for."""
    if observer is None:
        return {}
    like = next(iter(tensors.trained.values()))
    return observer.inputs(examples, tensors.fixed, like)


def mask_gradients(tensors: Tensors, gradients: list[Tensor]) -> None:
    """Zero the gradients of pruned weights, in place; with zero slots, these then never move."""
    at = {name: index for index, name in enumerate(tensors.trained)}
    masks = {at[name]: mask for name, mask in tensors.masks.items() if name in at}
    if masks:
        torch._foreach_mul_([gradients[index] for index in masks], list(masks.values()))


def eager_gradient(
    loss_of: Loss, trained: dict[str, Tensor], buffers: dict[str, Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Value and gradient through autograd's tape, which is faster than functorch's when eager."""
    leaves = {name: value.detach().requires_grad_() for name, value in trained.items()}
    with torch.enable_grad():
        loss = loss_of(leaves, buffers)
        gradients = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
    return loss.detach(), _apart(gradients)


def _apart(gradients: Sequence[Tensor]) -> list[Tensor]:
    """The gradients, each in memory of its own: autograd may give two parameters one tensor."""
    seen: set[int] = set()
    apart = []
    for gradient in gradients:
        place = gradient.data_ptr()
        apart.append(gradient.clone() if place in seen else gradient)
        seen.add(place)
    return apart


def traced_gradient(
    loss_of: Loss, trained: dict[str, Tensor], buffers: dict[str, Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """The same through functorch, which traces into the graph of the whole step.

    Functorch lets a function change only what it is given, so the forward pass changes copies of
    the buffers. Gradients are copied to be apart here too; the compiler fuses the copies away.
    """

    def with_buffers(
        trained: dict[str, Tensor], moved: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return loss_of(trained, moved), moved

    copies = {name: value.clone() for name, value in buffers.items()}
    gradients, (loss, moved) = grad_and_value(with_buffers, has_aux=True)(trained, copies)
    for name, value in buffers.items():
        value.copy_(moved[name])
    return loss, [gradients[name].clone() for name in trained]


def _compiled(step: Callable[..., Tensor], eager: Step, batch_size: int) -> Step:
    """The step as one graph for whole batches; the ragged last batch of an epoch runs eagerly.

    It is one step in hundreds, and a graph of its own would cost as long again to compile. Its
    size decides, not the order of calls: a run resumed there takes the same path.
    """

    def traced(tensors: Tensors, images: Tensor, labels: Tensor, lr: Rate, whole: int) -> Tensor:
        return step(tensors, images, labels, lr, whole, traced_gradient)

    compiled = compiled_apart(traced)

    def call(tensors: Tensors, images: Tensor, labels: Tensor, lr: Rate, whole: int) -> Tensor:
        run = compiled if len(images) == batch_size else eager
        return run(tensors, images, labels, lr, whole)

    return call
