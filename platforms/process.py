"""What a process that trains sets up before torch is imported."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_dir

from platforms.memory import keep_freed_memory
from platforms.threads import configure_threads, workers


def prepare() -> None:
    """Choose how idle threads wait, keep freed memory, and say where compiled code is kept.

    What the user's environment says already stands. Where torch is imported already, its threads
    wait as they do.
    """
    configure_threads(os.environ, workers=workers(with_self=True))
    keep_freed_memory()
    # By default it lies among temporary files, and with them goes a minute of compiling.
    compiled = Path(user_cache_dir("open_prune")) / "compiled"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(compiled))
