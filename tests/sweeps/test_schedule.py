"""The schedule hands out what can begin, each run once, and knows what cannot come any more."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from branches.finetune import Finetune
from branches.lottery_rewind import LotteryRewind
from branches.scratch import Scratch
from foundations.description import RunRef
from foundations.run_directory import HPARAMS, Fact, RunState
from foundations.steps import Step
from foundations.store import Store
from platforms.crew import Ended, Outcome
from platforms.stop import Stop
from tests.branches.runs import dense, pruned, run
from tests.sweeps.crews import BROKEN, Here, lost, names, on, swept, wanted

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description
    from platforms.crew import Task


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where runs are kept."""
    return tmp_path / "runs"


def first(description: Description) -> str:
    """The first replicate of a run."""
    return f"{description.name}/replicate_1"


def test_parents_come_before_branches_and_each_run_once(root: Path) -> None:
    """Two branches share their parent, of which the first state alone is needed."""
    halves, fifths = pruned(prune_fraction=0.5), pruned(prune_fraction=0.8)
    crew = Here(root)
    ended = swept(crew, wanted(root, [halves, fifths]))
    assert [(task.run, task.whole) for task in crew.told] == [
        (first(dense()), False),
        (first(halves), True),
        (first(fifths), True),
    ]
    assert names(ended.done) == [dense().name, halves.name, fifths.name]
    assert (ended.failed, ended.blocked, ended.waiting, ended.stopped) == ((), (), (), None)
    again = Here(root)
    assert swept(again, wanted(root, [halves, fifths])).done
    assert again.told == []


def test_a_worker_has_one_run_at_a_time(root: Path) -> None:
    """No more is handed out than the crew has room for."""
    crew = Here(root, room=2)
    swept(crew, wanted(root, [dense(training_steps=f"{n}it") for n in range(1, 6)]))
    assert crew.batches[0] == 2
    assert set(crew.batches[1:]) == {1}


def test_a_branch_begins_when_its_state_is_there(root: Path) -> None:
    """The parent, which is wanted whole, still trains then; it was told which state to save."""
    branch = pruned(prune_step="3it", state_step="3it")
    seen: list[list[str]] = []

    def trains_on(task: Task) -> None:
        seen.append([told.run for told in crew.told])

    def as_far_as_needed(_: Task) -> None:
        run(root, pruned(prune_step="3it", state_step="3it", prune_fraction=0.1))

    parent = first(dense())
    crew = Here(root, room=2, deeds={parent: [trains_on, as_far_as_needed, trains_on]})
    swept(crew, wanted(root, [dense(), branch]))
    assert crew.told[0].steps == (Step(0, 3),)
    assert crew.told[0].whole
    assert seen == [[parent], [parent, first(branch)]]


def test_what_failed_blocks_its_descendants_alone(root: Path) -> None:
    """Others go on; the standing says why, and on what the blocked ones wait."""
    broken = dense(**BROKEN)
    child = on(broken, Finetune())
    grandchild = pruned(child)
    ended = swept(Here(root), wanted(root, [grandchild, dense()]))
    assert [(f.goal.description.name, f.reason) for f in ended.failed] == [
        (broken.name, "The loss is inf at iteration 1 (epoch 0).")
    ]
    assert [(b.goal.description.name, b.by.description.name) for b in ended.blocked] == [
        (child.name, broken.name),
        (grandchild.name, broken.name),
    ]
    assert names(ended.done) == [dense().name]


def test_a_state_of_a_failed_run_serves(root: Path) -> None:
    """A branch of the first state of a run that fails later is carried out."""
    broken = dense(**BROKEN)
    branch = pruned(broken)
    ended = swept(Here(root, room=1), wanted(root, [broken, branch]))
    reasons = {failure.goal.description.name for failure in ended.failed}
    assert broken.name in reasons
    assert ended.blocked == ()


def test_what_failed_before_is_left_alone_until_it_is_asked_for(root: Path) -> None:
    """With ``again`` it is tried once more, and once only."""
    goal = wanted(root, [dense(**BROKEN)])
    swept(Here(root), goal)
    left, tried = Here(root), Here(root)
    before = swept(left, goal)
    after = swept(tried, goal, again=True)
    assert (len(left.told), len(tried.told)) == (0, 1)
    assert before.failed == after.failed
    assert before.failed[0].log.name == "log.txt"


def test_a_run_that_is_lost_is_given_out_again(root: Path) -> None:
    """Twice is no reason to give up."""
    crew = Here(root, deeds={first(dense()): [lost, lost]})
    assert names(swept(crew, wanted(root, [dense()])).done) == [dense().name]
    assert len(crew.told) == 3


def test_a_run_that_others_stop_is_given_out_again(root: Path) -> None:
    """As often as it takes: it can be continued, so nothing is wrong with it."""

    def stopped(task: Task) -> Ended:
        return Ended(task, Outcome.STOPPED, "Stopped by SIGTERM.")

    crew = Here(root, deeds={first(dense()): [stopped] * 5})
    assert names(swept(crew, wanted(root, [dense()])).done) == [dense().name]
    assert len(crew.told) == 6


def test_a_run_that_is_lost_three_times_has_failed(root: Path) -> None:
    """Its directory says so too; what does not need it is carried out."""
    other = dense(training_steps="2it")
    crew = Here(root, deeds={first(dense()): [lost, lost, lost]})
    ended = swept(crew, wanted(root, [dense(), other]))
    assert [failure.reason for failure in ended.failed] == [
        "Its worker died 3 times: it was killed by SIGKILL."
    ]
    assert names(ended.done) == [other.name]
    directory = Store(root).run(dense(), 1)
    assert directory.fact(Fact.FAILED) == {"reason": ended.failed[0].reason}
    assert directory.state is RunState.FAILED


def test_a_run_that_somebody_else_trains_is_waited_for(root: Path) -> None:
    """It is not handed out, nor is what needs its end; when he gives it up, it is."""
    directory = run(root, dense(training_steps="6it"))
    (directory.path / "done.json").unlink()
    claim = directory.claim()
    assert claim is not None
    seen: list[int] = []
    release = claim.release

    class Watching(Here):
        """Releases the claim after the third look."""

        def ended(self, timeout_s: float) -> list[Ended]:
            """Count."""
            seen.append(len(self.told))
            if len(seen) == 3:
                release()
            return super().ended(timeout_s)

    ended = swept(Watching(root), wanted(root, [dense(training_steps="6it")]))
    assert seen == [0, 0, 0, 1]
    assert len(ended.done) == 1


def test_who_trains_elsewhere_is_told_what_is_waited_for(root: Path) -> None:
    """The word for the state lies in the directory, for him to find."""
    directory = run(root, dense())
    (directory.path / "done.json").unlink()
    claim = directory.claim()
    assert claim is not None
    stop = Stop()

    class Looking(Here):
        """Stops the sweep after a look."""

        def ended(self, timeout_s: float) -> list[Ended]:  # noqa: ARG002 - the interface's
            """Ask."""
            assert directory.asked_for() == [Step(1, 2)]
            stop.requested = "SIGINT"
            return []

    branch = pruned(prune_step="5it", state_step="5it")
    ended = swept(Looking(root), wanted(root, [branch]), stop=stop)
    claim.release()
    assert names(ended.elsewhere) == [dense().name]


def test_a_cluster_is_given_all_at_once(root: Path) -> None:
    """With what has to end before; a parent of which the first state is needed has not to."""
    levels: list[Description] = [dense()]
    for _ in range(2):
        levels.append(on(levels[-1], LotteryRewind()))
    branch = pruned()
    crew = Here(root, room=None)
    ended = swept(crew, wanted(root, [*levels, branch]))
    assert crew.batches == [4]
    assert {task.run: task.after for task in crew.told} == {
        first(levels[0]): (),
        first(levels[1]): (first(levels[0]),),
        first(levels[2]): (first(levels[1]),),
        first(branch): (),
    }
    assert len(ended.done) == 4


def test_a_cluster_keeps_what_it_has_when_the_sweep_is_stopped(root: Path) -> None:
    """Nobody is asked to stop; the standing tells what it goes on with."""
    stop = Stop()

    def interrupted(_: Task) -> None:
        stop.requested = "SIGINT"

    crew = Here(root, room=None, deeds={first(dense()): [interrupted]})
    ended = swept(crew, wanted(root, [dense()]), stop=stop)
    assert (names(ended.working), ended.stopped, crew.stopped) == ([dense().name], "SIGINT", False)


def test_a_stop_asks_everybody_and_waits(root: Path) -> None:
    """What was at work and what had not begun are left over; what is done is done."""
    stop = Stop()
    runs = [dense(training_steps=f"{n}it") for n in (1, 2, 3)]

    def interrupted(_: Task) -> None:
        stop.requested = "SIGTERM"

    crew = Here(root, deeds={first(runs[1]): [interrupted]})
    ended = swept(crew, wanted(root, runs), stop=stop)
    assert crew.stopped
    assert (names(ended.done), ended.stopped) == ([runs[0].name], "SIGTERM")
    assert names(ended.waiting) == [runs[1].name, runs[2].name]


def test_who_needs_a_state_past_the_end_fails_alone(root: Path) -> None:
    """The parent and its other branches are none the worse."""
    wrong, right = pruned(prune_step="99it", state_step="99it"), pruned()
    ended = swept(Here(root), wanted(root, [wrong, right, dense()]))
    assert [failure.goal.description.name for failure in ended.failed] == [wrong.name]
    assert "99it" in ended.failed[0].reason
    assert set(names(ended.done)) == {dense().name, right.name}


def test_another_replicate_of_a_parent_is_made(root: Path) -> None:
    """A branch may name a run of another replicate than its own."""
    other = RunRef(dense(training_steps="2it"), 7)
    branch = pruned(prune_experiment=other)
    crew = Here(root)
    ended = swept(crew, wanted(root, [branch], replicate=2))
    assert {task.run for task in crew.told} >= {f"{other.description.name}/replicate_7"}
    assert ended.failed == ()


def test_a_run_whose_start_decides_its_training_can_be_a_parent(root: Path) -> None:
    """Where it ends is known only once it has begun, so its branch waits for its end."""
    scratch = on(pruned(), Scratch())
    made = Finetune.from_dict({"finetune_training_steps": "2it"})
    child = on(scratch, made)
    ended = swept(Here(root), wanted(root, [child]))
    assert (ended.failed, ended.blocked) == ((), ())
    assert child.name in names(ended.done)


def test_damage_to_one_run_stops_no_other(root: Path) -> None:
    """It counts as failed, with what is wrong."""
    other = dense(training_steps="2it")
    directory = Store(root).run(dense(), 1)
    directory.path.mkdir(parents=True)
    (directory.path / HPARAMS).write_text("{")
    ended = swept(Here(root), wanted(root, [dense(), other]))
    assert names(ended.done) == [other.name]
    assert "is damaged" in ended.failed[0].reason


def test_a_run_that_is_done_and_was_edited_is_refused(root: Path) -> None:
    """Its results are not those of what was asked for."""
    crew = Here(root)
    swept(crew, wanted(root, [dense(training_steps="2it")]))
    (path,) = root.glob(f"*/*/{HPARAMS}")
    path.write_text(path.read_text().replace('"2it"', '"3it"'))
    ended = swept(crew, wanted(root, [dense(training_steps="2it")]))
    assert (len(crew.told), ended.done) == (1, ())
    assert "hparams.json was edited" in ended.failed[0].reason


def test_the_longest_chain_begins_first(root: Path) -> None:
    """What is asked for last is not begun last if others wait for it."""
    single, last = dense(training_steps="3it"), pruned(pruned(), prune_fraction=0.8)
    crew = Here(root)
    swept(crew, wanted(root, [single, last]))
    assert [task.run for task in crew.told] == list(map(first, (dense(), pruned(), single, last)))


@pytest.mark.parametrize(("look_s", "patience_s"), [(0.0, 0.2), (0.05, 1.0), (9.0, 2.0)])
def test_looking_takes_a_small_share_of_the_time(
    root: Path, monkeypatch: pytest.MonkeyPatch, look_s: float, patience_s: float
) -> None:
    """Many runs take long to look at; but whoever presses Ctrl-C is heard soon."""
    waited: list[float] = []

    class Listening(Here):
        def ended(self, timeout_s: float) -> list[Ended]:
            waited.append(timeout_s)
            return super().ended(timeout_s)

    clock = (look_s * tick for tick in itertools.count())
    monkeypatch.setattr("sweeps.schedule.time", SimpleNamespace(monotonic=clock.__next__))
    swept(Listening(root), wanted(root, [dense(training_steps="2it")]))
    assert waited == pytest.approx([patience_s])


def test_a_task_that_ends_well_and_leaves_nothing_is_not_believed(root: Path) -> None:
    """The directory is the truth: after three times it has failed."""

    def pretended(task: Task) -> Ended:
        return Ended(task, Outcome.DONE)

    crew = Here(root, deeds={first(dense()): [pretended, pretended]})
    ended = swept(crew, wanted(root, [dense()]))
    assert (len(crew.told), len(ended.done)) == (3, 1)
