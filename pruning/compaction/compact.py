"""From a network and a mask to the smaller network that computes the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx

from pruning.compaction.masked import alive, blank, masked_network
from pruning.compaction.rewrite import Rewriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from pruning.mask import Mask


def compacted(
    network: nn.Module,
    shape: tuple[int, int, int],
    weights: Mapping[str, Tensor],
    mask: Mask | None,
) -> fx.GraphModule:
    """The smaller network, in evaluation mode, whose outputs are the masked network's.

    Removed is every channel that the image does not reach through kept weights or that the output
    does not hear, with its filters, norms and what reads it. What such a channel had of biases and
    shifts is a constant, and goes into the bias of whoever reads it, the mean of a norm, or, where
    it is not the same at all positions, into a buffer that is added. Weights that are cut in
    channels that live on stay as zeros.

    Args:
        network: Any network that can be traced; it is not changed.
        shape: (channels, height, width) of the images.
        weights: By the names of its state, in the place of its own.
        mask: Of weights, biases, norms and gates; None to keep everything.

    Returns:
        For batches of any size of images of this shape, on the device of the weights. Its modules
        have the names they had.

    Raises:
        UserError: The network cannot be traced, or the mask or weights are another network's.
    """
    masked = masked_network(network, shape, weights, mask)
    rewriter = Rewriter(masked, alive(masked, shape))
    with torch.no_grad():
        rewriter.run(blank(shape))
    graph = rewriter.writer.graph
    _forget_unread(graph)
    graph.lint()
    small = fx.GraphModule(rewriter.writer.parts, graph, "Compacted")
    return small.eval().to(next((tensor.device for tensor in weights.values()), None))


def _forget_unread(graph: fx.Graph) -> None:
    for node in reversed(graph.nodes):
        if not node.users and node.op not in {"placeholder", "output"}:
            graph.erase_node(node)


def parameters(network: nn.Module) -> int:
    """How many numbers there are that training changes; buffers are none."""
    return sum(parameter.numel() for parameter in network.parameters())
