"""TensorBoard and Weights & Biases follow a run, and nothing that they do can reach it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from branches.run import Job, complete
from commands.progress import Silent
from foundations.errors import InterruptedRunError, UserError
from foundations.store import Store
from platforms.stop import Stop
from tests.branches.runs import contents, context, dense, options
from training.sinks import followed, following

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from foundations.run_directory import RunDirectory

RUN = {"training_steps": "4ep"}


class Listening(Silent):
    """Keeps what it is warned of."""

    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, message: str) -> None:
        """Keep it."""
        self.warned.append(message)


class Stopping(Listening):
    """Asks to stop after an epoch."""

    def __init__(self, stop: Stop, after: int) -> None:
        super().__init__()
        self.stop, self.after = stop, after

    def epoch(self, iteration: int, values: Mapping[str, float]) -> None:  # noqa: ARG002 - the interface's
        """Ask once."""
        if iteration >= self.after:
            self.stop.requested = "SIGTERM"


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes long to start a process."""
    monkeypatch.setattr(following, "_PATIENCE_S", 120.0)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which followers look for packages first."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def _run(root: Path, *sinks: str, said: Listening | None = None) -> RunDirectory:
    told = said or Listening()
    return complete(Job(dense(**RUN)), context(root, told, options(sinks=sinks)))


def _scalars(run: RunDirectory) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads of it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run.path / "tensorboard")).Reload()
    tags = found.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in tags}


def _measured(run: RunDirectory) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for row in run.metrics():
        found.setdefault(f"{row.phase}/{row.name}", []).append((row.iteration, row.value))
    return found


def _near(found: dict[str, list[tuple[int, float]]], run: RunDirectory) -> bool:
    """Whether these are the run's metrics; TensorBoard holds values in float32."""
    expected = _measured(run)
    return found.keys() == expected.keys() and all(
        [at for at, _ in found[tag]] == [at for at, _ in points]
        and [value for _, value in found[tag]] == pytest.approx([value for _, value in points])
        for tag, points in expected.items()
    )


def test_tensorboard_reads_every_point(tmp_path: Path) -> None:
    """Each measurement once, at its iteration; the run's own files are as without a sink."""
    run = _run(tmp_path / "with", "tensorboard")
    assert _near(_scalars(run), run)
    plain = _run(tmp_path / "without")
    both = contents(tmp_path / "with").items()
    ours = {name: data for name, data in both if "/tensorboard/" not in name}
    assert ours == contents(tmp_path / "without")
    assert not (plain.path / "tensorboard").exists()
    run.verify()


def test_a_run_that_goes_on(tmp_path: Path) -> None:
    """What was passed on before it was broken off is not passed on again, to either."""
    stop, root, both = Stop(), tmp_path / "runs", ("tensorboard", "wandb")
    stopping = context(root, Stopping(stop, 6), options(sinks=both), stop)
    with pytest.raises(InterruptedRunError):
        complete(Job(dense(**RUN)), stopping)
    run = _run(root, *both)
    assert _near(_scalars(run), run)
    assert len(list((run.path / "tensorboard").glob("events.*"))) == 2
    files = sorted((run.path / "wandb").glob("offline-run-*/*.wandb"))
    assert len({path.name for path in files}) == 1  # one run, when both are synced
    parts = [_history(path)[0] for path in files]
    points = {tag: [point for part in parts for point in part.get(tag, [])] for tag in parts[1]}
    assert len(files) == 2
    assert points == _measured(run)


@pytest.mark.slow
def test_a_run_that_is_killed(tmp_path: Path) -> None:
    """The process of the sink ends by itself, having passed on what there was."""
    words = ["train", "--default_hparams=digits_lenet_8", "--batch_size=512", "--threads=1"]
    words += ["--training_steps=600ep", "--checkpoint_every=40ep", "--sinks=tensorboard"]
    places = [f"--root={tmp_path / 'runs'}", f"--data_root={tmp_path / 'data'}"]
    command = [sys.executable, "open_prune.py", *words, *places]
    project = following._PROJECT
    first = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL)
    while first.poll() is None and not list(tmp_path.glob("runs/*/*/tensorboard/given.json")):
        time.sleep(0.05)
    first.kill()
    first.wait()
    subprocess.run(command, cwd=project, check=True, stdout=subprocess.DEVNULL)
    (run,) = Store(tmp_path / "runs").runs()
    assert _near(_scalars(run), run)


def test_rows_that_are_written_again(tmp_path: Path) -> None:
    """A run that was killed goes on from a checkpoint before what it had measured."""
    run = _run(tmp_path / "runs", "tensorboard")
    for name in ("done.json", "metrics.csv", "digests.csv"):
        (run.path / name).unlink()
    shutil.rmtree(run.path / "states/ep4_it0")
    again = _run(tmp_path / "runs", "tensorboard")
    assert _near(_scalars(again), again)


def test_a_run_that_was_stopped_as_it_measured(tmp_path: Path) -> None:
    """The rest of what it measures at that iteration is passed on when it goes on."""
    run = _run(tmp_path / "runs", "tensorboard")
    rows = run.metrics()
    end = rows[-1].iteration
    assert sum(row.iteration == end for row in rows) > 1
    shutil.rmtree(run.path / "tensorboard")
    for part in (rows[:-1], rows):
        run.write_metrics(part)
        with followed(run, ("tensorboard",), pytest.fail):
            pass
    assert _near(_scalars(run), run)


@pytest.fixture
def nobody() -> Iterator[list[int]]:
    """The ports of those who were called where a proxy for the network should be."""
    called: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, (_, port) = server.accept()
                except OSError:
                    return
                called.append(port)
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        before = dict(os.environ)
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        os.environ |= dict.fromkeys(names, address)
        os.environ |= {"WANDB_MODE": "online", "WANDB_API_KEY": "k" * 40}
        yield called
        os.environ.clear()
        os.environ |= before
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_wandb_stays_offline(tmp_path: Path, nobody: list[int]) -> None:
    """The values are in its file, with the description; nobody calls, even if told to be online."""
    listening = Listening()
    run = _run(tmp_path / "runs", "wandb", said=listening)
    assert listening.warned == []
    (folder,) = (run.path / "wandb").glob("offline-run-*")
    found, config = _history(next(folder.glob("*.wandb")))
    assert found == _measured(run)
    assert json.loads(config["training"])["lr"] == 0.1
    assert nobody == []


def _history(path: Path) -> tuple[dict[str, list[tuple[int, float]]], dict[str, str]]:
    """The values and the configuration in a file of an offline run."""
    from wandb.proto import wandb_internal_pb2

    kind: Any = vars(wandb_internal_pb2)["Record"]
    found: dict[str, list[tuple[int, float]]] = {}
    config: dict[str, str] = {}
    for data in _records(path.read_bytes()):
        record = kind()
        record.ParseFromString(data)
        config |= {item.key: item.value_json for item in record.run.config.update if item.key}
        values = {
            "/".join(item.nested_key) or item.key: json.loads(item.value_json)
            for item in record.history.item
        }
        for name in (name for name in values if not name.startswith("_")):
            found.setdefault(name, []).append((record.history.step.num, values[name]))
    return found, config


def _records(data: bytes) -> Iterator[bytes]:
    """The records of its log: blocks of 32 KiB; pieces with a checksum, a length and a place."""
    at, block, whole = 7, 1 << 15, b""
    while at + 7 <= len(data):
        if block - at % block < 7:  # too little room for a head
            at += block - at % block
            continue
        length, place = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if place in {1, 4}:  # all of a record, or its last piece
            yield whole
            whole = b""


def _fake(package: Path, body: str) -> None:
    folder = package / "tensorboard"
    folder.mkdir()
    (folder / "__init__.py").write_text(body)


def test_a_sink_that_fails(tmp_path: Path, package: Path) -> None:
    """It is told once, with its reason; the run is as without it."""
    _fake(package, "raise RuntimeError('the sink is broken')")
    listening = Listening()
    run = _run(tmp_path / "runs", "tensorboard", said=listening)
    (warning,) = listening.warned
    assert "RuntimeError: the sink is broken" in warning
    assert "The run is not affected." in warning
    assert run.done()["metrics"] == _run(tmp_path / "without").done()["metrics"]


def test_a_sink_that_hangs(tmp_path: Path, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run does not wait for it, beyond the seconds it is given; the weights are the same."""
    monkeypatch.setattr(following, "_PATIENCE_S", 0.1)
    _fake(
        package,
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        f"while not os.path.exists({str(tmp_path / 'end')!r}): time.sleep(0.05)\n",
    )
    listening = Listening()
    run = _run(tmp_path / "runs", "tensorboard", said=listening)
    assert any("is left to itself" in warning for warning in listening.warned)
    assert run.digests() == _run(tmp_path / "without").digests()
    (tmp_path / "end").touch()  # so that it ends with this test
    for thread in threading.enumerate():
        if thread.name == "sink tensorboard":
            thread.join(120)
    assert not any(thread.name == "sink tensorboard" for thread in threading.enumerate())


def test_what_hangs_is_given_up(tmp_path: Path) -> None:
    """A while after the run has ended the process ends itself, whatever it is doing."""
    give_up = "from training.sinks.follower import _give_up_after; _give_up_after(0.1)"
    code = f"{give_up}; import time; time.sleep(600)"
    began = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 1
    assert time.monotonic() - began < 300


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown sink, and one that is not installed: refused before anything is begun."""
    with pytest.raises(UserError, match="tensorboard"):
        options(sinks=("tensorbord",))
    monkeypatch.setattr("training.sinks.find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install wandb"):
        _run(tmp_path / "runs", "wandb")
    assert not (tmp_path / "runs").exists()
