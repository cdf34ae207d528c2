"""Parents run only as far as they are needed; states that were not saved are made again."""

import dataclasses
from pathlib import Path

import pytest

from branches.claiming import ask_for
from branches.opened import Run
from branches.run import Job, complete, state_of
from commands.progress import Silent
from foundations.description import Description, RunRef
from foundations.errors import DamageError, UserError
from foundations.files import sha256_of
from foundations.run_directory import DIGESTS, DONE, RunDirectory, RunState
from foundations.steps import Step
from foundations.store import Store
from foundations.tensors import digest
from tests.branches.runs import DECAYED, contents, context, dense, options, pruned, run
from training import engine
from training.schedules import learning_rate


def _parent(root: Path) -> RunDirectory:
    return Store(root).find("train")


def test_a_parent_that_is_pruned_at_initialization_is_not_trained(tmp_path: Path) -> None:
    """It has its first state, waits, and later goes on to the bytes of a run of its own."""
    run(tmp_path / "branched", pruned())
    parent = _parent(tmp_path / "branched")
    assert parent.state is RunState.INTERRUPTED
    assert parent.states() == [Step()]
    assert [row.iteration for row in parent.digests()] == [0]
    run(tmp_path / "branched", dense())
    run(tmp_path / "own", dense())
    found = contents(tmp_path / "branched")
    own = {path: data for path, data in found.items() if path.startswith("train_")}
    assert own == contents(tmp_path / "own")


def test_a_parent_is_trained_to_the_last_state_that_is_needed(tmp_path: Path) -> None:
    """Not a step further; and the branch trains on from that state."""
    branch = run(tmp_path / "a", pruned(dense(**DECAYED), prune_step="4it", state_step="2it"))
    parent = _parent(tmp_path / "a")
    assert parent.state is RunState.INTERRUPTED
    assert parent.states() == [Step(0, 0), Step(0, 2), Step(1, 1)]
    assert parent.states(replayed=True) == []
    assert max(row.iteration for row in parent.digests()) == 3
    mask = branch.load_state(Step()).mask
    assert mask is not None
    before = parent.load_state(Step(0, 2)).model
    after = branch.load_state(Step()).model
    survivors = after["fc.weight"] != 0
    assert 0 < survivors.sum() < survivors.numel()
    assert (after["fc.weight"] == before["fc.weight"] * survivors).all()


@pytest.mark.parametrize("description", [dense(**DECAYED), pruned(dense(**DECAYED))])
def test_a_state_that_was_not_saved_is_made_again(description: Description, tmp_path: Path) -> None:
    """In ``replayed/``, bit for bit as of a run that saved it; the run stays as it was."""
    saved = run(tmp_path / "saved", description, options(weight_save_steps="4it,6it"))
    run(tmp_path / "unsaved", description)
    before = contents(tmp_path / "unsaved")
    state_of(RunRef(description, step=Step(0, 4)), 1, context(tmp_path / "unsaved"))
    directory = Store(tmp_path / "unsaved").run(description, 1)
    assert directory.states(replayed=True) == [Step(1, 1)]
    after = contents(tmp_path / "unsaved")
    assert {path: after[path] for path in before} == before
    for file in (saved.path / "states/ep1_it1").iterdir():
        assert (directory.path / "replayed/ep1_it1" / file.name).read_bytes() == file.read_bytes()


def test_a_state_behind_a_waiting_run_is_made_again(tmp_path: Path) -> None:
    """The run waits at the fifth step; the second was not saved."""
    place = context(tmp_path / "a")
    state_of(RunRef(dense(), step=Step(0, 5)), 1, place)
    state = state_of(RunRef(dense(), step=Step(0, 2)), 1, place)
    parent = _parent(tmp_path / "a")
    assert parent.states(replayed=True) == [Step(0, 2)]
    fresh = state_of(RunRef(dense(), step=Step(0, 2)), 1, context(tmp_path / "b"))
    assert digest(state.weights) == digest(fresh.weights)


def test_a_replay_that_differs_from_the_recorded_digests_is_an_error(tmp_path: Path) -> None:
    """It names both fingerprints, and no state is left."""
    directory = run(tmp_path / "a", dense())
    path = directory.path / DIGESTS
    lines = path.read_text().splitlines()
    lines[3] = lines[3][:-1] + ("0" if lines[3][-1] != "0" else "1")
    was = sha256_of(path)
    path.write_text("\n".join(lines) + "\n")
    seal = directory.path / DONE  # which tells of a table that was edited afterwards
    seal.write_text(seal.read_text().replace(was, sha256_of(path)))
    with pytest.raises(DamageError, match=r"iteration 6 .*The run: torch .*Now: torch .*tampered"):
        state_of(RunRef(dense(), step=Step(0, 4)), 1, context(tmp_path / "a"))
    assert directory.states(replayed=True) == []


def test_a_replay_by_other_code_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learning rate that is a millionth higher is found out."""
    directory = run(tmp_path / "a", dense())
    monkeypatch.setattr(engine, "learning_rate", lambda *a: learning_rate(*a) * (1 + 1e-6))
    with pytest.raises(DamageError, match="gave other weights at iteration 3"):
        state_of(RunRef(dense(), step=Step(0, 2)), 1, context(tmp_path / "a"))
    assert directory.states(replayed=True) == []


@pytest.mark.parametrize(
    "hparams",
    [
        {"prune_step": "13it"},
        {"state_step": "5ep"},
        {"prune_step": "3it", "state_step": "5ep"},
        {"start_step": "13it"},
    ],
)
def test_a_step_past_the_end_of_the_parent_is_refused(
    hparams: dict[str, str], tmp_path: Path
) -> None:
    """Before anything is trained, and with the end in the message."""
    with pytest.raises(UserError, match=r"(at|to) 4ep"):
        run(tmp_path / "a", pruned(None, **hparams))
    assert all(
        row.iteration == 0 for found in Store(tmp_path / "a").runs() for row in found.digests()
    )
    assert RunState.DONE not in {found.state for found in Store(tmp_path / "a").runs()}


def test_a_save_step_past_the_end_is_refused(tmp_path: Path) -> None:
    """Before anything is trained."""
    with pytest.raises(UserError, match="13it"):
        run(tmp_path / "a", dense(), options(weight_save_steps="13it"))
    assert Store(tmp_path / "a").runs() == []


def test_a_branch_of_a_branch_prunes_what_is_left(tmp_path: Path) -> None:
    """The second mask lies within the first, and cuts its fraction of what that kept."""
    first = pruned(prune_fraction=0.5)
    second = pruned(first, prune_fraction=0.5, strategy="random")
    inner = Run(run(tmp_path / "a", second), tmp_path / "data").mask()
    outer = Run(Store(tmp_path / "a").run(first, 1), tmp_path / "data").mask("0ep")
    assert outer.kept == outer.total // 2
    assert inner.kept == outer.kept // 2
    assert all((inner[name] <= outer[name]).all() for name in outer)


def test_the_parent_of_a_branch_is_the_replicate_of_its_own(tmp_path: Path) -> None:
    """Replicate 2 of a branch begins from replicate 2 of its parent."""
    run(tmp_path / "a", pruned(), replicate=2)
    assert {found.replicate for found in Store(tmp_path / "a").runs()} == {2}


def test_a_state_that_somebody_waits_for_is_saved_on_the_way(tmp_path: Path) -> None:
    """Whoever waits leaves word, and need not wait for the end of the run."""
    asked = context(tmp_path / "asked")
    state_of(RunRef(dense(), step=Step()), 1, asked)
    parent = _parent(tmp_path / "asked")
    ask_for(parent, [Step(0, 5)])
    seen: list[bool] = []
    watching = dataclasses.replace(asked, reporter=_Watching(parent, Step(1, 2), seen))
    complete(Job(dense(), 1), watching)
    assert seen[:6] == [False] * 5 + [True]
    assert parent.asked_for() == []
    told = run(tmp_path / "told", dense(), options(weight_save_steps="5it"))
    for step in told.states():
        assert digest(parent.load_state(step).model) == digest(told.load_state(step).model)


class _Watching(Silent):
    """Notes after each update whether a state is there, as of before the next one."""

    def __init__(self, run: RunDirectory, step: Step, seen: list[bool]) -> None:
        self._run, self._step, self._seen = run, step, seen

    def step(self, iteration: int, loss: object) -> None:  # noqa: ARG002 - the interface's
        self._seen.append(self._step in self._run.states())
