"""The batch script of a job array: it finds its run by its index, and queues itself again.

A run is told to stop by SIGTERM, some time before its time limit or when another job is preferred
to it; it then saves what it has and leaves with exit code 75. Where Slurm has not queued the job
again by itself, the script has it do so, and the run goes on from there. Slurm takes any exit code
but 0 for a failure, and starts what waits for this run only after 0: when it is done.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

from foundations.errors import INTERRUPTED
from foundations.run_directory import LOG
from platforms.crew import PROGRAM
from platforms.local.platform import Local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from platforms.slurm.arrays import Array
    from platforms.slurm.platform import Slurm

IN_VAIN = 3
"""How often in turn a run may be stopped before it has saved anything new: its job is not queued
again then. A limit that is too short for it to begin would be so for ever."""

_TEARDOWN = [
    "code=$?",
    # Its own number would mean the whole array where it is the last task of it.
    'job="${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"',
    'if [ "$(saved)" = "$before" ]; then echo "$job" >> "$in_vain"; else rm -f "$in_vain"; fi',
    f"if [ $code = {INTERRUPTED} ]; then",
    '  state="$(squeue --noheader --format=%T --job="$job")"',
    '  if [ "$state" != RUNNING ]; then :',
    f'  elif [ -e "$in_vain" ] && [ "$(wc -l < "$in_vain")" -ge {IN_VAIN} ]; then',
    f'    echo "Stopped {IN_VAIN} times before it came any further: it is not queued again."',
    '  else scontrol requeue "$job"; fi',
    "fi",
    "exit $code",
]
"""Queue the job again where the run was stopped, unless Slurm is ending the job: then it was
cancelled, or is queued again by Slurm itself."""


def text(array: Array, platform: Slurm, flags: Sequence[str], dependency: str | None) -> str:
    """The script, with the ``#SBATCH`` lines that Slurm reads.

    Args:
        array: The runs.
        platform: What their jobs are to have.
        flags: What every run is told besides.
        dependency: What they wait for, as Slurm writes it.
    """
    # submitit knows Slurm's parameters. Its executors are for functions, which they pickle; a run
    # is nothing but a name, so this asks for the text of the script alone.
    from submitit.slurm.slurm import _make_sbatch_string

    return _make_sbatch_string(
        command=_command(array, platform, flags),
        setup=_setup(array, platform),
        teardown=_TEARDOWN,
        **_parameters(array, platform, dependency),
    )


def _parameters(array: Array, platform: Slurm, dependency: str | None) -> dict[str, Any]:
    """What Slurm is asked for; None leaves it to the cluster."""
    processes = array.tasks[0].processes
    memory = platform.mem_gb and f"{round(platform.mem_gb * processes * 1024)}M"
    return {
        "folder": array.folder,
        "job_name": array.name,
        "map_count": len(array.tasks),
        "array_parallelism": platform.array_parallelism,
        "partition": platform.partition,
        "account": platform.account,
        "qos": platform.qos,
        "constraint": platform.constraint,
        "time": platform.time,
        "cpus_per_task": platform.cpus * processes,
        "gpus_per_node": platform.gpus * processes or None,
        "mem": memory,
        "dependency": dependency,
        "wckey": None,
        "use_srun": False,  # what runs is several lines
        "stderr_to_stdout": True,
        "additional_parameters": {
            "output": array.output("%a"),
            "signal": f"TERM@{platform.signal_delay_s}",  # for the job's step: the run
            "requeue": True,
            "kill-on-invalid-dep": "yes",
        },
    }


def _setup(array: Array, platform: Slurm) -> list[str]:
    """Which run it is, where it is logged, and the user's commands."""
    cases = [
        f"  {index}) run=({shlex.join(task.words()[1:])}) ;;"
        for index, task in enumerate(array.tasks)
    ]
    return [
        'case "$SLURM_ARRAY_TASK_ID" in',
        *cases,
        "esac",
        f'directory={shlex.quote(str(platform.results_root()))}/"${{run[0]}}"',
        f'exec >> "$directory/{LOG}" 2>&1',
        'saved() { ls -R "$directory/checkpoint" "$directory/states" 2> /dev/null; }',
        f'in_vain={shlex.quote(str(array.folder))}/"$SLURM_ARRAY_TASK_ID.in_vain"',
        'before="$(saved)"',
        "trap : TERM  # the run gets it too, and decides what becomes of the job",
        *platform.setup,
    ]


def _command(array: Array, platform: Slurm, flags: Sequence[str]) -> str:
    """The step of the job in which the run is carried out, by as many processes as it wants."""
    # A step has one CPU unless it is told otherwise, whatever the job has.
    cpus = platform.cpus * array.tasks[0].processes
    program = [platform.python or sys.executable, PROGRAM, "run"]
    words = shlex.join(["srun", "--ntasks=1", f"--cpus-per-task={cpus}", *program])
    return f'{words} "${{run[@]}}" {shlex.join([*_place(platform).flags(), *flags])}'


def _place(platform: Slurm) -> Local:
    """The node, for the one who carries out a run there."""
    return Local(
        root=str(platform.results_root()),
        data_root=str(platform.datasets_root()),
        device=platform.device,
        threads=platform.thread_count(),
        num_workers=platform.num_workers,
    )
