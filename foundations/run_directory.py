"""What the directory of one run holds, and what it says about the run.

The truth is ``done.json``: it is written last and holds the sha256 of what is complete. A run
without it is not complete, whatever else is there. ``hparams.json`` says which run it is: where it
differs from what is asked for, the directory is refused. Everything else is written by the one who
has claimed the run, each file whole or not at all, and can be written again.
"""

from __future__ import annotations

import enum
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from foundations import checkpoints, claims, facts, plugins, states, tables
from foundations.checkpoints import Checkpoint
from foundations.claims import Claim, owner_of
from foundations.description import Description, decode, differences, plugins_of
from foundations.errors import DamageError, OpenPruneError, UserError
from foundations.files import (
    PART,
    clear_errors,
    make_directory,
    missing,
    read_json,
    remove_parts,
    sha256_of,
    verify,
    write_json,
)
from foundations.states import SavedState
from foundations.step_folders import complete_steps, half_made, remove_half_made, step_of
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import torch

    from foundations.claims import Timing
    from foundations.hparams import Json
    from foundations.owners import Owner
    from foundations.registry import Registry
    from foundations.tables import Digest, Metric
    from foundations.tensors import TensorFile

HPARAMS, DONE, METRICS, DIGESTS = "hparams.json", "done.json", "metrics.csv", "digests.csv"
LOG = "log.txt"
"""What those say who carry the run out by its name; appended to, and read by people alone."""

_WANTED, _PLUGINS = "wanted", "plugins"
_AWAY = "Move the directory away to run this anew."


class RunState(enum.Enum):
    """How far a run is, as its directory tells."""

    NEW = "new"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    DONE = "done"


class Fact(enum.Enum):
    """A file of the directory that holds one JSON value."""

    START = "start.json"
    SPARSITY = "sparsity.json"
    PROVENANCE = "provenance.json"
    FAILED = "failed.json"


_SEALED = (HPARAMS, METRICS, DIGESTS, Fact.START.value, Fact.SPARSITY.value)
"""Files that are the same for two executions of one run, and so are sealed where they exist."""

TRACES = frozenset({*_SEALED, DONE, *(fact.value for fact in Fact), "states", "checkpoint"})
"""What only the directory of a run holds: where one of these is, a run has begun."""

_REMEDIES = {
    Fact.START: _AWAY,
    Fact.SPARSITY: _AWAY,
    Fact.PROVENANCE: "It is a record alone: training this run again begins a new one.",
    Fact.FAILED: "Delete the file: it only tells why the run failed.",
}
"""What to do about a damaged file."""


@dataclass(frozen=True)
class RunDirectory:
    """The directory of one replicate of a run, which need not exist.

    Args:
        path: ``<root>/<name>/replicate_<r>``.
        replicate: The number of the replicate.
    """

    path: Path
    replicate: int

    @property
    def name(self) -> str:
        """The name of the run, without its replicate."""
        return self.path.parent.name

    @property
    def state(self) -> RunState:
        """How far the run is."""
        if (self.path / DONE).exists():
            return RunState.DONE
        owner = owner_of(self.path)
        if owner is not None and owner.alive:
            return RunState.RUNNING
        if (self.path / Fact.FAILED.value).exists():
            return RunState.FAILED
        begun = (self.path / claims.FOLDER).exists() or (self.path / Fact.START.value).exists()
        return RunState.INTERRUPTED if begun else RunState.NEW

    def description(self, kinds: Registry[Any]) -> Description:
        """What the run is, as its ``hparams.json`` says; absent fields have their defaults.

        Args:
            kinds: What each kind of description is.

        Raises:
            DamageError: The file is missing, damaged, or of a newer version.
            UserError: A value in it is not allowed, it is another run's, or it was made with a
                plugin that is not given.
        """
        stored = self._stored(kinds)
        if stored.name != self.name:
            raise self._foreign([f"its name would be {stored.name}"])
        return stored

    def prepare(self, description: Description, kinds: Registry[Any]) -> None:
        """Make the directory for a run, or check that it is this run's.

        Raises:
            UserError: It is another run's, with the fields that differ; or it cannot be written to.
            DamageError: Its ``hparams.json`` is damaged.
        """
        path = self.path / HPARAMS
        make_directory(self.path)
        if not path.exists() and not (self.path / DONE).exists():
            try:
                write_json(path, description.to_json_dict() | _plugins(description))
            except OpenPruneError:
                if not path.exists():  # else another process was faster
                    raise
        stored = self._stored(kinds)
        if stored.name != description.name or stored.name != self.name:
            lines = differences(stored, description)
            raise self._foreign(lines or [f"its name would be {stored.name}"])

    def claim(
        self, *, wait: Callable[[Owner], None] | None = None, timing: Timing | None = None
    ) -> Claim | None:
        """Claim the run (see ``Claim.acquire``) and clear away what killed workers left."""
        claim = Claim.acquire(self.path, wait=wait, timing=timing)
        if claim is not None:
            try:
                self._clean()
            except BaseException:
                claim.release()
                raise
        return claim

    def write_fact(self, fact: Fact, value: Json) -> None:
        """Write the JSON value of a file."""
        write_json(self.path / fact.value, value)

    def fact(self, fact: Fact) -> Json:
        """The JSON value of a file, in the shape that readers count on; None if it is not there.

        Raises:
            DamageError: It is damaged, another replicate's, or gone though it was sealed.
        """
        path = self.path / fact.value
        with _advice(_REMEDIES[fact]):
            try:
                value = read_json(path)
            except FileNotFoundError as error:
                if fact.value in (self.done() or {"sha256": {}})["sha256"]:
                    raise missing(path) from error
                return None
            if wrong := self._error(fact, value):
                raise DamageError(f"{path} is damaged: {wrong}. It was edited or copied.")
        return value

    def start(self) -> dict[str, Json] | None:
        """What ``start.json`` says; None before training begins.

        Returns:
            ``iteration``, ``iterations_per_epoch``, ``end`` and ``replicate``: whole numbers;
            ``sha256``: the digest of the first weights; ``facts``: a dict.

        Raises:
            DamageError: It is damaged, or another replicate's.
        """
        return cast("dict[str, Json] | None", self.fact(Fact.START))

    def failure(self) -> str | None:
        """Why the run failed; None if that is not noted.

        Raises:
            DamageError: What was noted is damaged.
        """
        noted = self.fact(Fact.FAILED)
        return None if noted is None else str(noted["reason"])

    def remove_fact(self, fact: Fact) -> None:
        """Remove a file, if it is there."""
        with clear_errors(self.path / fact.value):
            (self.path / fact.value).unlink(missing_ok=True)

    def write_metrics(self, rows: Iterable[Metric]) -> None:
        """Write all measurements so far."""
        tables.write_metrics(self.path / METRICS, rows)

    def metrics(self) -> list[Metric]:
        """All measurements so far.

        Raises:
            DamageError: The table is damaged, or, of a complete run, not what was sealed.
        """
        self.check_sealed()
        with _advice(self._table_remedy):
            return tables.read_metrics(self.path / METRICS)

    def write_digests(self, rows: Iterable[Digest]) -> None:
        """Write the digests of the weights so far."""
        tables.write_digests(self.path / DIGESTS, rows)

    def digests(self) -> list[Digest]:
        """The digests of the weights so far.

        Raises:
            DamageError: The table is damaged, or, of a complete run, not what was sealed.
        """
        self.check_sealed()
        with _advice(self._table_remedy):
            return tables.read_digests(self.path / DIGESTS)

    def states(self, *, replayed: bool = False) -> list[Step]:
        """The steps of the states that are saved, in order."""
        return states.saved_steps(self._states(replayed))

    def available(self) -> set[Step]:
        """The steps whose states can be loaded, saved as the run trained or made again."""
        return {*self.states(), *self.states(replayed=True)}

    def save_state(
        self,
        step: Step,
        model: Mapping[str, torch.Tensor],
        mask: TensorFile | None = None,
        optimizer: TensorFile | None = None,
        *,
        replayed: bool = False,
    ) -> None:
        """Save a state: parameters and buffers, the packed mask, the optimizer's state."""
        states.save_state(self._states(replayed), SavedState(step, model, mask, optimizer))
        self._no_longer_wanted(step)

    def load_state(self, step: Step, *, replayed: bool = False) -> SavedState:
        """A saved state.

        Raises:
            UserError: It was not saved.
            DamageError: A file of it is not what was written, or is gone.
        """
        with _advice(self._state_remedy(step, replayed)):
            if step not in self.states(replayed=replayed) and self._had(step):
                raise missing(self._states(replayed=False) / step.folder / states.TRUTH)
            return states.load_state(self._states(replayed), step)

    def remove_if_not_begun(self) -> None:
        """Remove the directory of a run that has no start, and that nobody works on."""
        owner = owner_of(self.path)
        if (self.path / Fact.START.value).exists() or (owner is not None and owner.alive):
            return
        shutil.rmtree(self.path, ignore_errors=True)
        with suppress(OSError):
            self.path.parent.rmdir()  # unless there are other replicates

    def ask_for(self, steps: Iterable[Step]) -> None:
        """Leave word that these states are waited for. It is advice: nobody has to be listening."""
        for step in steps:
            with suppress(OSError):
                (self.path / _WANTED).mkdir(exist_ok=True)
                (self.path / _WANTED / step.folder).touch()
            # Who saves a state then takes the word for it away; who leaves word then looks whether
            # the state is there. So one of the two always sees what the other has done.
            if step in self.states() or (self.path / DONE).exists():
                self._no_longer_wanted(step)

    def asked_for(self) -> list[Step]:
        """The states that somebody waits for, or has waited for."""
        return [s for path in (self.path / _WANTED).glob("ep*_it*") if (s := step_of(path.name))]

    def save_checkpoint(self, step: Step, tensors: Mapping[str, torch.Tensor], facts: Json) -> None:
        """Save what is needed to continue from a step; the newest two are kept."""
        checkpoints.save_checkpoint(self._checkpoints, Checkpoint(step, tensors, facts))

    def checkpointed(self) -> list[Step]:
        """The steps of the checkpoints there are, in order, damaged ones among them."""
        return complete_steps(self._checkpoints, checkpoints.TRUTH)

    def latest_checkpoint(self, report: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is not damaged; None if there is none.

        Args:
            report: Told of each damaged one that is passed over.

        Raises:
            DamageError: There are some, and all are damaged.
        """
        return checkpoints.latest_checkpoint(self._checkpoints, report)

    def clear_checkpoints(self) -> None:
        """Remove all checkpoints, of a run that is done."""
        checkpoints.clear_checkpoints(self._checkpoints)

    @property
    def has_leftovers(self) -> bool:
        """Whether something lies here that a killed worker left, or that one is writing."""
        if (self.path / DONE).exists() and self._checkpoints.exists():
            return True
        folders = {self._checkpoints: checkpoints.TRUTH} | {
            self._states(replayed): states.TRUTH for replayed in (False, True)
        }
        parts = (path for place in (self.path, *folders) for path in place.glob(f".*{PART}"))
        return any(parts) or any(half_made(*folder) for folder in folders.items())

    def seal(self, claim: Claim, metrics: Json) -> None:
        """Declare the run complete, and remove what only an incomplete one needs.

        Args:
            claim: The claim under which the run was trained; checked before.
            metrics: What came out in the end.

        Raises:
            ClaimLostError: Another worker has the run by now.
            DamageError: A state is not what was written.
        """
        seal = {
            "replicate": self.replicate,
            "metrics": metrics,
            "states": states.verify_states(self._states(replayed=False)),
            "sha256": {
                name: sha256_of(self.path / name) for name in _SEALED if (self.path / name).exists()
            },
        }
        claim.check()
        write_json(self.path / DONE, seal)
        self.remove_fact(Fact.FAILED)
        self.clear_checkpoints()
        shutil.rmtree(self.path / _WANTED, ignore_errors=True)

    def done(self) -> Json:
        """What ``seal`` wrote: end metrics and checksums; None if the run is not complete.

        Raises:
            DamageError: The file is damaged, or another replicate's.
        """
        path = self.path / DONE
        with _advice(_AWAY):
            try:
                seal = read_json(path)
            except FileNotFoundError:
                return None
            if wrong := facts.seal_error(seal, self.replicate, _SEALED):
                raise DamageError(f"{path} is damaged: {wrong}. It was edited or copied.")
        return seal

    def check_sealed(self) -> None:
        """Check the small files of a complete run, all but its states: cheap enough to do often.

        Raises:
            DamageError: Names the file that is not what was sealed.
        """
        seal = self.done() or {"sha256": {}}
        with _advice(_AWAY):
            for name, sha256 in seal["sha256"].items():
                verify(self.path / name, sha256)

    def verify(self) -> None:
        """Check every state, and of a complete run everything that was sealed.

        Raises:
            DamageError: Names the file that is not what was written.
        """
        self.check_sealed()
        seal = self.done() or {"states": {}}
        with _advice(_AWAY):
            states.verify_states(self._states(replayed=False), seal["states"])
        with _advice(f"Delete {self._states(replayed=True)}: what is asked for is made again."):
            states.verify_states(self._states(replayed=True))

    def _no_longer_wanted(self, step: Step) -> None:
        with suppress(OSError):
            (self.path / _WANTED / step.folder).unlink(missing_ok=True)
            (self.path / _WANTED).rmdir()  # unless somebody waits for another state

    def _stored(self, kinds: Registry[Any]) -> Description:
        """What ``hparams.json`` says, whether or not it is this run's."""
        path = self.path / HPARAMS
        try:
            data = read_json(path)
            made_with = data.pop(_PLUGINS, {}) if isinstance(data, dict) else {}
            plugins.require(
                self.path, {str(digest): str(made_with[digest]) for digest in made_with}
            )
            return decode(data, kinds)
        except plugins.AbsentPluginError:
            raise
        except FileNotFoundError as error:
            if self.path.is_dir():
                raise DamageError(f"{path} is missing: what is here is unknown. {_AWAY}") from error
            raise DamageError(f"{self.path} is no directory of a run: no {HPARAMS}.") from error
        except OpenPruneError as error:
            raise type(error)(f"{path} cannot be used. {error} {_AWAY}") from error
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise DamageError(f"{path} cannot be used, it is damaged: {error}. {_AWAY}") from error

    def _foreign(self, lines: list[str]) -> UserError:
        """The error for a description that is not that of the directory's name."""
        return UserError(
            f"{self.path} holds another run than its name says: {HPARAMS} was edited, or the "
            "directory was copied or renamed.\n  " + "\n  ".join(lines) + f"\n{_AWAY}"
        )

    def _error(self, fact: Fact, value: Json) -> str | None:
        """What is wrong with the value of a file."""
        match fact:
            case Fact.START:
                return facts.start_error(value, self.replicate)
            case Fact.SPARSITY:
                return facts.sparsity_error(value)
            case Fact.PROVENANCE:
                return facts.provenance_error(value)
            case Fact.FAILED:
                return facts.failure_error(value)

    def _had(self, step: Step) -> bool:
        """Whether a state must have been saved: it is sealed, or training began with it."""
        if (seal := self.done()) is not None:
            return step.folder in seal["states"]
        start = self.start()
        return start is not None and step == Step.at(
            start["iteration"], start["iterations_per_epoch"]
        )

    def _state_remedy(self, step: Step, replayed: bool) -> str:  # noqa: FBT001 - as below
        if replayed and step in self.states(replayed=True):
            return f"Delete {self._states(replayed) / step.folder}: it is made again if asked for."
        return _AWAY

    @property
    def _table_remedy(self) -> str:
        done = (self.path / DONE).exists()
        return _AWAY if done else "Delete the file and continue the run, which writes it anew."

    def _clean(self) -> None:
        """Clear away what killed workers left."""
        with clear_errors(self.path):
            remove_parts(self.path, apart_from=claims.FOLDER)
        remove_half_made(self._checkpoints, checkpoints.TRUTH)
        for replayed in (False, True):
            remove_half_made(self._states(replayed), states.TRUTH)
        if (self.path / DONE).exists():
            self.clear_checkpoints()
            shutil.rmtree(self.path / _WANTED, ignore_errors=True)

    @property
    def _checkpoints(self) -> Path:
        return self.path / "checkpoint"

    def _states(self, replayed: bool) -> Path:  # noqa: FBT001 - which of two folders
        return self.path / ("replayed" if replayed else "states")


def _plugins(description: Description) -> dict[str, Json]:
    """What is written, beside a description, of the plugins it stands on: their paths."""
    found = plugins.paths_of(plugins_of(description))
    return {_PLUGINS: found} if found else {}


@contextmanager
def _advice(remedy: str) -> Iterator[None]:
    """Within it, an error about damage says what to do."""
    try:
        yield
    except DamageError as error:
        if remedy in str(error):
            raise
        raise DamageError(f"{error} {remedy}") from error
