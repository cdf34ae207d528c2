"""A real Slurm of two nodes, all on this machine, with folders, keys and ports of its own."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

NODES = ("node1", "node2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "srun")
_SBIN = "/usr/sbin:/sbin"
"""Where daemons are, which is not in everybody's PATH."""

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A job that was queued again begins when its old credentials are no longer valid: 5 is the least.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout=10
KillWait=30
GresTypes=gpu
NodeName=DEFAULT CPUs=2 RealMemory=500 Gres=gpu:1
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]} Weight=1 Feature=one
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]} Weight=2 Feature=two
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""


def lacking() -> list[str]:
    """The programs of Slurm that are not installed here."""
    path = f"{os.environ.get('PATH', '')}:{_SBIN}"
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]


class Cluster:
    """Slurm's daemons; at the end of a ``with`` block they and all jobs are gone.

    The folder is a short one: a socket's path must fit into 107 characters.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.environ = os.environ | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{os.environ['PATH']}:{_SBIN}",
        }
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._end)
            self._write()
            self._start_munge()
            self._start("slurmctld", "slurmctld", "-D")
            for node in NODES:
                self.start_node(node)
            self.wait_for("nodes that are idle", self._is_idle)
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints."""
        told = self._told(*command)
        assert told.returncode == 0, (command, told.stderr)
        return told.stdout.strip()

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._start(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill the daemon of a node, and all that runs there, as if the machine had died."""
        here = [process for process in self._ours() if _node_of(process) == node]
        self._daemons[node].kill()
        for process in [*map(_minder, here), *here]:  # first those who would tell of it
            _kill(process)
        self._daemons[node].wait()

    def wait_for(self, what: str, is_so: Callable[[], bool], timeout_s: float = 300) -> None:
        """Wait until something is so."""
        until = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < until, f"waited in vain for {what}\n{self.tell()}"
            time.sleep(0.2)

    def tell(self) -> str:
        """The state of things, for a test that fails."""
        logs = [f"== {path}\n{path.read_text()[-2000:]}" for path in self.folder.glob("*.log")]
        queue = self._told("squeue", "--array", "--states=all")
        return "\n".join([*logs, queue.stdout, queue.stderr])

    def _told(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environ, capture_output=True, text=True, check=False, timeout=60
        )

    def _write(self) -> None:
        (self.folder / "state").mkdir()
        text = CONFIGURATION.format(folder=self.folder, user=getpass.getuser(), ports=_ports(3))
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\n")

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        names = {"key": "key", "socket": "socket", "pid": "pid", "log": "log", "seed": "seed"}
        files = [f"--{name}-file={self.folder}/munge.{end}" for name, end in names.items()]
        files[1] = f"--socket={self.folder}/munge.socket"
        # Forced: its folder is nobody else's, though temporary folders are everybody's.
        self._start("munged", "munged", "--foreground", "--force", "--num-threads=2", *files)
        self.wait_for("munged", (self.folder / "munge.socket").exists)

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._daemons[name] = subprocess.Popen(
                command, env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _is_idle(self) -> bool:
        for name, daemon in self._daemons.items():
            assert daemon.poll() is None, f"{name} has ended\n{self.tell()}"
        told = self._told("sinfo", "--noheader", "--Node", "--partition=low", "--format=%T")
        return told.stdout.split() == ["idle"] * len(NODES)

    def _ours(self) -> list[psutil.Process]:
        """All processes that know this cluster: daemons and jobs."""
        return [p for p in psutil.process_iter() if _knows(p, self.environ["SLURM_CONF"])]

    def _end(self) -> None:
        for daemon in self._daemons.values():
            daemon.kill()
        while ours := [process for process in self._ours() if process.pid != os.getpid()]:
            for process in [*map(_minder, ours), *ours]:
                _kill(process)
            time.sleep(0.1)
        for daemon in self._daemons.values():
            daemon.wait()
        shutil.rmtree(self.folder)


def _knows(process: psutil.Process, configuration: str) -> bool:
    with suppress(psutil.Error):
        return process.environ().get("SLURM_CONF") == configuration
    return False


def _node_of(process: psutil.Process) -> str | None:
    with suppress(psutil.Error):
        return process.environ().get("SLURMD_NODENAME")
    return None


def _minder(process: psutil.Process) -> psutil.Process | None:
    """The process of Slurm that minds a job's step; its environment cannot be read."""
    with suppress(psutil.Error):
        parent = process.parent()
        return parent if parent is not None and parent.name() == "slurmstepd" else None
    return None


def _kill(process: psutil.Process | None) -> None:
    if process is not None:
        with suppress(psutil.Error):
            process.kill()


def _ports(count: int) -> list[int]:
    """Ports that are free now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
