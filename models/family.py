"""What a family of networks is: the names it has, where it is built, and its preset."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Arguments = Mapping[str, str]
"""The parts of a model's name: ``{"depth": "20"}`` of ``cifar_resnet_20``."""

Preset = Mapping[str, str | int | float]
"""Values of flags, by the flag."""


def _any(_: Arguments) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Family:
    """Networks of one architecture, which differ in the numbers in their names.

    A new one is a file with its builder, a declaration in ``models.declarations``, and the place of
    that in ``models.MODELS``.
    """

    name: str
    """What the entry is called, and what the names of its networks begin with."""

    form: str
    """How its names are written, for people: ``cifar_resnet_N[_W]``."""

    rule: str
    """What may be put into the form, for people."""

    examples: tuple[str, ...]
    """Names for help texts and suggestions."""

    pattern: str
    """A regular expression that matches its names in whole; its named groups are what the
    builder gets. Numbers have no leading zeros, so that a network has one name."""

    allowed: Callable[[Arguments], bool] = _any
    """Which of the names that match there are."""

    builder: str
    """The place, as ``"module:attribute"``, of a function ``(arguments, *, shape, classes)``.

    ``shape`` is (channels, height, width) of the images. It returns a network that maps float
    images (batch, channels, height, width) to logits (batch, classes), and names the module that
    gives the logits in its attribute ``output_layer``. It may use PyTorch's own initialization
    and the CPU's default generator, which is seeded for it.
    """

    preset: Preset = field(default_factory=dict)
    """Flags by which networks of this family are usually trained; ``model_name`` is added."""

    pruning: Preset = field(default_factory=dict)
    """Flags by which they are usually pruned level by level."""

    def arguments(self, name: str) -> Arguments | None:
        """The parts of the name of a network; None where it is none of this family."""
        match = re.fullmatch(self.pattern, name)
        if match is None:
            return None
        parts = {key: part for key, part in match.groupdict().items() if part is not None}
        return parts if self.allowed(parts) else None
