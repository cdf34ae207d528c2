"""Downloads: whole or not at all, quickly given up, quiet."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torchvision

from datasets import DATASETS, download
from datasets.hparams import DatasetHparams
from datasets.load import load
from foundations.errors import UserError
from tests.datasets.test_files import idx

if TYPE_CHECKING:
    from pathlib import Path

MNIST = DATASETS["mnist"]
NOWHERE = "http://127.0.0.1:9/nothing-listens-here"


def test_a_server_that_does_not_answer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a network the reason is said, and nothing is left behind."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    reason = download.download(replace(MNIST, url=NOWHERE), tmp_path)
    assert reason.startswith("127.0.0.1:9 does not answer")
    assert list(tmp_path.iterdir()) == []


def test_what_is_fetched_lands_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Files move into the data root, archives and what torchvision prints do not."""

    def fetch(root: Path, *, download: bool) -> None:
        assert download
        (root / "MNIST" / "raw").mkdir(parents=True)
        (root / "MNIST" / "raw" / "images").write_bytes(idx(2))
        (root / "archive.tar.gz").write_bytes(b"large")
        sys.stdout.write("Downloading")
        sys.stderr.write("100%")

    monkeypatch.setattr(download, "_unreachable", lambda _: "")
    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    assert download.download(MNIST, tmp_path) == ""
    assert (tmp_path / "MNIST" / "raw" / "images").read_bytes() == idx(2)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["images"]
    assert capfd.readouterr() == ("", "")


def test_a_download_that_breaks_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file does not look like a whole one, and the reason is said."""

    def fetch(root: Path, *, download: bool) -> None:
        (root / "half").write_bytes(b"half")
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(download, "_unreachable", lambda _: "")
    monkeypatch.setattr(torchvision.datasets, "MNIST", fetch)
    assert "corrupted" in download.download(MNIST, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_without_network_the_user_learns_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason, the files, the folders and the data root are in one message."""
    monkeypatch.setattr(download, "_unreachable", lambda _: "the server does not answer")
    with pytest.raises(UserError) as caught:
        load(DatasetHparams(dataset_name="cifar100", batch_size=4), seed=1, root=tmp_path)
    message = str(caught.value)
    assert "the server does not answer" in message
    assert f"{tmp_path}/cifar-100-python, which is not there, with train, test, meta" in message
    assert "cifar-100-python.tar.gz" in message


def test_what_no_one_offers_is_not_tried(tmp_path: Path) -> None:
    """The digits come with a package."""
    assert download.download(DATASETS["digits"], tmp_path) == "it cannot be downloaded"
