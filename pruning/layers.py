"""How layers are named by the beginnings of their names. Nothing here imports torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundations.errors import UserError, unknown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def begins(name: str, beginning: str) -> bool:
    """Whether a name is this one, or has it for its first parts: blocks.1 begins blocks.1.conv.

    It does not begin blocks.10.conv. A gate goes by the name of its place.
    """
    name = name.removeprefix("gate:")
    return name == beginning or name.startswith(f"{beginning.rstrip('.')}.")


def named_by(names: Iterable[str], beginnings: Collection[str], field: str) -> dict[str, str]:
    """By name: the longest of the beginnings that it has; names that have none are left out.

    Raises:
        UserError: A beginning is that of no name.
    """
    known = list(names)
    for beginning in beginnings:
        if not any(begins(name, beginning) for name in known):
            raise unknown(f"layer that can be pruned, of {field},", beginning, known)
    found = {name: [b for b in beginnings if begins(name, b)] for name in known}
    return {name: max(matching, key=len) for name, matching in found.items() if matching}


def parse_groups(text: str) -> tuple[tuple[str, ...], ...]:
    """``a+b;c`` as groups of beginnings.

    Raises:
        UserError: One is empty, or stands there twice.
    """
    groups = tuple(
        tuple(beginning.strip() for beginning in group.split("+")) for group in text.split(";")
    )
    _check_once([beginning for group in groups for beginning in group], "layer_groups", text)
    return groups


def parse_fractions(text: str) -> dict[str, float]:
    """``a=.2,b=.9`` as fractions by beginning.

    Raises:
        UserError: A fraction is missing or out of [0, 1], or a beginning is empty or stands there
            twice.
    """
    pairs = [part.partition("=") for part in text.split(",")]
    _check_once([beginning.strip() for beginning, _, _ in pairs], "layer_fractions", text)
    return {beginning.strip(): _fraction(number, text) for beginning, _, number in pairs}


def _fraction(number: str, text: str) -> float:
    try:
        fraction = float(number)
    except ValueError:
        fraction = -1.0
    if not 0 <= fraction <= 1:
        raise UserError(
            f"layer_fractions={text!r}: {number.strip()!r} is no fraction from 0 to 1. "
            "It is written as in conv=.2,blocks=.9."
        )
    return fraction


def _check_once(beginnings: list[str], field: str, text: str) -> None:
    for beginning in beginnings:
        if not beginning:
            raise UserError(f"{field}={text!r}: there is an empty name in it.")
        if beginnings.count(beginning) > 1:
            raise UserError(f"{field}={text!r}: {beginning!r} stands there twice.")
