"""open_prune: experiments on pruning neural networks.

On the command line: ``python open_prune.py train``, and ``--help`` for the rest. In a notebook::

    import open_prune

    dense = open_prune.describe("digits_lenet", lr=0.05)
    run = open_prune.run(open_prune.branch(dense, "oneshot", prune_fraction=0.9))
    run.accuracy, run.mask().sparsity, run.model()
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from foundations.errors import FAILURE, INTERRUPTED, OpenPruneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    # ruff: noqa: PLC0414 - for editors and type checkers: what __getattr__ finds
    from branches.describing import branch as branch
    from branches.describing import describe as describe
    from branches.describing import lottery as lottery
    from branches.describing import state as state
    from branches.opened import Run as Run
    from commands.frame import frame as frame
    from commands.frame import metrics_frame as metrics_frame
    from commands.notebook import import_weights as import_weights
    from commands.notebook import open_run as open_run
    from commands.notebook import plugin as plugin
    from commands.notebook import run as run
    from commands.notebook import runs as runs
    from foundations.steps import Step as Step
    from models.portable.saved import load_compacted as load_compacted
    from platforms.local import Local as Local
    from training.description import TrainDesc as TrainDesc
    from training.hparams import RunOptions as RunOptions

USAGE = """usage: open_prune.py COMMAND [flags]

Experiments on pruning neural networks: train, prune, compare.

  train                 train a network from its initialization
  branch train oneshot  prune it and train on; 'branch --help' for other parents
  lottery               find lottery tickets: train, prune, rewind, level by level
  iterative             prune to a fraction of all in rounds of training
  paper NAME            carry out a published study, and print its table and figures
  sweep FILE.py         many runs at once: of a file, or of flags that are given several times
  run NAME/replicate_1  carry out a run that has a directory: what workers and clusters call
  ls                    the runs there are
  show RUN              what is known of a run
  status [FILE]         how far runs are: done, running, waiting, failed
  report [RUN ...]      one HTML page of runs: table, curves, sparsity, lineage
  eval RUN              measure a run at any step: top-k, each class, dimensions, accounting
  compact RUN           write the smaller network that a mask leaves; ONNX, torch.export
  data                  which data sets are there, and how to get the others
  diff RUN RUN          what differs between two runs
  export [RUN ...]      runs, what was measured, or layers as CSV or Parquet
  clean                 what can be removed; --yes removes it
  import WEIGHTS        make a run of weights from elsewhere
  import-openlth DIR    make runs of the results of OpenLTH

'open_prune.py COMMAND --help' shows the flags of a command. Each takes
--plugin=my_method.py, a file that adds your own criteria, branches, networks or data."""


_PUBLIC = {
    "TrainDesc": "training.description",
    "RunOptions": "training.hparams",
    "Local": "platforms.local",
    "Step": "foundations.steps",
    "Run": "branches.opened",
    "describe": "branches.describing",
    "branch": "branches.describing",
    "run": "commands.notebook",
    "runs": "commands.notebook",
    "open_run": "commands.notebook",
    "state": "branches.describing",
    "lottery": "branches.describing",
    "import_weights": "commands.notebook",
    "frame": "commands.frame",
    "metrics_frame": "commands.frame",
    "plugin": "commands.notebook",
    "load_compacted": "models.portable.saved",
}
"""What a notebook finds here, and where it is; imported when it is first used."""


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"open_prune has no {name!r}; it has {', '.join(sorted(_PUBLIC))}.")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(_PUBLIC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; returns its exit code.

    0 is success, 2 a mistake in what was asked for, 1 a failure, and 75 a run that was stopped and
    can be continued by the same command.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(USAGE)  # noqa: T201 - the help
        return 0 if arguments else 2
    try:
        return _carried_out(arguments)
    except KeyboardInterrupt:  # it may come while modules are imported
        print("open_prune: stopped at once; the same command continues.", file=sys.stderr)  # noqa: T201
        return INTERRUPTED


def _carried_out(arguments: Sequence[str]) -> int:
    """The exit code of a command."""
    from commands import COMMANDS
    from commands.flags import HelpShown
    from commands.plugins import load_plugins

    try:
        load_plugins(arguments)
        COMMANDS[arguments[0]](arguments[1:])
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()
    except HelpShown:
        return 0
    except OpenPruneError as error:
        print(f"open_prune: {error}", file=sys.stderr)  # noqa: T201 - the message
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - raised again where it is ours
        return _unexpected(error)
    return 0


def _unexpected(error: Exception) -> int:
    """The exit code when a plugin fails, or the output cannot be written; else the error is ours.

    Raises:
        Exception: It is ours.
    """
    from foundations.plugins import blame

    if (told := blame(error)) is not None:
        print(f"open_prune: a plugin failed.\n{told}", file=sys.stderr)  # noqa: T201 - the message
        return FAILURE
    if isinstance(error, OSError):
        return _unprintable(error)
    raise error


def _unprintable(error: OSError) -> int:
    """The exit code when the output cannot be written; any other error is raised."""
    if error.filename is not None:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that nobody tries again
    if isinstance(error, BrokenPipeError):  # the reader, say `head`, has what it wanted
        return 0
    print(f"open_prune: the output cannot be written: {error.strerror}.", file=sys.stderr)  # noqa: T201
    return FAILURE


if __name__ == "__main__":
    # Until a run takes signals in hand, a polite kill is what Ctrl-C is.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
