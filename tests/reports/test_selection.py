"""Names, beginnings of names and single replicates select runs; a wrong name is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foundations.errors import UserError
from foundations.store import Store
from reports.selection import selected

if TYPE_CHECKING:
    from pathlib import Path

DENSE, PRUNED, OTHER = "train_" + "1" * 16, "oneshot_" + "2" * 16, "oneshot_" + "3" * 16


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Five runs of three names, as far as a store can tell."""
    for name, replicates in ((DENSE, (1, 2)), (PRUNED, (1, 10)), (OTHER, (1,))):
        for replicate in replicates:
            directory = tmp_path / name / f"replicate_{replicate}"
            directory.mkdir(parents=True)
            (directory / "hparams.json").touch()
    return Store(tmp_path)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ((), [(PRUNED, 1), (PRUNED, 10), (OTHER, 1), (DENSE, 1), (DENSE, 2)]),
        (("oneshot",), [(PRUNED, 1), (PRUNED, 10), (OTHER, 1)]),
        (("train", "oneshot_2"), [(PRUNED, 1), (PRUNED, 10), (DENSE, 1), (DENSE, 2)]),
        ((f"{PRUNED}/replicate_10", PRUNED[:9]), [(PRUNED, 1), (PRUNED, 10)]),
        (("train_1/replicate_2/",), [(DENSE, 2)]),
    ],
)
def test_words_select_runs(
    store: Store, words: tuple[str, ...], found: list[tuple[str, int]]
) -> None:
    """Each run once, by name and replicate, whichever words name it."""
    assert [(run.name, run.replicate) for run in selected(store, words)] == found


@pytest.mark.parametrize("word", ["oneshit", "train_1/replicate_3", "", "/", "train_1/last"])
def test_a_word_that_names_no_run(store: Store, word: str) -> None:
    """The other words do not make up for it."""
    with pytest.raises(UserError, match=r"run|replicate"):
        selected(store, ["train", word])
