"""How a criterion runs a network without changing it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call

from foundations.draws import key as seed_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from pruning.criteria import Key, ScoringData

Scores = dict[str, torch.Tensor]


@contextmanager
def running(
    network: nn.Module, device: torch.device, *, training: bool, key: Key
) -> Iterator[None]:
    """Gradients on, in the given mode, random layers keyed; all as before when left.

    What a network draws itself (dropout) comes from torch's own generators, which are seeded by
    ``key`` here and put back afterwards.
    """
    cuda = [device] if device.type == "cuda" else []
    modes = {module: module.training for module in network.modules()}
    network.train(training)
    try:
        with torch.random.fork_rng(cuda), torch.enable_grad():
            torch.default_generator.manual_seed(seed_of(*key, "network"))
            for place in cuda:
                with torch.cuda.device(place):
                    torch.cuda.manual_seed(seed_of(*key, "network"))
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def leaves(weights: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """These weights as tensors to differentiate by; they share the memory of those given."""
    return {name: weights[name].detach().requires_grad_() for name in names}


def outputs(
    network: nn.Module, weights: Mapping[str, Tensor], variables: Mapping[str, Tensor], x: Tensor
) -> Tensor:
    """The network's outputs for ``x``, with ``variables`` in the place of the weights they name.

    Buffers are copied first: a batch norm in training mode writes to them.
    """
    device = x.device
    x = x.to(next(iter(variables.values())).dtype)
    buffers = {
        name: weights.get(name, buffer).detach().to(device, copy=True)
        for name, buffer in network.named_buffers()
    }
    constants = {name: weight.detach() for name, weight in weights.items()}
    outputs: Tensor = functional_call(
        network, {**constants, **buffers, **variables}, (x,), strict=True
    )
    return outputs


def gradients(
    value: Tensor, variables: Mapping[str, Tensor], *, again: bool = False, keep: bool = False
) -> Scores:
    """The gradient of a scalar by each variable; zero by one that it does not depend on.

    Args:
        value: The scalar.
        variables: What to differentiate by.
        again: Whether the gradients will be differentiated in their turn.
        keep: Whether there is more to differentiate of the pass that gave the scalar.
    """
    found = torch.autograd.grad(
        value,
        list(variables.values()),
        retain_graph=again or keep,
        create_graph=again,
        materialize_grads=True,
    )
    return dict(zip(variables, found, strict=True))


def mean_over_batches(
    score: Callable[[Tensor, Tensor], Scores],
    batches: Sequence[tuple[Tensor, Tensor]],
    device: torch.device,
) -> Scores:
    """The scores of each batch, averaged with the batches' sizes as weights."""
    total = sum(len(y) for _, y in batches)
    sums: Scores = {}
    for x, y in batches:
        for name, values in score(x.to(device), y.to(device)).items():
            share = values * len(y)
            sums[name] = sums[name].add_(share) if name in sums else share
    return {name: values / total for name, values in sums.items()}


def device_of(weights: Mapping[str, Tensor]) -> torch.device:
    """Where the weights lie."""
    return next(iter(weights.values())).device


def required(data: ScoringData | None, criterion: str) -> ScoringData:
    """The data, for a criterion that cannot do without.

    Raises:
        ValueError: There is none.
    """
    if data is None:
        raise ValueError(f"The criterion {criterion!r} needs data to score weights with.")
    return data
