"""The source tree keeps the import order, loads no pickle, and parses arguments without torch."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.foundations.source_tree import (
    FOLDERS,
    ROOT,
    against_the_order,
    pickles,
    sources,
)

PICKLE_EXCEPTIONS: dict[str, str] = {
    "training/weight_files.py": "foreign weights are often pickles: weights_only reads tensors",
}
"""Files that may load a pickle, each with the reason."""

HEAVY = ("torch", "torchvision", "sklearn", "PIL", "pandas")


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", sources(*FOLDERS), ids=_id)
def test_a_folder_imports_only_from_those_before_it(path: Path) -> None:
    """Imports inside functions and for types count; places in a registry do not."""
    folder = path.relative_to(ROOT).parts[0]
    assert against_the_order(folder, ast.parse(path.read_text())) == []


@pytest.mark.parametrize("path", [*sources(*FOLDERS, "benchmarks"), *ROOT.glob("*.py")], ids=_id)
def test_nothing_loads_a_pickle(path: Path) -> None:
    """But for the exceptions, which have to be exceptions still."""
    found = pickles(ast.parse(path.read_text()))
    assert bool(found) == (_id(path) in PICKLE_EXCEPTIONS), found


def test_every_exception_is_a_file_that_exists() -> None:
    """A list of exceptions is kept short."""
    assert all((ROOT / name).is_file() and reason for name, reason in PICKLE_EXCEPTIONS.items())


def test_every_folder_of_the_project_has_its_place() -> None:
    """A new one is put into the order."""
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests", "benchmarks"} <= set(FOLDERS)
    assert "foundations" in packages


def test_what_parsing_arguments_imports_is_free_of_torch() -> None:
    """Packages, with their registries, and all modules of hyperparameters and descriptions."""
    light = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources(*FOLDERS)
        if path.name in ("__init__.py", "hparams.py", "presets.py", "description.py")
    ]
    code = (
        "import importlib, json, sys\n"
        "found = {}\n"
        f"for name in {light!r}:\n"
        "    importlib.import_module(name)\n"
        f"    found[name] = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]\n"
        "print(json.dumps(found))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "foundations.hparams" in light
    assert json.loads(ran.stdout) == {name: [] for name in light}


@pytest.mark.parametrize(
    "text",
    [
        "import training",
        "from training.engine import train",
        "def f():\n    from training import engine",
        "if TYPE_CHECKING:\n    import branches.oneshot",
        "import open_prune",
        "from tests.foundations import examples",
    ],
)
def test_an_import_against_the_order_is_found(text: str) -> None:
    """The control of the first test."""
    assert len(against_the_order("models", ast.parse(text))) == 1


@pytest.mark.parametrize(
    "text",
    ["from models import build", "import datasets.data", 'R = {"x": "training.engine:train"}'],
)
def test_an_import_in_order_is_let_through(text: str) -> None:
    """Oneself, those before, and a place in a registry."""
    assert against_the_order("models", ast.parse(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib",
        "def f():\n    import _pickle as p",
        "torch.load(path, weights_only=True)",
        "torch.save(x, path)",
        "from torch import load",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "frame.to_pickle(path)",
    ],
)
def test_a_pickle_is_found(text: str) -> None:
    """The control of the second test."""
    assert len(pickles(ast.parse(text))) == 1


@pytest.mark.parametrize(
    "text",
    ["np.load(path)", "np.load(path, allow_pickle=False)", "json.load(file)", "load(data)"],
)
def test_what_is_no_pickle_is_let_through(text: str) -> None:
    """JSON, plain arrays, safetensors."""
    assert pickles(ast.parse(text)) == []
