"""What is written into a batch script, and which platforms are refused: nothing is submitted."""

import shutil
import subprocess
from pathlib import Path

import pytest

from foundations.errors import OpenPruneError, UserError
from foundations.steps import Step
from platforms.crew import Task
from platforms.slurm import Slurm, arrays, script, submission
from platforms.slurm.arrays import Array

pytest.importorskip("submitit")

TASKS = (
    Task("train_0123456789abcdef/replicate_1", (Step(0), Step(3)), whole=False, processes=2),
    Task("train_0123456789abcdef/replicate_2", processes=2),
)


def _text(root: Path, platform: Slurm, *flags: str, waits: str | None = None) -> str:
    return script.text(Array.new(root, TASKS), platform, flags, waits)


def _asked(text: str) -> dict[str, str]:
    """The parameters that Slurm reads."""
    lines = (line.removeprefix("#SBATCH --") for line in text.splitlines() if "#SBATCH" in line)
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_slurm_is_asked_for_what_the_platform_says_and_for_nothing_else(tmp_path: Path) -> None:
    """What is left open is left to the cluster; counts are for all processes of a run."""
    plain = _asked(_text(tmp_path, Slurm(root=str(tmp_path))))
    assert set(plain) == {
        *("array", "cpus-per-task", "job-name", "kill-on-invalid-dep", "nodes", "open-mode"),
        *("output", "requeue", "signal"),
    }
    full = Slurm(
        root=str(tmp_path),
        partition="long",
        account="pruning",
        qos="low",
        constraint="a100|h100",
        time="2-12",
        cpus=4,
        gpus=1,
        mem_gb=1.5,
        array_parallelism=1,
    )
    asked = _asked(_text(tmp_path, full, waits="afterok:7_0"))
    assert asked["array"] == "0-1%1"
    assert asked["cpus-per-task"] == "8"
    assert asked["gpus-per-node"] == "2"
    assert asked["mem"] == "3072M"
    assert asked["time"] == "2-12"
    assert asked["constraint"] == "'a100|h100'"
    assert asked["dependency"] == "afterok:7_0"
    assert (asked["partition"], asked["account"], asked["qos"]) == ("long", "pruning", "low")


def test_each_task_finds_its_run_and_its_log(tmp_path: Path) -> None:
    """The script is carried out by a shell, with a program in place of srun that prints words."""
    root = tmp_path / "with a space"
    for task in TASKS:
        (root / task.run).mkdir(parents=True)
    setup = ("export GREETING='good morning'", 'echo "$GREETING"')
    text = _text(root, Slurm(root=str(root), data_root="/data", python="/a b/python", setup=setup))
    (tmp_path / "srun").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\nexit 1\n')
    (tmp_path / "srun").chmod(0o755)
    ran = subprocess.run(
        [str(shutil.which("bash")), "-c", text],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "0"},
        check=False,
    )
    assert ran.returncode == 1
    lines = (root / TASKS[0].run / "log.txt").read_text().splitlines()
    assert lines[:4] == ["good morning", "--ntasks=1", "--cpus-per-task=2", "/a b/python"]
    assert lines[5:] == [
        *("run", TASKS[0].run, "--steps=0ep,3ep", "--part"),
        *(f"--root={root}", "--data_root=/data", "--threads=1"),
    ]


@pytest.mark.parametrize(("state", "queued"), [("RUNNING", True), ("COMPLETING", False)])
def test_a_stopped_run_queues_itself_again_unless_its_job_is_being_ended(
    tmp_path: Path, state: str, *, queued: bool
) -> None:
    """Of an array it is the one task, not the array."""
    programs = {"srun": "exit 75", "squeue": f"echo {state}", "scontrol": 'echo "$@"'}
    for program, does in programs.items():
        (tmp_path / program).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / program).chmod(0o755)
    (tmp_path / TASKS[1].run).mkdir(parents=True)
    ran = subprocess.run(
        [str(shutil.which("bash")), "-c", _text(tmp_path, Slurm(root=str(tmp_path)))],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "SLURM_ARRAY_TASK_ID": "1",
            "SLURM_ARRAY_JOB_ID": "12",
        },
        check=False,
    )
    assert ran.returncode == 75
    log = (tmp_path / TASKS[1].run / "log.txt").read_text()
    assert log == ("requeue 12_1\n" if queued else "")


def test_a_run_that_comes_no_further_is_not_queued_again_for_ever(tmp_path: Path) -> None:
    """The third time in turn; whatever is saved in between makes it the first time again."""
    saves = 'if [ -e next ]; then mkdir -p "$(cat next)"; rm next; fi; exit 75'
    programs = {"srun": saves, "squeue": "echo RUNNING", "scontrol": 'echo "$1"'}
    for program, does in programs.items():
        (tmp_path / program).write_text(f"#!/bin/bash\n{does}\n")
        (tmp_path / program).chmod(0o755)
    directory = tmp_path / TASKS[1].run
    directory.mkdir(parents=True)
    text = _text(tmp_path, Slurm(root=str(tmp_path)))
    path = f"{tmp_path}:/usr/bin:/bin"
    job = {"PATH": path, "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "12"}

    def stopped() -> str:
        """What is logged of one more attempt."""
        (directory / "log.txt").unlink(missing_ok=True)
        bash = str(shutil.which("bash"))
        ran = subprocess.run([bash, "-c", text], env=job, check=False, cwd=tmp_path)
        assert ran.returncode == 75
        return (directory / "log.txt").read_text()

    assert [stopped(), stopped()] == ["requeue\n"] * 2
    (tmp_path / "next").write_text(f"{directory}/checkpoint/2ep\n")
    assert [stopped() for _ in range(3)] == ["requeue\n"] * 3
    assert "not queued again" in stopped()


def test_who_looks_finds_the_runs_of_an_array_by_its_name(tmp_path: Path) -> None:
    """They are there before it is submitted; other jobs of the user are none of ours."""
    array = Array.new(tmp_path, TASKS)
    found = arrays.read(tmp_path, array.name)
    assert found is not None
    assert [(t.run, t.steps, t.whole) for t in found.tasks] == [
        (t.run, t.steps, t.whole) for t in TASKS
    ]
    assert arrays.read(tmp_path, "wrap") is None
    assert arrays.read(tmp_path / "elsewhere", array.name) is None
    assert arrays.read(tmp_path, "../../etc") is None


@pytest.mark.parametrize(
    ("queue", "error"),
    [("true", r"job array specification\n.*--array_size"), ("false", "does not answer")],
)
def test_who_does_not_answer_has_refused_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: str, error: str
) -> None:
    """What is refused is told in Slurm's words, with what can be done about it."""
    programs = {"sbatch": "echo Invalid job array specification >&2; false", "squeue": queue}
    for program, does in programs.items():
        (tmp_path / program).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(OpenPruneError, match=error):
        submission.submit(tmp_path / "batch.sh")


def test_parents_have_to_end_well_and_others_only_to_end() -> None:
    """As Slurm writes it."""
    assert submission.dependency([], []) is None
    assert submission.dependency(["1_0", "2_3"], []) == "afterok:1_0:2_3"
    assert submission.dependency(["1_0"], ["4_0"]) == "afterok:1_0,afterany:4_0"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("cpus", {"cpus": 0}),
        ("gpus", {"gpus": -1}),
        ("mem_gb", {"mem_gb": 0.0}),
        ("poll_s", {"poll_s": 0.0}),
        ("time", {"time": "soon"}),
        ("time", {"time": "1:2:3:4"}),
        ("signal_delay_s", {"time": "1", "signal_delay_s": 60}),
        ("signal_delay_s", {"time": "1:20"}),
        ("setup", {"setup": ("module load cuda\nrm -r runs",)}),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, wrong: dict[str, object]) -> None:
    """By the name of the field."""
    with pytest.raises(UserError, match=f"{field}="):
        Slurm.from_dict(wrong)


@pytest.mark.parametrize("time", ["2", "1:31", "0:2:0", "1-0", "0-1:30", "1-2:03:04"])
def test_times_are_written_as_slurm_writes_them(time: str) -> None:
    """Minutes; with seconds; with hours; with days."""
    assert Slurm(time=time).time == time


def test_where_there_is_no_slurm_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a mistake of the user's, not as a program that is not found."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="no sbatch and no squeue here"):
        Slurm().crew(())


def test_without_submitit_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is an extra."""
    for program in ("sbatch", "squeue"):
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("platforms.slurm.platform.find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install"):
        Slurm().crew(())
