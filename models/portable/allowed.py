"""What the file of a network may name: modules, functions and methods, in tables made beforehand.

A file is only ever looked up here. What is not in a table cannot be made or called, whatever a file
says; and names that become a part of source code (``torch.fx`` writes the forward pass as such) are
plain identifiers.
"""

from __future__ import annotations

import keyword
import operator
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from foundations.errors import UserError
from models.graph import rules
from models.portable import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def _named(line: str) -> frozenset[str]:
    return frozenset(line.split())


_BESIDE = _named(
    "conv2d linear multiheadattention softmax logsoftmax layernorm groupnorm localresponsenorm "
    "batchnorm prelu threshold normalize scaleddotproductattention matmul bmm pad prod floordiv "
    "mod eq ne lt le gt ge ones oneslike newones arange full where maskedfill gather scatter "
    "indexselect indexcopy indexadd einsum"
)
"""Operations that channels are not followed through by name, and a network may have all the same;
spelled as in ``models.graph.rules``."""

_NAMES = _BESIDE.union(
    rules.SHIFTS,
    rules.PASSES,
    rules.SPATIAL,
    rules.REDUCTIONS,
    rules.MOVES,
    rules.ARITHMETIC,
    rules.NORMS,
    rules.ZEROS,
)

ATTRIBUTES = frozenset({"shape", "ndim", "dtype", "device"})
"""What of a tensor may be asked for by ``getattr``."""

_WINDOWS = ("shifted_window_attention", "_patch_merging_pad", "_get_relative_position_bias")
"""Functions on tensors that torchvision's Swin transformers keep whole when they are traced."""

_IDENTIFIER = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
_PATH = re.compile(r"(?!__)[A-Za-z0-9_]+(\.(?!__)[A-Za-z0-9_]+)*")


@cache
def module_classes() -> Mapping[str, type[nn.Module]]:
    """The modules that a file may name: those of ``torch.nn`` that do a known operation."""
    from torchvision.ops import Permute, StochasticDepth

    found = {
        f"torch.nn.{name}": thing
        for name, thing in _known(vars(nn))
        if isinstance(thing, type) and issubclass(thing, nn.Module)
    }
    return found | {f"torchvision.ops.{kind.__name__}": kind for kind in (Permute, StochasticDepth)}


@cache
def functions() -> Mapping[str, Callable[..., Any]]:
    """The functions that a file may name, of known operations and of ``models.portable``."""
    from torchvision.models import swin_transformer
    from torchvision.ops import stochastic_depth

    spaces = {"torch": torch, "torch.nn.functional": functional, "operator": operator}
    found = {
        f"{space}.{name}": thing
        for space, module in spaces.items()
        for name, thing in _known(vars(module))
        if callable(thing) and not isinstance(thing, type)
    }
    own = {
        f"{operations.__name__}.{name}": thing
        for name, thing in vars(operations).items()
        if getattr(thing, "__module__", "") == operations.__name__ and not name.startswith("_")
    }
    others = {"torchvision.ops.stochastic_depth": stochastic_depth, "builtins.getattr": getattr}
    windows = {f"{swin_transformer.__name__}.{n}": getattr(swin_transformer, n) for n in _WINDOWS}
    asserted = {"torch._assert": torch._assert}  # noqa: SLF001 - networks call it
    return found | own | others | windows | asserted


@cache
def methods() -> Mapping[str, str]:
    """The methods of tensors that a file may name, by their names."""
    every = {name: getattr(Tensor, name) for name in dir(Tensor) if not name.startswith("_")}
    return {name: name for name, thing in _known(every) if callable(thing)}


def name_of_function(function: object) -> str:
    """How a file names a function.

    Raises:
        UserError: It may not.
    """
    for name, known in functions().items():
        if known is function:
            return name
    own = f"{getattr(function, '__module__', '')}.{getattr(function, '__name__', function)}"
    raise UserError(
        f"This network calls {own}, which the file of a network cannot name: only operations of "
        "torch can be loaded without the code that made the network."
    )


def name_of_class(module: nn.Module) -> str:
    """How a file names the class of a module, or the one whose forward pass a subclass has.

    Raises:
        UserError: It may not.
    """
    for name, kind in module_classes().items():
        if isinstance(module, kind) and type(module).forward is kind.forward:
            return name
    raise UserError(
        f"This network has a {type(module).__name__}, which the file of a network cannot name: "
        "only modules of torch.nn can be loaded without the code that made the network."
    )


def looked_up(what: str, name: object, table: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as the table has it
    """What a file names.

    Args:
        what: For the message: ``"function"``.
        name: As the file has it.
        table: One of those above.

    Raises:
        UserError: It is not in the table.
    """
    if not isinstance(name, str) or name not in table:
        raise UserError(
            f"The file of this network names the {what} {name!r}, which none may: only known "
            "operations of torch are made or called. It was damaged or edited, or a newer version "
            "wrote it."
        )
    return table[name]


def identifier(name: object) -> str:
    """The name of a node or an argument, as the file has it.

    Raises:
        UserError: It is no identifier of Python, or one that means something.
    """
    plain = isinstance(name, str) and _IDENTIFIER.fullmatch(name) and not keyword.iskeyword(name)
    if not plain or name == "self":
        raise UserError(f"The file of this network has the name {name!r}, which is none.")
    return str(name)


def path(name: object) -> str:
    """The dotted name of a module or tensor, as the file has it.

    Raises:
        UserError: It is none.
    """
    if not isinstance(name, str) or not _PATH.fullmatch(name):
        raise UserError(f"The file of this network has the name {name!r}, which is none.")
    return name


def _known(things: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Those whose names stand for known operations."""
    for name, thing in things.items():
        if not name.startswith("_") and rules.plain(name) in _NAMES:
            yield name, thing
