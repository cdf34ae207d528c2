"""Descriptions have names that last, and survive being written down."""

import dataclasses
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from foundations.description import (
    BranchDesc,
    Description,
    RunRef,
    decode,
    differences,
)
from foundations.errors import DamageError, UserError
from foundations.steps import Step
from tests.foundations.examples import (
    KINDS,
    ModelExample,
    PruneExample,
    RewindExample,
    TrainExample,
    TrainingExample,
    judged,
    three_deep,
)

STEPS = some.builds(Step, some.integers(0, 99), some.integers(0, 99))
TRAIN = some.builds(
    TrainExample,
    model=some.builds(ModelExample, name=some.sampled_from(["lenet", "remade"])),
    training=some.builds(
        TrainingExample, lr=some.floats(0.001, 10), milestones=some.lists(STEPS, max_size=3)
    ),
)


def _branches(parents: some.SearchStrategy[Description]) -> some.SearchStrategy[Description]:
    teachers = some.builds(RunRef, parents, some.none() | some.integers(1, 5), some.none() | STEPS)
    prune = some.builds(
        PruneExample,
        fraction=some.floats(0, 1),
        teacher=some.none() | teachers,
        judges=some.lists(teachers, max_size=2),
    )
    rewind = some.builds(RewindExample, to=STEPS)
    return some.builds(BranchDesc, parent=parents, branch=prune | rewind)


DESCRIPTIONS = some.recursive(TRAIN, _branches, max_leaves=4)


def _through_json(description: Description) -> Description:
    return decode(json.loads(json.dumps(description.to_json_dict())), KINDS)


@given(DESCRIPTIONS)
def test_json_gives_back_the_same_description(description: Description) -> None:
    """Whatever branches on whatever, it is equal, of the same classes, and has the same name."""
    again = _through_json(description)
    assert again == description
    assert again.name == description.name
    assert differences(again, description) == []


def test_three_branches_deep_with_a_teacher_through_json() -> None:
    """Every level is decoded as what it was, the teacher's lineage included."""
    again = _through_json(three_deep())
    assert again == three_deep()
    assert isinstance(again, BranchDesc)
    assert isinstance(again.branch, PruneExample)
    assert again.branch.teacher is not None
    assert again.branch.teacher.description.kind == "prune"
    assert again.branch.teacher.step == Step(0, 7)
    kinds = []
    level: Description = again
    while isinstance(level, BranchDesc):
        kinds.append(level.kind)
        level = level.parent
    assert [*kinds, level.kind] == ["prune", "rewind", "prune", "train"]


def test_a_name_is_the_hash_of_the_canonical_json() -> None:
    """The text that is hashed, spelled out by hand."""
    text = '{"kind":"train","training":{"lr":0.5,"steps":[3,0]}}'
    expected = "train_" + hashlib.sha256(text.encode()).hexdigest()[:16]
    assert TrainExample(training=TrainingExample(lr=0.5, steps=Step(3))).name == expected


def test_a_branch_is_hashed_with_the_name_of_its_parent_and_teacher() -> None:
    """The text that is hashed for a branch, spelled out by hand."""
    dense = TrainExample()
    teacher = RunRef(dense, None, Step(1))
    branch = BranchDesc(parent=dense, branch=PruneExample(teacher=teacher))
    text = (
        '{"branch":{"teacher":{"replicate":null,"run":"DENSE","step":[1,0]}},'
        '"kind":"prune","parent":"DENSE"}'
    ).replace("DENSE", dense.name)
    assert branch.name == "prune_" + hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_branch_is_hashed_with_the_names_of_all_runs_in_a_field() -> None:
    """The text that is hashed, spelled out by hand; the order of the runs counts."""
    dense = TrainExample()
    judges = (RunRef(dense, 1), RunRef(dense, step=Step(0, 5)))
    branch = BranchDesc(parent=dense, branch=PruneExample(judges=judges))
    text = (
        '{"branch":{"judges":[{"replicate":1,"run":"DENSE","step":null},'
        '{"replicate":null,"run":"DENSE","step":[0,5]}]},"kind":"prune","parent":"DENSE"}'
    ).replace("DENSE", dense.name)
    assert branch.name == "prune_" + hashlib.sha256(text.encode()).hexdigest()[:16]
    turned = BranchDesc(parent=dense, branch=PruneExample(judges=judges[::-1]))
    assert turned.name != branch.name
    assert (
        BranchDesc(parent=dense, branch=PruneExample(judges=())).name
        == BranchDesc(parent=dense, branch=PruneExample()).name
    )


def test_three_judges_three_deep_through_json() -> None:
    """Each comes back as what it was, the lineage and the judges of the last included."""
    again = _through_json(judged())
    assert again == judged()
    assert again.name == judged().name
    assert isinstance(again, BranchDesc)
    assert isinstance(again.branch, PruneExample)
    one, two, deep = again.branch.judges
    assert (one.replicate, two.replicate, deep.replicate) == (1, 2, None)
    assert isinstance(deep.description, BranchDesc)
    assert isinstance(deep.description.branch, PruneExample)
    inner = deep.description.branch.judges[0].description
    assert isinstance(inner, BranchDesc)
    assert inner.branch == PruneExample(judges=(RunRef(TrainExample(), 4),))


def test_lineage_names_all_runs_of_a_field() -> None:
    """In the order of the fields, and within a field in its own."""
    branch = judged().branch
    assert isinstance(branch, PruneExample)
    assert branch.refs() == (branch.teacher, *branch.judges)
    assert judged().runs() == (RunRef(judged().parent), branch.teacher, *branch.judges)


def test_differences_say_which_of_several_runs_differs() -> None:
    """By its place in the field."""
    one = judged()
    assert isinstance(one.branch, PruneExample)
    judges = (*one.branch.judges[:1], RunRef(TrainExample(), 5, Step(3)), *one.branch.judges[2:])
    two = BranchDesc(
        parent=one.parent, branch=PruneExample(teacher=one.branch.teacher, judges=judges)
    )
    assert differences(one, two) == ["branch.judges.1.replicate: 2 in the directory, 5 asked for"]
    assert differences(one, one) == []


@pytest.mark.parametrize(
    "bad",
    [{"replicate": 1.5}, {"replicate": True}, {"step": 3}, {"description": "train_0123"}],
    ids=repr,
)
def test_a_reference_that_makes_no_sense_is_refused(bad: dict[str, Any]) -> None:
    """By the name of its part."""
    ((field, value),) = bad.items()
    with pytest.raises(UserError, match=f"{field}={value!r} is not allowed"):
        RunRef(**{"description": TrainExample()} | bad)


def test_a_reference_is_hashed_alike_however_it_is_written() -> None:
    """A replicate of ``2.0`` is 2, and a step may be text."""
    loose = RunRef(TrainExample(), 2.0, "3ep")  # type: ignore[arg-type]
    assert json.dumps(loose.canonical()) == json.dumps(
        RunRef(TrainExample(), 2, Step(3)).canonical()
    )


def test_a_field_of_runs_takes_runs_alone() -> None:
    """A name, or one run where several are meant, is refused."""
    for bad in ("prune_0123", RunRef(TrainExample()), [TrainExample()]):
        with pytest.raises(UserError, match=r"judges=.* must be a list of RunRefs"):
            PruneExample(judges=bad)  # type: ignore[arg-type]


def test_one_hyperparameter_written_in_two_ways_has_one_name() -> None:
    """``1`` and ``1.0``, ``1 - .8**3`` and ``.488``."""
    dense = TrainExample()
    names = {
        BranchDesc(parent=dense, branch=PruneExample(fraction=fraction)).name
        for fraction in (0.488, 1 - 0.8**3)
    }
    assert len(names) == 1
    assert (
        TrainExample(training=TrainingExample(lr=1)).name
        == TrainExample(training=TrainingExample(lr=1.0)).name
    )


@given(DESCRIPTIONS, DESCRIPTIONS)
def test_names_are_equal_where_the_canonical_forms_are(one: Description, two: Description) -> None:
    """Different runs have different names, and what differs can be said."""
    assert (one.name == two.name) == (differences(one, two) == [])


def test_what_decides_nothing_is_not_in_the_name() -> None:
    """The number of workers changes no result."""
    assert TrainExample(training=TrainingExample(workers=8)).name == TrainExample().name


def test_differences_name_the_field_and_both_values() -> None:
    """At any depth of the lineage."""
    one = BranchDesc(parent=TrainExample(), branch=PruneExample())
    two = BranchDesc(
        parent=TrainExample(training=TrainingExample(lr=0.2)), branch=PruneExample(fraction=0.9)
    )
    assert differences(one, two) == [
        "branch.fraction: 0.8 in the directory, 0.9 asked for",
        "parent.training.lr: 0.1 in the directory, 0.2 asked for",
    ]


def test_lineage_names_the_parent_first_then_the_teachers() -> None:
    """What a run needs, in order."""
    deep = three_deep()
    assert isinstance(deep.branch, PruneExample)
    assert deep.runs() == (RunRef(deep.parent), deep.branch.teacher)


def test_absent_fields_are_filled_with_their_defaults() -> None:
    """A description of an older version is read."""
    data = {"kind": "train", "model": {}, "training": {"lr": 0.5}}
    assert decode(data, KINDS) == TrainExample(training=TrainingExample(lr=0.5))


def _newer(data: dict[str, Any]) -> dict[str, Any]:
    data["training"]["invented_later"] = 1
    return data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no 'kind'"),
        ({"model": {}}, "no 'kind'"),
        (_newer(TrainExample().to_json_dict()), "invented_later.*newer version"),
        ({"kind": "train", "later": {}}, "later.*newer version"),
        ({"kind": "train", "model": 3}, "'model' is not a group"),
        ({"kind": "rewind", "parent": {"kind": "train"}, "branch": {}}, "'rewind' lacks to"),
        ({"kind": "prune", "branch": {}}, "no 'kind'"),
    ],
)
def test_what_is_no_description_of_this_version_is_named(data: object, message: str) -> None:
    """Missing kinds, unknown fields and missing ones each have a clear error."""
    with pytest.raises(DamageError, match=message):
        decode(data, KINDS)


def test_an_unknown_kind_gets_the_nearest_suggested() -> None:
    """A mistyped kind is a user's error."""
    with pytest.raises(UserError, match="Did you mean 'prune'"):
        decode({"kind": "prun"}, KINDS)


def test_descriptions_are_values() -> None:
    """They cannot be changed, and equal ones are one key."""
    assert len({three_deep(), three_deep()}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        three_deep().parent = TrainExample()  # type: ignore[misc]
