"""What processes of their own do in the tests of ``compact``."""

from __future__ import annotations

import os
import sys

import open_prune


def compact(root: str, data: str, *words: str) -> None:
    """The command line, with runs below ``root``; leaves with its exit code."""
    os.environ |= {"OPEN_PRUNE_ROOT": root, "OPEN_PRUNE_DATA": data}
    sys.exit(open_prune.main(["compact", *words, "--threads=1"]))
