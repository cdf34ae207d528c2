"""The ``distill`` branch: who teaches, what stays of the student, and going on after a kill."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
import torch

from branches.distill import Distill
from branches.opened import Run
from foundations.description import BranchDesc, RunRef
from foundations.errors import UserError
from foundations.store import Store
from tests.branches.deeds import carry_out
from tests.branches.runs import DECAYED, Example, contents, dense, options, pruned, run
from tests.foundations.kills import exit_code

if TYPE_CHECKING:
    from pathlib import Path

    from foundations.description import Description

WIDER = dense(model_name="digits_lenet_9_8")


def _distill(*teachers: Description, parent: Description | None = None, **flags: Any) -> BranchDesc:
    short: dict[str, Any] = {"distill_training_steps": "7it", "distill_lr": 0.01}
    refs = tuple(map(RunRef, teachers))
    return BranchDesc(parent=parent or pruned(), branch=Distill(teachers=refs, **short | flags))


def _opened(root: Path, description: Description) -> Run:
    return Run(run(root, description), root.parent / "data")


def test_the_student_is_the_parents_end_with_its_mask(tmp_path: Path) -> None:
    """The first state is bit-equal; what is cut stays zero; teachers may be other networks."""
    found = _opened(tmp_path / "a", _distill(dense(), WIDER, pruned(prune_fraction=0.5)))
    parent = Run(Store(tmp_path / "a").run(pruned(), 1), tmp_path / "data")
    first, end = found.weights("0ep"), parent.weights()
    assert all(torch.equal(first[name], value) for name, value in end.items())
    assert found.mask("0ep") == found.mask() == parent.mask()
    for name, keep in found.mask().items():
        assert (found.weights()[name][~keep] == 0).all()
        assert (found.weights()[name][keep] != first[name][keep]).any()


def test_the_recipe_is_that_of_kesi_unless_flags_say_otherwise() -> None:
    """Adam without the parent's momentum, one cycle to .001, 40 epochs; else the parent's."""
    parent = dense(**DECAYED, milestone_steps="2ep", gamma=0.1, warmup_steps="1it")
    training = Distill(teachers=(RunRef(dense()),)).recipe(parent).training
    assert (training.optimizer_name, training.lr, training.momentum) == ("adam", 0.001, 0.0)
    assert (training.lr_schedule, training.milestone_steps) == ("one_cycle", ())
    assert (str(training.training_steps), training.weight_decay) == ("40ep", 5e-4)


def test_the_ensemble_is_measured(tmp_path: Path) -> None:
    """Where training begins; an ensemble of one is as good as that one."""
    found = _opened(tmp_path / "a", _distill(dense()))
    teacher = Run(Store(tmp_path / "a").run(dense(), 1), tmp_path / "data")
    rows = [row for row in found.metrics if row.name == "accuracy of the ensemble"]
    assert [(row.iteration, row.phase) for row in rows] == [(0, "test")]
    assert rows[0].value == pytest.approx(teacher.accuracy, abs=1e-9)


def test_other_teachers_and_losses_give_other_students(tmp_path: Path) -> None:
    """Each of teachers, temperature, mean and the weight of the labels counts."""
    both = (dense(), WIDER)
    students = [
        _distill(dense()),
        _distill(*both),
        _distill(*both, distill_temperature=2.0),
        _distill(*both, distill_mean="examples_and_classes"),
        _distill(*both, distill_cross_entropy=0.5),
    ]
    ends = [_opened(tmp_path / "a", student).weights()["fc.weight"] for student in students]
    assert len({tuple(end.flatten().tolist()) for end in ends}) == len(students)


@pytest.mark.parametrize("augment", [{}, {"augment_crop": 1, "augment_rotation": 10.0}])
def test_a_student_that_is_killed_ends_as_an_undisturbed_one(
    augment: dict[str, Any], tmp_path: Path
) -> None:
    """Byte for byte: the teachers are read again, and see the same augmented images."""
    parent = pruned(dense(training_steps="2it", **augment))
    description = _distill(WIDER, parent, parent=parent)
    example = Example(description, options(checkpoint_every="2it"))
    run(tmp_path / "undisturbed", description, example.options)
    before = 2 + 12  # updates of the parent and of the other teacher
    for update in (before + 1, before + 4):
        root = tmp_path / str(update)
        assert exit_code(carry_out, root, example, update) == -signal.SIGKILL
        begun = Store(root).run(description, 1)
        assert (begun.path / "start.json").exists()
        assert exit_code(carry_out, root, example) == 0
        assert contents(root) == contents(tmp_path / "undisturbed")


def test_a_state_of_the_student_is_made_again(tmp_path: Path) -> None:
    """A replay learns from the same teachers: its digests are checked."""
    description = _distill(WIDER)
    found = _opened(tmp_path / "a", description)
    run(tmp_path / "a", description, options(weight_save_steps="5it"))
    assert len(found.steps) == 3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"teachers": ()}, "Who teaches"),
        ({"distill_temperature": 0.0}, r"distill_temperature=0.0 .* positive"),
        ({"distill_cross_entropy": -1.0}, r"distill_cross_entropy=-1.0"),
        ({"distill_mean": "batch"}, "batch"),
    ],
)
def test_what_makes_no_sense_is_refused(flags: dict[str, Any], message: str) -> None:
    """No teachers, and values out of range."""
    with pytest.raises(UserError, match=message):
        Distill(**{"teachers": (RunRef(dense()),)} | flags)


def test_teachers_who_saw_other_images_are_refused(tmp_path: Path) -> None:
    """They would be shown what they were not trained on."""
    teacher = dense(normalize="half")
    with pytest.raises(UserError, match=r"--normalize=half, and the student is with"):
        run(tmp_path / "a", _distill(teacher))


def test_teachers_are_part_of_the_name() -> None:
    """Their order too: sums in another order are other numbers."""
    names = {
        _distill(*teachers).name for teachers in [(WIDER,), (WIDER, dense()), (dense(), WIDER)]
    }
    assert len(names) == 3
