"""Batch norms whose statistics are those of the whole batch, of which each process has a portion.

PyTorch's own ``SyncBatchNorm`` refuses the CPU. This is the same function of the whole batch as
``nn.BatchNorm``, in training mode: for its statistics each process tells the others its count, mean
and variance, which are put together in the order of ranks (Chan, Golub & LeVeque 1983), so that all
compute with the same bytes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

from foundations.errors import UserError

if TYPE_CHECKING:
    from platforms.ranks import Group

    BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def synchronize(network: nn.Module, group: Group) -> None:
    """Have all batch norms of a network, in training mode, see the whole batch.

    Their modules, and so the names of parameters and buffers, stay.

    Raises:
        UserError: One computes in a way of its own, of which only a portion's is known.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            if type(module).forward is not nn.BatchNorm2d.forward:
                raise UserError(
                    f"{name} is a {type(module).__name__}, a batch norm with a forward pass of its "
                    "own, which several processes cannot share: use PyTorch's, or one process."
                )
            module.forward = partial(_forward, module, group)  # type: ignore[method-assign]


def _forward(norm: BatchNorm, group: Group, x: Tensor) -> Tensor:
    """What ``norm`` makes of x, (B, C, ...), which is this process's portion; B may be 0.

    Raises:
        ValueError: x has not the dimensions that the norm is for.
    """
    if not norm.training:
        plain: Tensor = type(norm).forward(norm, x)
        return plain
    norm._check_input_dim(x)  # noqa: SLF001 - it is the norm's own forward
    precise = x if x.dtype == torch.float64 else x.float()
    weight, bias = _affine(norm, precise)
    found: tuple[Tensor, ...] = _Normalize.apply(precise, weight, bias, norm.eps, group)
    y, mean, variance, count = found
    if norm.track_running_stats:
        _remember(norm, mean, variance * (count / (count - 1)))
    return y.to(x.dtype)


def _affine(norm: BatchNorm, like: Tensor) -> tuple[Tensor, Tensor]:
    if not norm.affine:
        ones = like.new_ones(norm.num_features)
        return ones, torch.zeros_like(ones)
    return norm.weight, norm.bias


def _remember(norm: BatchNorm, mean: Tensor, unbiased: Tensor) -> None:
    """Move the running statistics, as ``nn.BatchNorm`` does, which keeps the unbiased variance."""
    running = ((norm.running_mean, mean), (norm.running_var, unbiased))
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    with torch.no_grad():
        for kept, new in running:
            if kept is not None and norm.momentum is not None:
                kept.lerp_(new.to(kept), norm.momentum)
            elif kept is not None and norm.num_batches_tracked is not None:
                kept.lerp_(new.to(kept), 1 / norm.num_batches_tracked.to(kept))


class _Normalize(Function):
    """``y = (x - mean) / sqrt(variance + eps) * weight + bias`` over all processes.

    Its gradient is that of the sum over processes of what each has of the loss, which is what they
    then add up.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - PyTorch's
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: float,
        group: Group,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, variance, count = _statistics(x, group)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps, ctx.group = eps, group
        ctx.mark_non_differentiable(mean, variance, count)
        y = functional.batch_norm(x, mean, variance, weight, bias, eps=eps)
        return y, mean, variance, count

    @staticmethod
    def backward(
        ctx: Any,  # noqa: ANN401 - PyTorch's
        slope: Tensor,
        *_: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """With z the normalized x: ``w / sqrt(..) * (g - mean(g) - z mean(g z))``, means over all.

        Ioffe & Szegedy 2015, section 3, in the usual short form.
        """
        x, weight, mean, variance, count = ctx.saved_tensors
        z = functional.batch_norm(x, mean, variance, eps=ctx.eps)
        dims = [dim for dim in range(x.dim()) if dim != 1]
        of_bias, of_weight = slope.sum(dims), (slope * z).sum(dims)
        sums = ctx.group.added(torch.cat([of_bias, of_weight]))
        along, across = (_by_channel(part / count, x) for part in sums.split(len(of_bias)))
        scale = _by_channel(weight * torch.rsqrt(variance + ctx.eps), x)
        of_x = (slope - along - z * across) * scale
        return of_x, of_weight, of_bias, None, None


def _statistics(x: Tensor, group: Group) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of each channel over all processes, and of how many values."""
    dims = [dim for dim in range(x.dim()) if dim != 1]
    own = x.numel() // x.shape[1]
    if own:
        variance, mean = torch.var_mean(x, dims, correction=0)
    else:
        mean = variance = x.new_zeros(x.shape[1])
    told = torch.cat([mean, variance, x.new_tensor([own])])
    rows = group.gathered(told)
    counts, channels = rows[:, -1:], x.shape[1]
    means, variances = rows[:, :channels], rows[:, channels:-1]
    count = counts.sum()
    mean = (means * counts).sum(0) / count
    variance = ((variances + (means - mean).square()) * counts).sum(0) / count
    return mean, variance, count


def _by_channel(values: Tensor, like: Tensor) -> Tensor:
    """(C,) as (1, C, 1, ...)."""
    return values.view(1, -1, *(1 for _ in range(like.dim() - 2)))
