"""The flags of a command that are no hyperparameters: which replicates, where, how told."""

from __future__ import annotations

from dataclasses import dataclass

from foundations.hparams import Hparams


@dataclass(frozen=True, kw_only=True)
class CommandFlags(Hparams):
    """What to do with the run that the other flags describe."""

    default_hparams: str | None = None
    """The preset to start from; other flags override it. By default digits_lenet."""

    replicate: int = 1
    """Which repetition of the run: seeds follow it."""

    replicates: str | None = None
    """Several repetitions, one after another: 1-5, or 1,3,7."""

    platform: str = "local"
    """Where to run: local or slurm."""

    display_output_location: bool = False
    """Print the directory of the run, and do nothing else."""

    dry_run: bool = False
    """Print what would run and what is done already, and do nothing else."""

    quiet: bool = False
    """Show no progress."""

    def check(self) -> None:
        """Refuse negative replicates."""
        self.require(self.replicate >= 0, "replicate", "it must not be negative")


@dataclass(frozen=True, kw_only=True)
class PluginFlags(Hparams):
    """What every command takes."""

    plugin: tuple[str, ...] = ()
    """Python files of your own that add criteria, strategies, branches, networks or data sets:
    my_method.py,other.py."""
