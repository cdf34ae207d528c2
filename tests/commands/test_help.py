"""The help of every command: its flags, the values of a preset, and nothing heavy imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import open_prune
from branches import KINDS, branches
from commands import COMMANDS
from commands.clean import CleanFlags
from commands.compact import CompactFlags
from commands.diff import DiffFlags
from commands.eval import EvalFlags
from commands.export import ExportFlags
from commands.flags import flag_names
from commands.hparams import CommandFlags, PluginFlags
from commands.import_ import ImportFlags
from commands.import_openlth import OpenLthFlags
from commands.lottery import LevelFlags
from commands.paper import PaperFlags
from commands.report import ReportFlags
from commands.run import RunFlags
from commands.status import StatusFlags
from platforms import PLATFORMS
from training.description import TrainDesc
from training.hparams import RunOptions

if TYPE_CHECKING:
    from tests.commands.conftest import Cli

COMMON = flag_names(CommandFlags) | flag_names(RunOptions) | flag_names(PLATFORMS["local"])
LOTTERY = {
    *COMMON,
    *flag_names(TrainDesc),
    *("--pruning_fraction", "--pruning_strategy", "--pruning_layers_to_ignore", "--pretrain"),
    *("--rewinding_steps", "--rewind", "--pretrain_lr", "--pretrain_dataset_name"),
}
HELPS = [
    (("train",), COMMON | flag_names(TrainDesc)),
    *(
        (("branch", "train", name), COMMON | flag_names(TrainDesc) | flag_names(KINDS[name]))
        for name in branches()
    ),
    *((("branch", "some_run", name), COMMON | flag_names(KINDS[name])) for name in branches()),
    *(
        (("branch", "lottery", name), LOTTERY | flag_names(KINDS[name]) | flag_names(LevelFlags))
        for name in branches()
        if name != "lottery_rewind"  # has flags of the same names
    ),
    (("lottery",), LOTTERY | {"--levels"}),
    (("iterative",), LOTTERY | {"--rounds", "--finetune", "--finetune_lr"}),
    (("import",), COMMON | flag_names(TrainDesc) | flag_names(ImportFlags)),
    (("export",), {*flag_names(ExportFlags), "--root"}),
    (("paper", "lottery"), {*flag_names(PaperFlags), "--root", "--workers"}),
    (("status",), {*flag_names(StatusFlags), "--root"}),
    (("diff",), {*flag_names(DiffFlags), "--root"}),
    (("clean",), {*flag_names(CleanFlags), "--root"}),
    (("import-openlth",), {*flag_names(OpenLthFlags), "--root", "--data_root"}),
    (("sweep",), {*COMMON, "--retry"}),
    (("run",), flag_names(RunFlags) | flag_names(RunOptions) | flag_names(PLATFORMS["local"])),
    (("ls",), {"--tree", "--root"}),
    (("show",), {"--replicate", "--root"}),
    (("report",), {*flag_names(ReportFlags), "--root"}),
    (("eval",), {*flag_names(EvalFlags), "--root", "--device"}),
    (("compact",), {*flag_names(CompactFlags), "--root", "--device"}),
    (("data",), {"--data_root"}),
]


@pytest.mark.parametrize(("words", "flags"), HELPS, ids=[" ".join(words) for words, _ in HELPS])
def test_help_has_every_flag(cli: Cli, words: tuple[str, ...], flags: set[str]) -> None:
    """It exits with 0 and lists each flag of the command."""
    told = cli(*words, "--help")
    assert (told.code, told.err) == (0, "")
    shown = {word.rstrip(",") for word in told.out.split() if word.startswith("--")}
    assert flags | flag_names(PluginFlags) <= shown
    assert cli(*words, "-h").out == told.out


def test_helps_are_those_of_all_commands(cli: Cli) -> None:
    """The tests above leave no command out, and the usage names them all."""
    assert {words[0] for words, _ in HELPS} == set(COMMANDS)
    usage = cli("--help")
    assert usage.code == 0
    assert all(f"\n  {name}" in usage.out for name in COMMANDS)
    assert cli("branch", "--help").code == 0


@pytest.mark.parametrize("words", [("train",), ("branch", "train", "oneshot")], ids=" ".join)
@pytest.mark.parametrize("spelling", ["--default_hparams=", "--default-hparams="])
def test_help_shows_the_values_of_the_preset(
    cli: Cli, words: tuple[str, ...], spelling: str
) -> None:
    """As OpenLTH does: --default_hparams changes what the help says the defaults are."""

    def default_of(flag: str, *more: str) -> str:
        text = " ".join(cli(*words, *more, "--help").out.replace("│", " ").split())
        return text.split(f"--{flag} ")[1].split("(default: ")[1].split(")")[0].strip("'")

    preset = spelling + "cifar_resnet_20"
    assert default_of("dataset_name", preset) == "cifar10"
    assert default_of("training_steps", preset) == "160ep"
    assert default_of("milestone_steps", preset) == "80ep,120ep"
    assert default_of("gamma", preset) == "0.1"
    assert default_of("dataset_name") == "digits"
    assert default_of("training_steps") == "40ep"


def test_a_docstring_is_shown_flush(cli: Cli) -> None:
    """The help begins with the docstring of the branch, without the indentation of the source."""
    lines = cli("branch", "train", "oneshot", "--help").out.splitlines()
    assert "Prune a state of the parent, and train the rest." in lines
    about = lines[lines.index("Prune a state of the parent, and train the rest.") :]
    assert about[2].startswith("The experiment of")


def test_help_imports_nothing_heavy() -> None:
    """Help answers at once: no command's help imports what computes, reads images or draws bars."""
    heavy = ("torch", "torchvision", "numpy", "sklearn", "PIL", "rich", "safetensors")
    code = (
        "import contextlib, io, sys, open_prune\n"
        f"for words in {[list(words) for words, _ in HELPS]}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        assert open_prune.main([*words, '--help']) == 0\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(open_prune.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "[]\n"


def test_a_reader_that_has_enough(root: Path) -> None:
    """``open_prune.py train --help | head -1`` ends quietly."""
    code = (
        "import sys, subprocess; p = subprocess.Popen([sys.executable, 'open_prune.py', 'train', "
        "'--help'], stdout=subprocess.PIPE, stderr=subprocess.PIPE); p.stdout.close();"
        "print(p.stderr.read(), p.wait())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(open_prune.__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "b'' 0\n"
