"""Runs that were edited or copied by hand, as the commands tell of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from commands.notebook import open_run
from foundations.errors import DamageError, UserError
from tests.commands.conftest import BRANCH, DENSE, PRUNED, TRAIN

if TYPE_CHECKING:
    from tests.commands.conftest import Cli


def _edit(done: Path) -> None:
    """Another learning rate in the description of the dense run."""
    path = done / DENSE / "replicate_1" / "hparams.json"
    data = json.loads(path.read_text())
    data["training"]["lr"] = 0.25
    path.write_text(json.dumps(data))


def _states(cli: Cli) -> dict[tuple[str, str], str]:
    """What ``ls`` says of each run and replicate."""
    told = cli("ls")
    assert told.code == 0
    return {(row[0], row[1]): row[2] for row in told.rows[1:-1]}


def test_an_edited_description_is_believed_by_no_command(cli: Cli, done: Path) -> None:
    """Each names the directory and what to do; nothing is planned from it."""
    _edit(done)
    assert _states(cli) == {(DENSE, "1"): "damaged", (PRUNED, "1"): "done"}
    for words in (("show", DENSE), ("branch", DENSE, "oneshot", "--dry_run"), TRAIN):
        told = cli(*words)
        assert told.code == 2
        assert "holds another run than its name says" in told.err
        assert "Move the directory away" in told.err
    with pytest.raises(UserError, match="holds another run"):
        open_run(DENSE)


def test_a_run_under_another_name_is_no_second_run(cli: Cli, done: Path) -> None:
    """It is listed as damaged, and the true one as done."""
    other = DENSE[:-4] + "0000"
    shutil.copytree(done / DENSE, done / other)
    assert _states(cli)[other, "1"] == "damaged"
    assert _states(cli)[DENSE, "1"] == "done"
    assert cli("show", other).code == 2


def test_a_copied_replicate_is_no_second_replicate(cli: Cli, done: Path) -> None:
    """It would be taken for another seed's result."""
    shutil.copytree(done / DENSE / "replicate_1", done / DENSE / "replicate_2")
    assert _states(cli)[DENSE, "2"] == "damaged"
    told = cli(*TRAIN, "--replicate=2")
    assert told.code == 1
    assert "of replicate 1" in told.err
    assert "Move the directory away" in told.err


def test_a_done_run_without_its_description_is_listed(cli: Cli, done: Path) -> None:
    """As damaged, and shown as such."""
    (done / DENSE / "replicate_1" / "hparams.json").unlink()
    assert _states(cli)[DENSE, "1"] == "damaged"
    told = cli("show", DENSE)
    assert told.code == 1
    assert "hparams.json is missing" in told.err
    with pytest.raises(DamageError, match=r"hparams\.json is missing"):
        open_run(DENSE)


def test_a_table_that_changed_since_the_seal_is_not_shown(cli: Cli, done: Path) -> None:
    """A number that nobody measured."""
    path = done / DENSE / "replicate_1" / "metrics.csv"
    path.write_text(path.read_text() + "46,2,test,accuracy,0.99\n")
    told = cli("show", DENSE)
    assert told.code == 1
    assert f"{path} is damaged" in told.err


@pytest.mark.parametrize("name", ["start", "sparsity", "failed", "done"])
@pytest.mark.parametrize("text", ["5", "{}", "null", "[1]", "{"])
def test_wrong_json_is_a_message(cli: Cli, done: Path, name: str, text: str) -> None:
    """Of ``show`` as of ``train``, where they read it; ``ls`` lists all the same."""
    path = done / DENSE / "replicate_1" / f"{name}.json"
    path.write_text(text)
    _states(cli)
    told = [cli("show", DENSE), cli(*TRAIN, "--quiet")]
    assert f"{path} is damaged" in "".join(one.err for one in told)
    assert all(one.code in {0, 1} and "Traceback" not in one.err for one in told)


@pytest.mark.parametrize("text", ["5", "{}", "null", "{"])
def test_a_damaged_record_stops_nobody(cli: Cli, done: Path, text: str) -> None:
    """``show`` says it; a branch is made, and an unfinished run goes on, with a new record."""
    path = done / DENSE / "replicate_1" / "provenance.json"
    path.write_text(text)
    assert _states(cli)[DENSE, "1"] == "done"
    told = cli("show", DENSE)
    assert told.code == 0
    assert f"{path} is damaged" in told.out
    assert cli(*BRANCH).code == 0
    (path.parent / "done.json").unlink()
    told = cli(*TRAIN)
    assert told.code == 0
    assert (told.out + told.err).count("provenance.json is damaged") == 1
    assert len(json.loads(path.read_text())["sessions"]) == 1


def test_files_that_vanish_while_they_are_listed(
    cli: Cli, done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that trains removes old checkpoints; ``show`` leaves out what is gone."""
    folder = done / DENSE / "replicate_1" / "checkpoint"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).touch()
    is_file = Path.is_file

    def vanishing(path: Path) -> bool:
        found = is_file(path)
        if path.parent == folder:
            shutil.rmtree(folder, ignore_errors=True)
        return found

    monkeypatch.setattr(Path, "is_file", vanishing)
    told = cli("show", DENSE)
    assert told.code == 0
    assert not folder.exists()
    assert "checkpoint/" not in told.out
    assert "  done.json  " in told.out
