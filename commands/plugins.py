"""``--plugin``: files of the user's own, loaded before anything else is parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from commands.flags import values_of
from foundations import plugins

if TYPE_CHECKING:
    from collections.abc import Sequence


def load_plugins(arguments: Sequence[str]) -> None:
    """Load the files that ``--plugin`` names: it may be given several times, or with commas.

    Raises:
        UserError: One is missing, or fails.
    """
    for value in values_of("--plugin", arguments):
        for path in (value or "").split(","):
            if path.strip():
                plugins.load(path.strip())
