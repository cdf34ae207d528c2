"""What importing the platforms costs."""

import subprocess
import sys

from platforms.fingerprint import PROJECT

HEAVY = ("torch", "torchvision", "numpy", "sklearn", "PIL")


def test_nothing_heavy_is_imported() -> None:
    """Help must answer at once: torch is imported by the functions that work, and only by them."""
    code = (
        "import sys, platforms, platforms.threads, platforms.stop, platforms.fingerprint;"
        "p = platforms.PLATFORMS['local'](threads=None); p.results_root(); p.thread_count();"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    assert shown.stdout == "[]\n"
