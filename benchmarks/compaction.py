"""How much faster a network is when what a mask cuts is removed from it.

    python -m benchmarks.compaction cifar_vgg_16 cifar_resnet_20 --rounds 15

For each fraction, as many channels of every layer are cut at random; of a residual network, of
those that nothing is added to. Dense, masked and compacted take turns in one process with the same
threads, on a batch of drawn images, in evaluation mode. Printed are medians and quartiles over the
rounds, the median of the ratios within rounds, and the largest difference between the outputs of
the masked and the compacted network, which must be below 1e-4.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING

from platforms import process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from pruning.mask import Mask
    from training.measures.latency import Latencies

SHAPE = (3, 32, 32)
CLASSES = 10
TOLERANCE = 1e-4


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["cifar_vgg_16", "cifar_resnet_20"])
    parser.add_argument("--fractions", type=float, nargs="*", default=[0.5, 0.75, 0.9])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, help="all cores unless given")
    parser.add_argument("--channels_first", action="store_true", help="runs have channels last")
    given = parser.parse_args()
    process.prepare()
    describe_machine(given.threads)
    import torch

    layout = torch.contiguous_format if given.channels_first else torch.channels_last
    for model in given.models:
        for fraction in given.fractions:
            compare(
                model, fraction, images(given.batch).contiguous(memory_format=layout), given.rounds
            )


def describe_machine(threads: int | None) -> None:
    """Print what the figures were measured on."""
    import torch

    from platforms import cores
    from platforms.fingerprint import cpu_model

    torch.set_num_threads(threads or cores.usable())
    print(
        f"{cpu_model()}, {cores.usable()} cores, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads\n"
    )


def images(batch: int) -> Tensor:
    """Drawn ones."""
    import torch

    from foundations.draws import generator

    return torch.randn(batch, *SHAPE, generator=generator(1, "images"))


def compare(model: str, fraction: float, batch: Tensor, rounds: int) -> None:
    """Cut a fraction of a network's channels, compact it, and time it."""
    import torch

    from pruning.compaction.compact import compacted
    from training.measures.latency import latencies

    dense, weights = network_of(model)
    mask = mask_of(dense, weights, fraction)
    masked, _ = network_of(model)
    masked.load_state_dict(mask.apply(weights))
    small = compacted(dense, SHAPE, weights, mask)
    networks = {"dense": dense, "masked": masked, "compacted": small}
    layout = batch.is_contiguous(memory_format=torch.channels_last)
    for network in networks.values():
        network.eval().to(memory_format=torch.channels_last if layout else torch.contiguous_format)
    with torch.inference_mode():
        outputs = masked(batch)
        difference = float((outputs - small(batch)).abs().max())
        calls = {name: partial(network, batch) for name, network in networks.items()}
        timed = latencies(calls, warmup=2, repeats=rounds, seconds=float("inf"))
    sizes = {name: parameters(network) for name, network in networks.items()}
    sizes["masked"] = mask_size(mask, sizes["dense"])
    show(f"{model}, {fraction:.0%} of channels cut, batch {len(batch)}", timed, sizes)
    largest = float(outputs.abs().max())
    print(f"  outputs, of up to {largest:.2g}, differ by at most {difference:.2g}\n", flush=True)
    if not difference <= TOLERANCE:
        raise SystemExit("The compacted network gives other outputs.")


def network_of(model: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """The network at initialization, its statistics drawn; and its state."""
    import torch

    from foundations.draws import generator
    from models.build import build
    from models.hparams import ModelHparams

    hparams = ModelHparams(model_name=model, model_init="kaiming_normal", batchnorm_init="uniform")
    network = build(hparams, shape=SHAPE, classes=CLASSES, seed=1)
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point():
            drawn = torch.rand(buffer.shape, generator=generator(1, name))
            buffer.copy_(drawn + 0.5 if name.endswith("running_var") else drawn - 0.5)
    return network, {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def mask_of(network: nn.Module, weights: Mapping[str, Tensor], fraction: float) -> Mask:
    """As many channels of each layer are cut at random, norms and biases with them."""
    from pruning.hparams import PruningHparams
    from pruning.prune import prune
    from pruning.subject import Subject

    hparams = PruningHparams(
        strategy="random",
        granularity="channels",
        coupling="inner",
        allocation="uniform",
        prune_fraction=fraction,
    )
    return prune(Subject(network, hparams, SHAPE), weights, seed=1).mask


def parameters(network: nn.Module) -> int:
    """How many there are."""
    return sum(parameter.numel() for parameter in network.parameters())


def mask_size(mask: Mask, dense: int) -> int:
    """Parameters that are kept."""
    return dense - mask.total + mask.kept


def show(title: str, timed: Latencies, sizes: Mapping[str, int]) -> None:
    """A line for each network."""
    print(f"{title}, {timed['rounds']} rounds")
    for name, spread in timed["seconds"].items():
        low, high = (1e3 * spread[part] for part in ("lower_quartile", "upper_quartile"))
        ratio = f"{timed['speedup'][name]:.2f} x" if name in timed["speedup"] else ""
        print(
            f"  {name:<10} {1e3 * spread['median']:9,.2f} ms ({low:,.2f} to {high:,.2f})  "
            f"{sizes[name]:>11,} parameters  {ratio}"
        )


if __name__ == "__main__":
    main()
