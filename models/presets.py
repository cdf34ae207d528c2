"""The flags that a preset stands for. Every network's name is the name of a preset."""

from __future__ import annotations

from foundations.errors import UserError
from models import find


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


def pruning_preset(name: str) -> dict[str, str | int | float]:
    """Flags of pruning level by level, by the network's name; none where its family has none.

    ``prune_fraction`` is of what remains, at each level; ``layers_to_ignore`` are names of weights,
    separated by commas (OpenLTH).

    Raises:
        UserError: There is no such preset; says how names are written, and suggests the nearest.
    """
    return dict(find(name, "preset").family.pruning)
