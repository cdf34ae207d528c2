"""The flags that a preset stands for. Every network's name is the name of a preset."""

from __future__ import annotations

from foundations.errors import UserError
from models import families, find


def preset(name: str) -> dict[str, str | int | float]:
    """Flags of the data set, the network and the training, by the network's name.

    Steps are texts, such as ``"160ep"`` and ``"80ep,120ep"``.

    Raises:
        UserError: There is no such preset; says how names are written, and suggests the nearest.
    """
    family = find(name, "preset").family
    if not family.preset:
        raise UserError(
            f"There is no preset {name!r}: the family {family.name!r} has none. Give the flags one "
            "by one, or give its entry in MODELS a preset."
        )
    return dict(family.preset) | {"model_name": name}


def preset_examples() -> tuple[str, ...]:
    """Some names of presets, for help texts."""
    return tuple(name for family in families() if family.preset for name in family.examples)


def preset_forms() -> tuple[str, ...]:
    """How names of presets are written: ``cifar_resnet_N[_W]``."""
    return tuple(family.form for family in families() if family.preset)
