"""Every command of the README does what it says, in the order in which a reader meets it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from open_prune import main

PROJECT = Path(__file__).resolve().parent.parent
README = (PROJECT / "README.md").read_text()
LONG = ("mnist_lenet", "cifar_resnet_20")
"""Presets that train for minutes: their commands are planned, not carried out."""


def commands() -> list[str]:
    """The commands of the README's blocks, in order."""
    return [line for block in blocks("") for line in block.splitlines() if line.strip()]


def files() -> dict[str, str]:
    """The files that the README shows: blocks of Python whose first line is the file's name."""
    named = ((re.match(r"# (\w+\.py)\n", block), block) for block in blocks("python"))
    return {match[1]: block for match, block in named if match}


def blocks(language: str) -> list[str]:
    """The README's blocks in this language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [block for kind, block in found if kind == language]


def make_images(folder: Path) -> None:
    """An image folder of two classes that differ in brightness."""
    draws = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for label, light in (("dark", 40), ("light", 200)):
            (folder / split / label).mkdir(parents=True)
            for number in range(count):
                pixels = draws.integers(light - 30, light + 30, (16, 20, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / label / f"{number}.png")


def make_weights(path: Path) -> None:
    """A state dict of digits_lenet, as other projects save it."""
    from models.lenet import LeNet

    torch.save({"state_dict": LeNet(64, [300, 100], 10).state_dict()}, path)


def run(command: str, root: Path) -> str:
    """Carry a command out in a root of its own, and return what it prints.

    In this process, which has torch imported; but for plugins, which would stay in it.
    """
    for name in ("IMAGES", "WEIGHTS", *files()):
        command = command.replace(name, str(root / name))
    words = command.split()
    assert words[:2] == ["python", "open_prune.py"]
    if any(name in command for name in LONG) and "--help" not in words:
        words.append("--dry_run")
    environ = {"OPEN_PRUNE_ROOT": str(root), "OPEN_PRUNE_DATA": str(root / "data")}
    within = by_itself if "--plugin" in command else in_this_process
    code, out, err = within(words[2:], environ)
    assert code == 0, f"{command}\n{out}\n{err}"
    assert "Traceback" not in err
    return out


def by_itself(words: list[str], environ: dict[str, str]) -> tuple[int, str, str]:
    """The exit code of a process, and what it prints."""
    done = subprocess.run(
        [sys.executable, "open_prune.py", *words],
        cwd=PROJECT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def in_this_process(words: list[str], environ: dict[str, str]) -> tuple[int, str, str]:
    """The same without a process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(PROJECT)
        for name, value in environ.items():
            patch.setenv(name, value)
        with redirect_stdout(out), redirect_stderr(err):
            code = main(words)
    return code, out.getvalue(), err.getvalue()


@pytest.mark.slow
def test_every_command_succeeds(tmp_path: Path) -> None:
    """The README's commands run one after another, and the pictures of their output hold."""
    make_images(tmp_path / "IMAGES")
    make_weights(tmp_path / "WEIGHTS")
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    printed = {
        command: run(command, tmp_path) for command in commands() if not command.startswith("make ")
    }
    assert len(printed) > 20
    table = printed["python open_prune.py branch train oneshot"]
    shown = re.findall(r"^(\w+_[0-9a-f]{16}) .* \(([\d,]+ of [\d,]+)\)", README, re.MULTILINE)
    assert len(shown) == 2
    for name, kept in shown:
        assert name in table
        assert kept in table
    assert "done" in printed["python open_prune.py ls"]


@pytest.mark.slow
def test_the_notebook_example_runs(tmp_path: Path) -> None:
    """The README's Python block runs as it stands."""
    (block,) = set(blocks("python")) - set(files().values())
    environ = os.environ | {"OPEN_PRUNE_ROOT": str(tmp_path), "OPEN_PRUNE_DATA": str(tmp_path)}
    check = (
        "\nassert run.mask().density == 0.1\nassert same.path == run.path\nassert len(curve) == 4\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", block + check],
        cwd=PROJECT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_make_targets_exist() -> None:
    """Each make target of the README is one of the Makefile."""
    targets = [command.split()[1] for command in commands() if command.startswith("make ")]
    assert targets == ["demo", "test"]
    makefile = (PROJECT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in targets)
