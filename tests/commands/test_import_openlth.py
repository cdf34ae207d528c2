"""``import-openlth DIR``: what OpenLTH trained can be read here, and never passes for our own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import torch

import open_prune
from foundations.claims import Claim
from foundations.errors import UserError
from tests.reports.openlth_folder import PER_EPOCH, hashed, mask, results, weights

if TYPE_CHECKING:
    from pathlib import Path

    from branches.opened import Run
    from tests.commands.conftest import Cli
    from tests.reports.openlth_folder import Folder

TRAIN, LOTTERY = hashed("train"), hashed("lottery")
ONESHOT = f"{TRAIN}/{hashed('train_branch_oneshot_experiments')}"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A results folder; one of its runs is broken off."""
    return results(tmp_path / "openlth")


@pytest.fixture
def imported(cli: Cli, folder: Folder) -> dict[str, Run]:
    """The runs here by their names there, of replicate 1."""
    told = cli("import-openlth", str(folder.path))
    assert told.code == 1
    lines = [line.split() for line in told.out.splitlines() if line.startswith("imported: ")]
    return {words[1]: open_prune.open_run(words[-1]) for words in lines}


def test_all_is_as_it_was_saved(imported: dict[str, Run]) -> None:
    """States to the bit, with zeros where the mask cuts; metrics; hyperparameters; lineage."""
    run = imported[TRAIN]
    assert run.name.startswith("openlth_")
    assert run.state.value == "done"
    assert list(map(str, run.steps)) == ["0ep", "1ep", "2ep"]
    for step, seed in (("0ep", 1), ("1ep", 11), ("2ep", 20)):
        own = weights(seed)
        assert all(torch.equal(run.weights(step)[name], own[name]) for name in own)
    assert [tuple(row) for row in run.metrics] == [
        (0, 0, "test", "loss", 2.5),
        (0, 0, "test", "accuracy", 0.1),
        (2 * PER_EPOCH, 2, "test", "accuracy", 0.75),
    ]
    recipe = run.recipe
    assert (recipe.model.model_name, recipe.model.model_init) == ("mnist_lenet_8", "scaled_normal")
    assert (recipe.training.lr, str(recipe.training.milestone_steps[0])) == (0.1, "1ep")
    assert run.mask().density == 1
    level = imported[f"{LOTTERY}/level_2"]
    assert level.name.startswith("openlth_pruned_")
    keep = mask(6, 0.75, within=mask(5, 0.75))["fc_layers.0.weight"].bool()
    assert torch.equal(level.mask()["fc_layers.0.weight"], keep)
    assert torch.equal(
        level.weights()["fc_layers.0.weight"], weights(42)["fc_layers.0.weight"] * keep
    )
    assert level.accuracy == 0.7
    assert list(map(str, level.steps)) == ["5it", "2ep"]
    drawn = imported[f"{LOTTERY}/level_1/{hashed('lottery_branch_randomly_reinitialize')}"]
    assert torch.equal(drawn.weights("0ep")["fc.weight"], weights(50)["fc.weight"])
    assert level.model()(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


def test_lineage(imported: dict[str, Run]) -> None:
    """Levels come from the level before, branches from their level; a retraining has its recipe."""
    parents = {
        f"{LOTTERY}/level_0": f"{LOTTERY}/level_pretrain",
        f"{LOTTERY}/level_1": f"{LOTTERY}/level_0",
        f"{LOTTERY}/level_2": f"{LOTTERY}/level_1",
        f"{LOTTERY}/level_1/{hashed('lottery_branch_randomly_reinitialize')}": f"{LOTTERY}/level_1",
        f"{LOTTERY}/level_0/{hashed('lottery_branch_retrain')}": f"{LOTTERY}/level_0",
        ONESHOT: TRAIN,
    }
    for name, parent in parents.items():
        above = imported[name].description.runs()[0].description
        assert above.name == imported[parent].name, name
    assert imported.keys() == {*parents, f"{LOTTERY}/level_pretrain", TRAIN}
    retrained = imported[f"{LOTTERY}/level_0/{hashed('lottery_branch_retrain')}"]
    assert retrained.recipe.training.optimizer_name == "adam"
    assert retrained.name.startswith("openlth_branch_")
    pretrained = imported[f"{LOTTERY}/level_pretrain"].recipe.training
    assert (str(pretrained.training_steps), str(pretrained.milestone_steps[0])) == ("5it", "3it")


def test_commands_read_them(cli: Cli, imported: dict[str, Run]) -> None:
    """``ls`` says what they are called there; ``show``, ``eval`` and the data frame work."""
    listed = cli("ls", "--tree").out
    assert f"OpenLTH's {LOTTERY}/level_2" in listed
    assert listed.count("done") == len(imported)
    level = imported[f"{LOTTERY}/level_1"].name
    shown = cli("show", level)
    assert "last test accuracy 60.00 %" in shown.out
    assert cli("eval", level, "--threads=1").code == 0
    frame = open_prune.frame()
    row = frame[frame.name == level].iloc[0]
    assert (row["kind"], row["parent"]) == ("openlth_pruned", imported[f"{LOTTERY}/level_0"].name)
    assert row["test accuracy"] == 0.6


def test_branches_grow_on_them(cli: Cli, imported: dict[str, Run]) -> None:
    """Their states are pruned, rewound and shuffled as those of runs of our own are."""
    level = imported[f"{LOTTERY}/level_1"]
    told = cli("branch", level.name, "shuffle", "--threads=1", "--quiet")
    assert told.code == 0, told.err
    run = open_prune.open_run(told.rows[-2][0])
    first, dense = run.weights("5it"), weights(31)
    keep = run.mask()["fc_layers.0.weight"]
    assert int(keep.sum()) == int(level.mask()["fc_layers.0.weight"].sum())
    assert torch.equal(first["fc_layers.0.weight"], dense["fc_layers.0.weight"] * keep)
    assert run.mask()["fc.weight"].all()
    told = cli("branch", imported[TRAIN].name, "oneshot", "--prune_step=2ep", "--threads=1")
    assert told.code == 0, told.err


def test_they_are_not_trained_here(cli: Cli, imported: dict[str, Run]) -> None:
    """A state that was not saved, or another replicate, is refused; nothing is left of it."""
    run = imported[TRAIN]
    before = sorted(run.path.parent.parent.rglob("*"))
    told = cli("branch", run.name, "oneshot", "--prune_step=1it", "--threads=1")
    assert told.code == 2
    assert "cannot be trained on or again here" in told.err
    assert "0ep, 1ep, 2ep" in told.err
    told = cli("branch", run.name, "oneshot", "--replicate=2", "--threads=1")
    assert "its replicate 2 is not here" in told.err
    with pytest.raises(UserError, match="trained by OpenLTH"):
        open_prune.run(run.description, 3, quiet=True)
    assert sorted(run.path.parent.parent.rglob("*")) == before


def test_the_same_command_does_nothing(cli: Cli, folder: Folder, imported: dict[str, Run]) -> None:
    """What is there is said to be; what was broken off says where, and is taken when complete."""
    root = next(iter(imported.values())).path.parent.parent
    files = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    told = cli("import-openlth", str(folder.path))
    assert told.code == 1
    assert f"0 imported, {len(imported)} already there, 1 refused" in told.out
    assert f"{TRAIN} replicate 2: it is incomplete: its last state is at 1ep" in told.err
    assert {path: path.stat().st_mtime_ns for path in files} == files
    folder.state(f"{TRAIN}/replicate_2/main", "ep2_it0", weights(22))
    moved = folder.path.rename(folder.path.with_name("moved"))
    told = cli("import-openlth", str(moved / TRAIN))
    assert (told.code, told.err) == (0, "")
    assert "1 imported, 2 already there, 0 refused" in told.out
    assert told.out.splitlines()[-2].endswith("/replicate_2")


def test_replicates_share_their_names(cli: Cli, folder: Folder, imported: dict[str, Run]) -> None:
    """Means are taken over them, and branches grow on each; each has the weights that it had."""
    folder.state(f"{TRAIN}/replicate_2/main", "ep2_it0", weights(22))
    folder.logger(f"{TRAIN}/replicate_2/main", "test_accuracy,46,0.25")
    assert cli("import-openlth", str(folder.path), "--quiet").code == 0
    name = imported[TRAIN].name
    second = open_prune.open_run(name, 2)
    assert torch.equal(second.weights("2ep")["fc.weight"], weights(22)["fc.weight"])
    table = open_prune.frame()
    assert table[table.name == name]["test accuracy"].mean() == 0.5
    told = cli("branch", name, "oneshot", "--prune_step=2ep", "--replicates=1-2", "--threads=1")
    assert told.code == 0, told.err
    grown = told.rows[-2][0]
    for number, seed in ((1, 1), (2, 2)):
        run = open_prune.open_run(grown, number)
        start, keep = run.weights(run.steps[0])["fc.weight"], run.mask()["fc.weight"]
        assert torch.equal(start, weights(seed)["fc.weight"] * keep)


def test_another_training_of_the_same_recipe(
    cli: Cli, folder: Folder, imported: dict[str, Run]
) -> None:
    """It is called the same there: it is never taken for the first one, and can have a series."""
    run = imported[TRAIN]
    seal = (run.path / "done.json").read_bytes()
    folder.state(f"{TRAIN}/replicate_1/main", "ep2_it0", weights(77))
    told = cli("import-openlth", str(folder.path / TRAIN))
    assert told.code == 1
    assert f"{run.name}/replicate_1 was imported from {folder.path / TRAIN}" in told.err
    assert "with other states, mask or measurements" in told.err
    assert (run.path / "done.json").read_bytes() == seal
    told = cli("import-openlth", str(folder.path / TRAIN), "--series=second")
    assert "2 imported, 0 already there, 1 refused" in told.out
    listed = cli("ls").out
    assert f"OpenLTH's {TRAIN} of second" in listed
    assert f"OpenLTH's {ONESHOT} of second" in listed


def test_a_broken_off_import_of_another_training(
    cli: Cli, folder: Folder, imported: dict[str, Run]
) -> None:
    """It is not completed with what belongs to another run."""
    run = imported[TRAIN]
    (run.path / "done.json").unlink()
    folder.state(f"{TRAIN}/replicate_1/main", "ep2_it0", weights(77))
    assert "with other states" in cli("import-openlth", str(folder.path / TRAIN)).err
    assert run.state.value == "interrupted"


def test_another_process_imports_the_same(
    cli: Cli, folder: Folder, imported: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, so that what began from its run is imported too."""
    run = imported[f"{LOTTERY}/level_1"]
    seal = (run.path / "done.json").read_bytes()
    (run.path / "done.json").unlink()
    holder = Claim.acquire(run.path) or pytest.fail("it is free")
    sleep = time.sleep
    waited: list[float] = []

    def other_is_ready(seconds: float) -> None:
        if not waited:
            (run.path / "done.json").write_bytes(seal)
            holder.release()
        waited.append(seconds)
        sleep(0)

    monkeypatch.setattr("reports.openlth.importing.time.sleep", other_is_ready)
    told = cli("import-openlth", str(folder.path))
    assert waited
    assert f"0 imported, {len(imported)} already there, 1 refused" in told.out
    run.directory.verify()


def test_an_import_that_was_broken_off(cli: Cli, folder: Folder, imported: dict[str, Run]) -> None:
    """It is made whole by the same command, to the same bytes."""
    run = imported[f"{LOTTERY}/level_1"]
    seal = run.path / "done.json"
    before = seal.read_bytes()
    seal.unlink()
    (run.path / "metrics.csv").unlink()
    (run.path / "states/ep2_it0/state.json").unlink()
    told = cli("import-openlth", str(folder.path))
    assert f"1 imported, {len(imported) - 1} already there, 1 refused" in told.out
    assert seal.read_bytes() == before
    run.directory.verify()


def test_what_cannot_be_understood(cli: Cli, folder: Folder) -> None:
    """Each is named with its file and its reason, and the others are imported."""
    log = folder.path / TRAIN / "replicate_1/main/hparams.log"
    log.write_text(log.read_text().replace("gamma", "gammma"))
    lottery = folder.path / LOTTERY / "replicate_1"
    (lottery / "level_1/main/model_ep2_it0.pth").write_bytes(b"PK\x03\x04 cut short")
    (lottery / f"level_0/{hashed('lottery_branch_retrain')}/hparams.log").unlink()
    told = cli("import-openlth", str(folder.path), "--quiet")
    assert told.code == 1
    assert told.out == "2 imported, 0 already there, 7 refused\n"
    assert f"{log} cannot be understood: there is no gammma (0.1) here." in told.err
    assert "model_ep2_it0.pth is no file of weights" in told.err
    assert f"what it began from was refused: {LOTTERY}/level_1." in told.err
    assert "hparams.log is missing: what was trained is not known" in told.err
    assert f"what it began from was refused: {TRAIN}." in told.err


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("    * lr => quick", "lr => quick"),
        ("    * training_steps => soon", "training_steps: 'soon' is not a step"),
        ("Something else", "'Something else'"),
        ("    * do_not_augment => yes", "there is no do_not_augment (yes) here"),
    ],
)
def test_a_log_that_says_something_else(cli: Cli, folder: Folder, line: str, reason: str) -> None:
    """The message names the file and the line."""
    log = folder.path / TRAIN / "replicate_1/main/hparams.log"
    log.write_text(f"{log.read_text()}\n{line}")
    told = cli("import-openlth", str(folder.path / TRAIN))
    assert told.code == 1
    assert f"{log} cannot be understood: {reason}" in told.err


def test_other_networks_and_masks_that_disagree(cli: Cli, folder: Folder) -> None:
    """Shapes, counts and rows are checked against each other."""
    main = folder.path / TRAIN / "replicate_1/main"
    log = main / "hparams.log"
    log.write_text(log.read_text().replace("lenet_8", "lenet_9"))
    (folder.path / LOTTERY / "replicate_1/level_2/main/sparsity_report.json").write_text("{}")
    (folder.path / LOTTERY / "replicate_1/level_1/main/logger").write_text("test_accuracy;46")
    told = cli("import-openlth", str(folder.path))
    assert "model_ep0_it0.pth: These are not the weights of mnist_lenet_9" in told.err
    assert "fc.weight (10x8, not 10x9)" in told.err
    assert "logger cannot be understood: 'test_accuracy;46'" in told.err
    assert "what it began from was refused" in told.err


def test_no_such_folder(cli: Cli, tmp_path: Path) -> None:
    """And one that holds no results. Files where folders should be are no runs."""
    assert "There is no folder" in cli("import-openlth", str(tmp_path / "none")).err
    assert "is no results folder of OpenLTH" in cli("import-openlth", str(tmp_path)).err
    folder = results(tmp_path / "openlth").path
    (folder / LOTTERY / "replicate_2").touch()
    (folder / LOTTERY / "replicate_1/level_3").touch()
    assert "8 imported, 0 already there, 1 refused" in cli("import-openlth", str(folder)).out
    assert "series='' is not allowed: it is one word" in cli("import-openlth", "--series=").err
    assert "Which folder?" in cli("import-openlth").err
