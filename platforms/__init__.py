"""Where and on what a run happens: roots, devices, threads, and clusters."""

from foundations.registry import Registry
from platforms.base import Platform

PLATFORMS: Registry[type[Platform]] = Registry(
    "platform", {"local": "platforms.local:Local", "slurm": "platforms.slurm:Slurm"}
)
"""What ``--platform`` can be. A new platform is one folder and one line here."""
