"""What a crew makes of the queue: which runs it submits, and how it says that they ended."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from foundations.errors import OpenPruneError, UserError
from foundations.files import write_json
from foundations.run_directory import Fact
from foundations.steps import Step
from platforms.crew import Crew, Outcome, Task
from platforms.slurm import Slurm, queue, submission
from platforms.slurm.crew import SlurmCrew

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("submitit")


def _task(name: str, *after: str, steps: tuple[Step, ...] = (), whole: bool = True) -> Task:
    return Task(_run(name), steps, whole, after=tuple(map(_run, after)))


def _run(name: str) -> str:
    return f"{name}_0123456789abcdef/replicate_1"


@dataclass
class FakeSlurm:
    """A queue in which nothing happens by itself."""

    scripts: list[str] = field(default_factory=list)
    entries: queue.Queue = field(default_factory=dict)
    answers: bool = True
    refuses: bool = False

    def submit(self, path: Path) -> str:
        """Take an array."""
        self.look()
        if self.refuses:
            raise UserError("Slurm does not take the jobs.")
        text = path.read_text()
        self.scripts.append(text)
        number = str(len(self.scripts))
        last = re.search(r"--array=0-(\d+)", text)
        assert last is not None
        for index in range(int(last[1]) + 1):
            entry = queue.Entry(f"{number}_{index}", "PENDING", "Priority")
            self.entries[path.parent.name, index] = entry
        return number

    def look(self) -> queue.Queue:
        """All jobs."""
        if not self.answers:
            raise queue.QueueError("Slurm does not answer: it is being restarted.")
        return dict(self.entries)

    def set(self, job: str, state: str, reason: str = "None") -> None:
        """Have something become of a job."""
        for key, entry in self.entries.items():
            if entry.job == job:
                self.entries[key] = queue.Entry(job, state, reason)

    def dependencies(self) -> list[str]:
        """What each array waits for."""
        found = (re.search(r"--dependency=(\S+)", text) for text in self.scripts)
        return [match[1] if match else "" for match in found]


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    """A queue in place of Slurm's."""
    fake = FakeSlurm()
    monkeypatch.setattr(queue, "look", fake.look)
    monkeypatch.setattr(submission, "submit", fake.submit)
    return fake


@pytest.fixture
def crew(slurm: FakeSlurm, tmp_path: Path) -> SlurmCrew:
    """A crew that looks as often as it is asked."""
    return _another(tmp_path)


def _another(root: Path) -> SlurmCrew:
    return SlurmCrew(Slurm(root=str(root), poll_s=1e-9), ())


def _news(crew: Crew) -> dict[str, Outcome]:
    return {ended.task.run.partition("_")[0]: ended.outcome for ended in crew.ended(0)}


def test_tasks_that_wait_for_the_same_are_one_array(crew: SlurmCrew, slurm: FakeSlurm) -> None:
    """Each waits for the tasks of its parents alone, not for their whole array."""
    crew.submit([_task("a"), _task("b"), _task("c", "b"), _task("d", "c", "a"), _task("e", "b")])
    assert crew.free() is None
    assert slurm.dependencies() == ["", "afterok:1_1", "afterok:2_0:1_0"]
    assert [text.count(") run=(") for text in slurm.scripts] == [2, 2, 1]


def test_an_array_is_no_longer_than_the_cluster_takes(slurm: FakeSlurm, tmp_path: Path) -> None:
    """The rest is another."""
    crew = SlurmCrew(Slurm(root=str(tmp_path), array_size=2), ())
    crew.submit([_task(name) for name in "abcde"])
    assert [text.count(") run=(") for text in slurm.scripts] == [2, 2, 1]


def test_what_is_in_the_queue_is_not_submitted_again(
    crew: SlurmCrew, slurm: FakeSlurm, tmp_path: Path
) -> None:
    """By whomever it was; and children wait for it."""
    crew.submit([_task("a", steps=(Step(0), Step(1)))])
    other = _another(tmp_path)
    other.submit([_task("a", steps=(Step(1),)), _task("b", "a")])
    assert slurm.dependencies() == ["", "afterok:1_0"]
    slurm.set("1_0", "COMPLETED")
    assert _news(crew) == _news(other) == {"a": Outcome.DONE}


def test_more_of_a_run_waits_for_the_job_that_does_a_part_of_it(
    crew: SlurmCrew, slurm: FakeSlurm
) -> None:
    """However that one ends; two would only wait for each other on a node."""
    crew.submit([_task("a", steps=(Step(1),), whole=False)])
    crew.submit([_task("a")])
    assert slurm.dependencies() == ["", "afterany:1_0"]


def test_how_jobs_end(crew: SlurmCrew, slurm: FakeSlurm, tmp_path: Path) -> None:
    """As their exit code and the run's directory tell, or the lack of anything there."""
    crew.submit([_task(name) for name in "abcdef"])
    write_json(tmp_path / _run("b") / Fact.FAILED.value, {"reason": "The loss is nan."})
    write_json(tmp_path / _run("f") / "done.json", {})
    states = ["COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "COMPLETING", "TIMEOUT"]
    for index, state in enumerate(states):
        slurm.set(f"1_{index}", state)
    ended = {end.task.run[0]: (end.outcome, end.reason) for end in crew.ended(0)}
    assert ended == {
        "a": (Outcome.DONE, ""),
        "b": (Outcome.FAILED, "The loss is nan."),
        "c": (Outcome.FAILED, "its job 1_2 was cancelled"),
        "d": (Outcome.LOST, "its job 1_3 ended as NODE_FAIL"),
        "f": (Outcome.DONE, ""),
    }
    assert _news(crew) == {}


def test_a_job_that_slurm_forgot_is_lost(crew: SlurmCrew, slurm: FakeSlurm) -> None:
    """Unless its run is done."""
    crew.submit([_task("a")])
    slurm.entries.clear()
    assert _news(crew) == {"a": Outcome.LOST}


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("CANCELLED", Outcome.STOPPED), ("NODE_FAIL", Outcome.LOST)],
)
def test_who_waited_in_vain_goes_with_his_parent(
    crew: SlurmCrew, slurm: FakeSlurm, state: str, outcome: Outcome
) -> None:
    """Of a parent that is lost, both can be submitted again."""
    crew.submit([_task("a"), _task("b", "a"), _task("c", "b")])
    slurm.set("1_0", state)
    slurm.set("2_0", "PENDING", "DependencyNeverSatisfied")
    slurm.set("3_0", "CANCELLED", "DependencyNeverSatisfied")
    news = _news(crew)
    assert list(news) == ["a", "b", "c"]
    assert news["b"] is news["c"] is outcome
    crew.submit([_task("a"), _task("b", "a")])
    assert slurm.dependencies()[3:] == ["", "afterok:4_0"]


def test_slurm_may_be_away_for_a_while(
    crew: SlurmCrew, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known then; after half an hour it is said."""
    crew.submit([_task("a")])
    slurm.answers = False
    assert _news(crew) == {}
    slurm.answers = True
    assert _news(crew) == {}
    slurm.answers = False
    crew._answered = time.monotonic() - 3600
    with pytest.raises(OpenPruneError, match="does not answer"):
        crew.ended(0)


def test_who_finds_slurm_away_submits_later(crew: SlurmCrew, slurm: FakeSlurm) -> None:
    """Unless it never was there: then nothing is waited for."""
    slurm.answers = False
    with pytest.raises(queue.QueueError):
        crew.submit([_task("a")])
    slurm.answers = True
    crew.submit([_task("a")])
    slurm.set("1_0", "NODE_FAIL")
    assert _news(crew) == {"a": Outcome.LOST}
    slurm.answers = False
    crew.submit([_task("a"), _task("b", "a")])
    assert _news(crew) == {}
    assert len(slurm.scripts) == 1
    slurm.answers = True
    assert _news(crew) == {}
    assert slurm.dependencies() == ["", "", "afterok:2_0"]


def test_what_slurm_refuses_is_submitted_when_others_have_ended(
    crew: SlurmCrew, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may take only so many; where there are no others, it is an error."""
    crew.submit([_task("a"), _task("b")])
    slurm.refuses = True
    crew.submit([_task("c"), _task("d", "c")])
    assert _news(crew) == {}
    assert "2 runs are submitted when others have ended" in capsys.readouterr().err
    slurm.set("1_0", "COMPLETED")
    assert _news(crew) == {"a": Outcome.DONE}
    assert capsys.readouterr().err == ""  # it is told once
    slurm.refuses = False
    assert _news(crew) == {}
    assert len(slurm.scripts) == 1
    slurm.set("1_1", "COMPLETED")
    assert _news(crew) == {"b": Outcome.DONE}
    assert slurm.dependencies() == ["", "", "afterok:2_0"]
    slurm.refuses = True
    for job in ("2_0", "3_0"):
        slurm.set(job, "NODE_FAIL")
    assert len(_news(crew)) == 2
    with pytest.raises(UserError):
        crew.submit([_task("b")])


def test_what_slurm_refuses_leaves_nothing(
    crew: SlurmCrew, slurm: FakeSlurm, tmp_path: Path
) -> None:
    """No folder of an array that never was."""
    slurm.refuses = True
    with pytest.raises(UserError):
        crew.submit([_task("a")])
    assert list((tmp_path / "slurm").iterdir()) == []


@pytest.mark.parametrize("reason", ["PartitionTimeLimit", "launch failed requeued held"])
def test_a_job_that_slurm_holds_is_told_of(
    crew: SlurmCrew, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    """Of an array once; those that wait for their turn, or for others, are not."""
    crew.submit([_task("a"), _task("b"), _task("c"), _task("d", "a")])
    slurm.set("1_0", "PENDING", reason)
    slurm.set("1_2", "PENDING", reason)
    slurm.set("2_0", "PENDING", "Dependency")
    assert _news(crew) == _news(crew) == {}
    told = capsys.readouterr().err
    assert told.startswith(f"Slurm does not begin {_run('a')} and 1 more: {reason}.")
    assert told.count("\n") == 1
    assert "1_0" in told


def test_who_looks_is_told_what_is_queued(
    crew: SlurmCrew, slurm: FakeSlurm, tmp_path: Path
) -> None:
    """Of the runs below this root alone, and of no others."""
    crew.submit([_task("a"), _task("b"), _task("c")])
    slurm.set("1_1", "RUNNING", "None")
    slurm.set("1_2", "COMPLETED", "None")
    assert Slurm(root=str(tmp_path)).queued() == {
        _run("a"): "job 1_0 is pending (Priority)",
        _run("b"): "job 1_1 is running",
    }
    assert Slurm(root=str(tmp_path / "other")).queued() == {}


def test_who_stops_leaves_the_rest_to_slurm(crew: SlurmCrew) -> None:
    """It is told how to cancel it."""
    crew.submit([_task("a")])
    crew.stop()
    [ended] = crew.ended(0)
    assert ended.outcome is Outcome.STOPPED
    assert "scancel 1_0" in ended.reason


def test_who_leaves_is_told_how_to_cancel_what_stays(
    crew: SlurmCrew, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once for each array; where nothing stays, nothing is said."""
    crew.submit([_task("a"), _task("b"), _task("c", "a")])
    crew.close()
    assert capsys.readouterr().err == "3 jobs stay in the queue: 'scancel 1 2' cancels them.\n"
    slurm.entries.clear()
    crew.ended(0)
    crew.close()
    assert capsys.readouterr().err == ""


def test_lines_of_squeue_are_read() -> None:
    """Names may have bars in them; jobs without an index are nobody's."""
    text = "a|b|3|12|RUNNING|None\nwrap|N/A|13|PENDING|Resources\n"
    assert queue.read(text) == {("a|b", 3): queue.Entry("12_3", "RUNNING", "None")}
