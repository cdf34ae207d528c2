"""Runs are found by what lies on the disk, and by as much of a name as is needed."""

from pathlib import Path

import pytest

from foundations.errors import UserError
from foundations.run_directory import RunDirectory
from foundations.store import Store
from tests.foundations.examples import KINDS, TrainExample, TrainingExample, three_deep

DENSE, FAST = TrainExample(), TrainExample(training=TrainingExample(lr=1))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two replicates of a dense run, a fast one, and a branch."""
    store = Store(tmp_path)
    for description, replicate in ((DENSE, 1), (DENSE, 10), (FAST, 1), (three_deep(), 2)):
        store.run(description, replicate).prepare(description, KINDS)
    return store


def test_a_run_has_its_directory(tmp_path: Path) -> None:
    """By its name and its replicate."""
    assert Store(tmp_path).run(DENSE, 3) == RunDirectory(tmp_path / DENSE.name / "replicate_3", 3)


def test_all_runs_are_listed_by_name_and_number(store: Store) -> None:
    """Ten comes after one."""
    found = [(run.name, run.replicate) for run in store.runs()]
    assert found == sorted(
        [(DENSE.name, 1), (DENSE.name, 10), (FAST.name, 1), (three_deep().name, 2)]
    )


def test_what_is_no_run_is_passed_over(store: Store) -> None:
    """Foreign folders, files, half-made directories, and odd spellings."""
    before = store.runs()
    for name in (
        "notes/replicate_1/hparams.json",
        f"{DENSE.name}/replicate_x/hparams.json",
        f"{DENSE.name}/replicate_01/hparams.json",
        f"{DENSE.name}/backup/hparams.json",
        "train_0123456789abcdef/replicate_1/.hparams.json.1.ab.part",
        "file",
    ):
        (store.root / name).parent.mkdir(parents=True, exist_ok=True)
        (store.root / name).write_text("{}")
    assert store.runs() == before


def test_a_root_that_does_not_exist_has_no_runs(tmp_path: Path) -> None:
    """And is not made by looking."""
    assert Store(tmp_path / "nothing").runs() == []
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "root").touch()
    with pytest.raises(UserError, match="root cannot be read"):
        Store(tmp_path / "root").runs()


def test_a_run_is_found_by_name_or_unambiguous_prefix(store: Store) -> None:
    """With the replicate in the name, apart from it, or left out where there is one."""
    dense, name = store.run(DENSE, 10), DENSE.name
    assert store.find(f"{name}/replicate_10") == dense
    assert store.find(f"{name[:9]}/replicate_10/") == dense
    assert store.find(name, 10) == dense
    assert store.find(FAST.name[:9]) == store.run(FAST, 1)
    assert store.find("prune") == store.run(three_deep(), 2)


def test_an_ambiguous_prefix_lists_what_it_could_be(store: Store) -> None:
    """Names as well as replicates."""
    with pytest.raises(UserError, match="any of these") as caught:
        store.find("train_", 1)
    assert f"{DENSE.name}/replicate_1" in str(caught.value)
    assert f"{FAST.name}/replicate_1" in str(caught.value)
    with pytest.raises(UserError, match=r"replicate_1, .*replicate_10"):
        store.find(DENSE.name)


@pytest.mark.parametrize("cut", [9, None])
def test_a_mistyped_name_gets_the_nearest_suggested(store: Store, cut: int | None) -> None:
    """Whole or in part."""
    typed = DENSE.name.replace("train", "trian")[:cut]
    with pytest.raises(UserError, match=f"no run '{typed}'.*Did you mean '{DENSE.name}'"):
        store.find(typed)


@pytest.mark.parametrize("text", ["", "zzzzzzzz", "/"])
def test_a_name_like_no_other_is_refused(store: Store, text: str) -> None:
    """With the way to list them."""
    with pytest.raises(UserError, match="'ls' lists"):
        store.find(text)


def test_in_an_empty_root_there_is_nothing_to_suggest(tmp_path: Path) -> None:
    """The message says so."""
    with pytest.raises(UserError, match="no runs there yet"):
        Store(tmp_path).find("train")


def test_a_replicate_that_is_not_there_is_refused_with_those_that_are(store: Store) -> None:
    """The name was right."""
    with pytest.raises(UserError, match=f"no replicate 4.*{FAST.name}/replicate_1"):
        store.find(FAST.name, 4)
    with pytest.raises(UserError, match="no replicate 4"):
        store.find(f"{FAST.name}/replicate_4")
    with pytest.raises(UserError, match="write a name"):
        store.find(f"{FAST.name}/4")
