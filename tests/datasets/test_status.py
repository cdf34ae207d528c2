"""What the ``data`` command says; and that it needs no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from datasets import DATASETS
from datasets.dataset import cache_path
from datasets.idx_files import FILES
from datasets.status import status


def test_every_data_set_is_listed_with_how_to_get_it(tmp_path: Path) -> None:
    """Without files: the digits are there, the folder is the user's, the others are missing."""
    found = {entry.name: entry for entry in status(tmp_path)}
    assert list(found) == list(DATASETS)
    assert found["digits"].present
    assert found["folder"].present is None
    assert all(entry.get and entry.summary for entry in found.values())
    mnist = found["mnist"]
    assert not mnist.present
    assert mnist.looked[0] == tmp_path / "MNIST" / "raw"
    assert mnist.lacks[0] == ", ".join(FILES)
    assert mnist.downloads


def test_files_and_caches_are_found(tmp_path: Path) -> None:
    """Compressed files count, and so does what was read before."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in FILES:
        (folder / f"{name}.gz").touch()
    cache = cache_path(tmp_path, "cifar10")
    cache.parent.mkdir()
    cache.touch()
    found = {entry.name: entry for entry in status(tmp_path)}
    assert found["mnist"].where == str(folder)
    assert found["cifar10"].where == str(cache)
    (folder / f"{FILES[0]}.gz").unlink()
    found = {entry.name: entry for entry in status(tmp_path)}
    assert not found["mnist"].present
    assert FILES[0] in found["mnist"].lacks


def test_a_part_of_a_streamed_data_set_says_how_many_classes_it_has(tmp_path: Path) -> None:
    """Its folders are counted, its images are not."""
    for number in range(3):
        (tmp_path / "imagenet" / "train" / f"n{number}").mkdir(parents=True)
    found = {entry.name: entry for entry in status(tmp_path)}
    assert not found["imagenet"].present
    assert "val" in found["imagenet"].lacks[0]
    (tmp_path / "imagenet" / "val").mkdir()
    (tmp_path / "tinyimagenet" / "train").mkdir(parents=True)
    (tmp_path / "tinyimagenet" / "val").mkdir()
    found = {entry.name: entry for entry in status(tmp_path)}
    assert found["imagenet"].present
    assert found["imagenet"].where == f"{tmp_path / 'imagenet'} (3 of 1,000 classes)"
    assert found["tinyimagenet2"].where == f"{tmp_path / 'tinyimagenet'} (0 of 200 classes)"
    for number in range(3, 1000):
        (tmp_path / "imagenet" / "train" / f"n{number}").mkdir()
    (whole,) = (entry for entry in status(tmp_path) if entry.name == "imagenet")
    assert whole.where == str(tmp_path / "imagenet")


def test_listing_and_parsing_import_nothing_heavy() -> None:
    """Help must answer at once: no torch, numpy, PIL or scikit-learn."""
    code = (
        "import sys, pathlib, datasets.hparams, datasets.status, datasets.folders;"
        "datasets.hparams.DatasetHparams(dataset_name='cifar10', batch_size=1);"
        "datasets.status.status(pathlib.Path('/nowhere'));"
        "print(sorted({'torch', 'numpy', 'PIL', 'sklearn', 'torchvision'} & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
