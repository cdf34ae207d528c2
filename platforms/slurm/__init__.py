"""A cluster with Slurm: every run is a task of a job array that waits for its parents."""

from platforms.slurm.platform import Slurm as Slurm
