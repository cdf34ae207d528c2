"""What sums, products and functions of single numbers do to wires."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from models.graph import rules
from models.graph.arrays import (
    condensed,
    constants,
    distinct,
    is_constant,
    paired,
    renamed,
    varies,
)
from models.graph.flow import CONSTANT, ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.graph.flow import Kind, Wires
    from models.graph.ledger import Ledger


def shifted(ledger: Ledger, wires: Tensor) -> Tensor:
    """After a function that is not 0 at 0."""
    new = renamed(wires, partial(_shift, ledger))
    return new.where(new != ZERO, CONSTANT) if bool((condensed(new) == ZERO).any()) else new


def arithmetic(ledger: Ledger, name: str, operands: Sequence[Any]) -> Tensor | None:
    """After a sum, product, quotient or negation; None where it is not followed."""
    tensors = [operand for operand in operands if isinstance(operand, Tensor)]
    if name == "neg":
        return tensors[0]
    if len(operands) != 2:
        return None
    first, second = operands
    if name in rules.QUOTIENTS and isinstance(second, Tensor) and not is_constant(second):
        return None
    if len(tensors) == 1:
        number = second if isinstance(first, Tensor) else first
        return _with_number(ledger, name, tensors[0], number)
    return _of_tensors(ledger, name, first, second)


def _with_number(ledger: Ledger, name: str, wires: Tensor, number: object) -> Tensor:
    if name in rules.ADDITIONS:
        return wires if number == 0 else shifted(ledger, wires)
    if name in rules.PRODUCTS and number == 0:
        return constants(wires.shape, ZERO)
    return wires


def _of_tensors(ledger: Ledger, name: str, first: Tensor, second: Tensor) -> Tensor | None:
    fixed = [is_constant(first), is_constant(second)]
    if any(fixed):
        _bind(ledger, *((second, first) if fixed[0] else (first, second)))
    elif varies(first, second) or varies(second, first):
        return None
    combine = _add if name in rules.ADDITIONS else _multiply
    return paired(first, second, partial(combine, ledger))


def _bind(ledger: Ledger, wires: Tensor, held: Tensor) -> None:
    """Channels that meet numbers which the network holds for each of them must stay."""
    sizes = zip(reversed(condensed(wires).shape), reversed(held.shape), strict=False)
    zeros = bool((condensed(held) == ZERO).all())
    if not zeros and any(size > 1 and other > 1 for size, other in sizes):
        ledger.step("bound", distinct(wires), 0)


def _shift(ledger: Ledger, wires: Wires) -> Wires:
    return ledger.step("shift", wires, len(wires)) if len(wires) else wires


def _add(ledger: Ledger, a: Wires, b: Wires) -> Wires:
    """Wire by wire; 0 changes nothing, another constant shifts."""
    out = np.maximum(a, b)
    out[(out < 0) & (np.minimum(a, b) == CONSTANT)] = CONSTANT
    moved = (out >= 0) & (np.minimum(a, b) == CONSTANT)
    out[moved] = _shift(ledger, out[moved])
    return _join(ledger, "add", out, a, b)


def _multiply(ledger: Ledger, a: Wires, b: Wires) -> Wires:
    """Wire by wire; times 0 is 0, times another constant changes nothing."""
    out = np.where((a == ZERO) | (b == ZERO), ZERO, np.maximum(a, b))
    return _join(ledger, "multiply", out, a, b)


def _join(ledger: Ledger, kind: Kind, out: Wires, a: Wires, b: Wires) -> Wires:
    """Where two different wires meet, one new wire."""
    both = (a >= 0) & (b >= 0) & (a != b)
    if both.any():
        out[both] = ledger.step(kind, np.stack([a[both], b[both]]), int(both.sum()))
    return out
