"""Which operations do what to channels, by the names that PyTorch gives them.

Modules and functions share the table: names are compared without case and underscores, so that
``MaxPool2d`` is ``max_pool2d`` and ``relu_`` is ``relu``. What is not named here is opaque.
"""

from __future__ import annotations


def _named(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


ACTIVATIONS = _named(
    "relu relu6 leakyrelu elu selu celu gelu silu mish hardswish hardtanh tanh softsign rrelu "
    "tanhshrink hardshrink softshrink sigmoid hardsigmoid logsigmoid softplus"
)
"""Functions of single numbers that come after layers: gates stand after them."""

SHIFTS = _named(
    "sigmoid hardsigmoid logsigmoid softplus exp cos clamp clip pow log rsqrt logit alphadropout "
    "featurealphadropout"
)
"""Functions of single numbers that are not 0 at 0."""

PASSES = (ACTIVATIONS - SHIFTS) | _named(
    "dropout dropout1d dropout2d dropout3d featuredropout identity clone detach float double half "
    "to type abs sqrt square sin neg stochasticdepth"
)
"""Functions of single numbers that are 0 at 0."""

SPATIAL = _named(
    "maxpool1d maxpool2d maxpool3d avgpool1d avgpool2d avgpool3d lppool1d lppool2d "
    "adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d adaptivemaxpool1d adaptivemaxpool2d "
    "adaptivemaxpool3d interpolate upsample upsamplingnearest2d upsamplingbilinear2d zeropad2d "
    "reflectionpad2d replicationpad2d circularpad2d"
)
"""Of each channel by itself, over its positions."""

REDUCTIONS = _named("mean sum amax amin")
"""Over the dimensions that they are told."""

MOVES = _named(
    "flatten unflatten reshape view permute transpose swapaxes movedim t squeeze unsqueeze cat "
    "concat concatenate stack chunk split tensorsplit unbind getitem narrow select roll repeat "
    "repeatinterleave tile expand flip contiguous pixelshuffle pixelunshuffle channelshuffle "
    "size dim numel getattr"
)
"""What moves numbers about, copies them or asks for their shape: it is done to wires alike."""

ADDITIONS = _named("add iadd radd sub subtract isub maximum minimum")
PRODUCTS = _named("mul imul rmul multiply")
QUOTIENTS = _named("div divide truediv itruediv")
ARITHMETIC = ADDITIONS | PRODUCTS | QUOTIENTS | {"neg"}

NORMS = _named("batchnorm1d batchnorm2d batchnorm3d syncbatchnorm instancenorm2d")
"""Modules that treat each channel by itself."""

VIEWS = _named(
    "flatten unflatten reshape view permute transpose swapaxes movedim t squeeze unsqueeze chunk "
    "split tensorsplit unbind getitem narrow select expand"
)
"""Those of MOVES that may share the memory of what they are given."""

ZEROS = _named("zeros zeroslike newzeros")
"""What makes zeros."""


def plain(name: str) -> str:
    """The name as this table has it."""
    return name.lower().replace("_", "")
