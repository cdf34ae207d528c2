"""Damaged, edited, failing: one clear message, nothing half-made that looks complete."""

import json
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from branches.run import state_of
from foundations.description import Description, RunRef
from foundations.errors import DamageError, RunFailedError, UserError
from foundations.run_directory import HPARAMS, Fact, RunDirectory, RunState
from foundations.steps import Step
from foundations.store import Store
from tests.branches.deeds import carry_out, carry_out_on_full_disk
from tests.branches.runs import (
    EXAMPLES,
    SHORT,
    begun,
    contents,
    context,
    dense,
    options,
    pruned,
    run,
)
from tests.foundations.kills import exit_code

WITH_CHECKPOINTS = EXAMPLES["adam, augmented"]


def _killed(root: Path) -> RunDirectory:
    """A run that was killed after its ninth step, with checkpoints of the sixth and the eighth."""
    assert exit_code(carry_out, root, WITH_CHECKPOINTS, 9) < 0
    directory = Store(root).run(WITH_CHECKPOINTS.description, 1)
    assert sorted(path.parent.name for path in directory.path.glob("checkpoint/*/*.json")) == [
        "ep2_it0",
        "ep2_it2",
    ]
    return directory


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("file", ["state.safetensors", "checkpoint.json"])
@pytest.mark.parametrize("damage", [_cut_short, _flipped, Path.unlink])
def test_a_damaged_checkpoint_is_passed_over(
    damage: Callable[[Path], None], file: str, tmp_path: Path
) -> None:
    """The one before is used, and the run ends with the bytes of an undisturbed one."""
    directory = _killed(tmp_path / "killed")
    damage(directory.path / "checkpoint/ep2_it2" / file)
    run(tmp_path / "killed", WITH_CHECKPOINTS.description, WITH_CHECKPOINTS.options)
    run(tmp_path / "undisturbed", WITH_CHECKPOINTS.description, WITH_CHECKPOINTS.options)
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


def test_two_damaged_checkpoints_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    """The run is not begun anew without a word; once they are deleted, as it says, it is."""
    root, example = tmp_path / "killed", WITH_CHECKPOINTS
    directory = _killed(root)
    for path in (directory.path / "checkpoint").glob("*/state.safetensors"):
        _cut_short(path)
    before = contents(root)
    with pytest.raises(DamageError, match=r"ep2_it2.*ep2_it0.*Delete .*checkpoint to train"):
        run(root, example.description, example.options)
    assert contents(root) == before
    assert directory.state is RunState.INTERRUPTED
    shutil.rmtree(directory.path / "checkpoint")
    run(root, example.description, example.options)
    run(tmp_path / "undisturbed", example.description, example.options)
    assert contents(root) == contents(tmp_path / "undisturbed")


def test_an_edited_description_is_refused_with_the_difference(tmp_path: Path) -> None:
    """For a run that is done as for a parent; nothing is changed."""
    directory = run(tmp_path / "a", dense())
    path = directory.path / HPARAMS
    stored = json.loads(path.read_text())
    stored["training"]["lr"] = 0.2
    path.write_text(json.dumps(stored))
    before = contents(tmp_path / "a")
    for description in (dense(), pruned()):
        with pytest.raises(UserError, match=r"training\.lr: 0\.2 in the directory, 0\.1 asked for"):
            run(tmp_path / "a", description)
    after = contents(tmp_path / "a")
    assert {name: after[name] for name in before} == before
    assert not Store(tmp_path / "a").run(pruned(), 1).done()


@pytest.mark.parametrize("damage", [_cut_short, _flipped, Path.unlink])
def test_a_damaged_state_of_a_parent_is_named(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    """The branch is not begun; nothing of it looks complete."""
    parent = run(tmp_path / "a", dense())
    damage(parent.path / "states/ep0_it0/model.safetensors")
    with pytest.raises(DamageError, match=r"states/ep0_it0/model\.safetensors is"):
        run(tmp_path / "a", pruned())
    branch = Store(tmp_path / "a").run(pruned(), 1)
    assert branch.fact(Fact.START) is None
    assert branch.state is RunState.NEW
    assert parent.state is RunState.DONE


def test_a_damaged_first_state_is_named(tmp_path: Path) -> None:
    """A run that waits does not go on from something else than it began with."""
    state_of(RunRef(dense(), step=Step()), 1, context(tmp_path / "a"))
    directory = Store(tmp_path / "a").run(dense(), 1)
    _flipped(directory.path / "states/ep0_it0/model.safetensors")
    with pytest.raises(DamageError, match=r"states/ep0_it0/model\.safetensors is damaged"):
        run(tmp_path / "a", dense())
    assert directory.done() is None


@pytest.mark.parametrize("description", [dense(lr=1e38), pruned(dense(lr=1e38))])
@pytest.mark.parametrize("every", ["1it", "1ep", "100ep"])
def test_a_loss_that_is_not_finite_fails_the_run(
    description: Description, every: str, tmp_path: Path
) -> None:
    """With the step, and with the last good checkpoint kept; the same again fails the same."""
    recorded = options(checkpoint_every=every)
    messages = set()
    for _ in range(2):
        with pytest.raises(RunFailedError, match=r"finite|nan|inf") as raised:
            run(tmp_path / "a", description, recorded)
        messages.add(str(raised.value))
        directory = Store(tmp_path / "a").run(description, 1)
        assert directory.state is RunState.FAILED
        reason = directory.fact(Fact.FAILED)["reason"]
        assert str(raised.value).startswith(f"{directory.name} replicate 1 failed. {reason} ")
        assert "iteration" in str(raised.value)
        assert directory.done() is None
        for path in directory.path.glob("checkpoint/*"):
            assert path.name == "ep0_it1"
    assert len(messages) == 1
    assert raised.value.exit_code == 1


def test_the_checkpoint_before_a_failure_is_good(tmp_path: Path) -> None:
    """A rate that grows from nothing: the steps before the failure are kept, and are finite."""
    description = dense(lr=1e38, warmup_steps="12it")
    with pytest.raises(RunFailedError):
        run(tmp_path / "a", description, options(checkpoint_every="1it"))
    directory = Store(tmp_path / "a").run(description, 1)
    checkpoint = directory.latest_checkpoint(pytest.fail)
    assert checkpoint is not None
    assert checkpoint.step.iterations(3) >= 1
    assert all(value.isfinite().all() for value in checkpoint.tensors.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_a_disk_that_is_full_at_any_moment_loses_nothing(name: str, tmp_path: Path) -> None:
    """One message that says so; nothing half-written looks complete; later the run goes on."""
    example = SHORT[name]
    base = tmp_path / "base"
    begun(base, example)
    shutil.copytree(base, tmp_path / "undisturbed")
    run(tmp_path / "undisturbed", example.description, example.options)
    expected = contents(tmp_path / "undisturbed")
    for change in count(1):
        root = tmp_path / str(change)
        shutil.copytree(base, root)
        code = exit_code(carry_out_on_full_disk, root, example, change)
        if code == 0:
            break
        message = root.with_name(f"{root.name}.message").read_text()
        assert "No space left on device" in message, change
        assert code in {1, 2}
        for found in Store(root).runs():
            found.verify()
            assert found.state is not RunState.DONE or change > 30
        run(root, example.description, example.options)
        assert contents(root) == expected, change
    assert change > 30
