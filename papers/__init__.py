"""Published studies: their grids, tables and figures, and the numbers that were published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundations.registry import Registry

if TYPE_CHECKING:
    from papers.paper import Paper

PAPERS: Registry[Paper] = Registry(
    "paper",
    {
        "missing_the_mark": "papers.missing_the_mark:PAPER",
        "lottery": "papers.lottery:PAPER",
        "granularity": "papers.granularity:PAPER",
        "gradient_flow": "papers.gradient_flow:PAPER",
        "nip_it_in_the_bud": "papers.nip_it_in_the_bud:PAPER",
        "weight_level": "papers.weight_level:PAPER",
    },
)
"""The studies there are. A new one is one module and one line here."""
