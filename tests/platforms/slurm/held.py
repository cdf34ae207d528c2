"""What a test gives to Slurm in place of Python: runs wait in the middle as long as they are told.

Called as Python is: ``held.py open_prune.py run NAME/replicate_R``. A run for which there is a file
``$HELD/NAME`` waits after some updates until that file is gone, or until it is asked to stop; it
then removes the file, and does not wait when it goes on. By ``$HELD/NAME.reached`` it tells that it
has come so far.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
AT = 6
"""Updates after which runs wait."""

if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    from training.recording import Recording

    arrive = Recording._arrive

    def wait(self: Recording) -> None:
        """Do what is due, then wait."""
        arrive(self)
        if self.engine.iteration >= AT:
            held = Path(os.environ["HELD"]) / self.directory.name
            held.with_suffix(".reached").touch()
            while held.exists() and self.context.stop.requested is None:
                time.sleep(0.05)
            held.unlink(missing_ok=True)

    Recording._arrive = wait  # type: ignore[method-assign]
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
