"""What the names of several families share: how numbers are written, and which depths there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.family import Arguments

NUMBER = r"[1-9]\d*"
WIDTHS = rf"{NUMBER}(?:_{NUMBER})*"


def basic_depth(arguments: Arguments) -> bool:
    """Whether three stages of blocks of two convolutions give this depth, which is 6D+2."""
    return _fits(arguments, 6)


def preactivation_depth(arguments: Arguments) -> bool:
    """Whether there is such a pre-activation ResNet; bottlenecks have three convolutions."""
    deep = int(arguments["depth"]) >= BOTTLENECKS_FROM
    if "bottleneck" in arguments:  # a network has one name: deep ones have bottlenecks anyhow
        return _fits(arguments, 9) and not deep
    return _fits(arguments, 9 if deep else 6)


BOTTLENECKS_FROM = 164
"""The depth from which pre-activation ResNets have bottlenecks unless their names say so before.

The published ones: 110 layers of basic blocks; 164 and 1001 layers of bottlenecks (He et al. 2016,
"Identity Mappings in Deep Residual Networks"). Both 110 and 164 are 6D+2 as well as 9D+2.
"""


def _fits(arguments: Arguments, layers: int) -> bool:
    depth = int(arguments["depth"])
    return depth > layers and depth % layers == 2
