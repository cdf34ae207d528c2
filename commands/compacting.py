"""What ``compact`` writes into a folder, each file whole, and what it leaves as it is.

The truth of a folder is ``architecture.json``, which says which state of which run the network is
made of. An export lies beside it with a record of its own: the sha256 of the export, and of the
tensors that it is an export of. What does not agree with its record is written again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import psutil

from foundations.errors import DamageError, UserError
from foundations.files import PART, read_json, sha256_of, write_atomically, write_json
from foundations.run_directory import Fact
from foundations.tensors import digest
from models.portable.export import require_packages, to_onnx, to_torch_export
from models.portable.saved import ARCHITECTURE, TENSORS, known, load_compacted, save_compacted
from training import numerics
from training.measures.compaction import compact, test_images
from training.measures.subject import Subject
from training.provenance import thread_count
from training.saving import load

if TYPE_CHECKING:
    from pathlib import Path

    from commands.compact import CompactFlags
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from foundations.steps import Step
    from platforms.base import Platform
    from training.setting import Setting
    from training.state import State

_EXPORTS = {"model.onnx": ("onnx", to_onnx), "model.pt2": ("torch_export", to_torch_export)}
"""By the name of the file: the flag, and how it is made."""


@dataclass(frozen=True)
class Compacting:
    """One state of a run, and the folder that its compacted network is written to."""

    run: RunDirectory
    step: Step
    folder: Path
    flags: CompactFlags
    setting: Setting
    platform: Platform

    def done(self) -> tuple[dict[str, Json], list[str]]:
        """Write what is not there yet.

        Returns:
            The content of ``architecture.json``, with ``exports``; and the names of the files that
            were written.

        Raises:
            UserError: The folder holds something else, or cannot be written to; or the network
                cannot be traced or exported.
            DamageError: A file in it, or the state, is not what was written.
            OpenPruneError: The smaller network, or an export, gives other outputs.
        """
        profile = self.setting.recipe.training.numerics
        with numerics.applied(profile, thread_count(self.run, self.platform)):
            if self.flags.onnx:
                require_packages()  # before anything is computed
            _clear_away(self.folder)
            written = [] if self._known() else self._write()
            content = self._known()
            if content is None:
                raise UserError(f"{self.folder / ARCHITECTURE} was removed while it was used.")
            exports = {name: self._record(name, content) for name in _EXPORTS}
            for name, (flag, _) in _EXPORTS.items():
                if exports[name] is None and getattr(self.flags, flag):
                    exports[name] = self._export(name, content)
                    written.append(name)
        there = {name: record for name, record in exports.items() if record is not None}
        return {**content, "exports": there}, written

    @cached_property
    def _state(self) -> State:
        per_epoch = self.run.fact(Fact.START)["iterations_per_epoch"]
        return load(self.run, self.step, self.step.iterations(per_epoch))

    @cached_property
    def _subject(self) -> Subject:
        return Subject.of(self.setting, self._state)

    @cached_property
    def _source(self) -> dict[str, Json]:
        """Which state the network is made of."""
        state = self._state
        return {
            "run": self.run.name,
            "replicate": self.run.replicate,
            "step": str(self.step),
            "weights": digest(state.weights),
            "mask": None if state.mask is None else digest(state.mask),
        }

    def _known(self) -> dict[str, Json] | None:
        """What the folder holds, if it is this network.

        Raises:
            UserError: It holds something else.
            DamageError: It is not what was written.
        """
        try:
            content = known(self.folder, whole=True)
        except DamageError as error:
            raise DamageError(f"{error} Remove {self.folder}, and compact again.") from error
        if content is None:
            self._refuse_others()
            return None
        if content.get("source") != self._source:
            source = content.get("source") or {}
            raise UserError(
                f"{self.folder} holds another network: {source.get('run')} replicate "
                f"{source.get('replicate')} at {source.get('step')}. Choose another folder with "
                "--output, or remove this one."
            )
        return content

    def _refuse_others(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{self.folder} is a file: --output names a folder.")
        if not self.folder.exists():
            return
        ours = {ARCHITECTURE, TENSORS, *_EXPORTS, *map(_record_name, _EXPORTS)}
        names = sorted(path.name for path in self.folder.iterdir())
        others = [n for n in names if n not in ours and not n.endswith(PART)]
        if others:
            raise UserError(
                f"{self.folder} holds something else ({others[0]}) and no compacted network. "
                "Choose another folder with --output."
            )

    def _write(self) -> list[str]:
        """Make the network; gives the names of its files."""
        made = compact(self._subject, self.flags.check_examples)
        data = self.setting.data
        facts: dict[str, Json] = {
            "shape": list(data.shape),
            "classes": data.classes,
            "normalization": {"mean": list(data.mean), "std": list(data.std)},
            "source": self._source,
            "sizes": {name: getattr(made, name) for name in ("dense", "masked", "compacted")},
            "compared": {"largest_difference": made.difference, "examples": made.examples},
        }
        save_compacted(self.folder, made.network, facts)
        return [TENSORS, ARCHITECTURE]

    def _record(self, name: str, content: Json) -> Json | None:
        """What is known of an export that is there, whole, and of this network."""
        try:
            record = read_json(self.folder / _record_name(name))
            same = record["of"] == content["sha256"][TENSORS]
            whole = record["sha256"] == sha256_of(self.folder / name)
        except (FileNotFoundError, DamageError, KeyError, TypeError):
            return None
        return record if same and whole else None

    def _export(self, name: str, content: Json) -> Json:
        """In float32, whatever the run's precision: few programs have convolutions in float64."""
        images = test_images(self._subject, self.flags.check_examples).cpu().float()
        _, export = _EXPORTS[name]
        data, difference = export(load_compacted(self.folder).float(), images)
        record = {
            "of": content["sha256"][TENSORS],
            "sha256": sha256_of(data),
            "largest_difference": difference,
            "examples": len(images),
        }
        write_atomically(self.folder / name, data)
        write_json(self.folder / _record_name(name), record)
        return record


def _clear_away(folder: Path) -> None:
    """Remove what writers who were killed left half written."""
    for path in folder.glob(f".*{PART}"):
        *_, process, _, _ = path.name.split(".")
        if process.isdigit() and not psutil.pid_exists(int(process)):
            path.unlink(missing_ok=True)


def _record_name(export: str) -> str:
    return f"{export}.json"
