"""How the runs of a results folder of OpenLTH become runs here, each sealed as it was found."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import dense_ancestor, recipe_of
from branches.openlth import OpenLthBranch, OpenLthPruned
from foundations.description import BranchDesc
from foundations.errors import OpenPruneError, UserError
from foundations.run_directory import RunState
from foundations.steps import Step
from foundations.store import Store
from foundations.tables import Digest, number_to_json
from foundations.tensors import digest
from pruning.mask import Mask
from reports.openlth.found import name_here, read_found
from reports.openlth.hparams_log import groups, pruning_in, read_sections, retraining_in
from reports.openlth.layout import HPARAMS, PRETRAIN
from training.description import TrainDesc
from training.openlth import OpenLthDesc, OpenLthHparams
from training.saving import save
from training.setting import Setting
from training.start import Start, write_start
from training.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from torch import Tensor

    from foundations.claims import Claim
    from foundations.description import Description
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from platforms.base import Platform
    from reports.openlth.found import Found
    from reports.openlth.layout import Place

ADDED, THERE, REFUSED = "imported", "already there", "refused"
_POLL_S = 0.1
_RETRAINING = "retrain"
"""The branch of OpenLTH that has data and training of its own."""


@dataclass(frozen=True)
class Told:
    """What became of a run of OpenLTH.

    Args:
        place: Where it lies.
        outcome: ``imported``, ``already there`` or ``refused``.
        run: What it is called here; empty where it was refused.
        reason: Why it was refused.
    """

    place: Place
    outcome: str
    run: str = ""
    reason: str = ""


@dataclass
class Importing:
    """Imports the runs of a folder, one after another, parents first.

    Args:
        platform: Where runs and data sets are.
        places: All runs of the folder.
        say: Told of each run.
        series: The word that the names of all of them hold; None is none.
    """

    platform: Platform
    places: Sequence[Place]
    say: Callable[[Told], None]
    series: str | None = None
    made: dict[Place, Description] = field(default_factory=dict)

    def all(self) -> list[Told]:
        """What became of each run; one that is refused does not keep the others."""
        self.platform.writable_root()
        return [self._told(place) for place in self.places]

    def _told(self, place: Place) -> Told:
        try:
            told = self._import(place)
        except OpenPruneError as error:
            told = Told(place, REFUSED, reason=str(error).rstrip("."))
        self.say(told)
        return told

    def _import(self, place: Place) -> Told:
        above = place.parent(self.places)
        if above is not None and above not in self.made:
            raise UserError(f"what it began from was refused: {above.name}")
        parent = None if above is None else self.made[above]
        recipe = self._recipe(place, parent)
        setting = Setting.on(self.platform, recipe, place.replicate)
        found = read_found(place.path, setting)
        described = self._described(place, parent, recipe, found)
        directory = self._store.run(described, place.replicate)
        directory.prepare(described, KINDS)
        outcome = _kept(directory, found, setting, place)
        self.made[place] = described
        return Told(place, outcome, f"{described.name}/replicate_{place.replicate}")

    def _recipe(self, place: Place, parent: Description | None) -> TrainDesc:
        """The network, data and training of a run."""
        if place.branch and parent is not None:
            return self._recipe_of_branch(place, recipe_of(parent))
        sections = read_sections(place.hparams)
        prefix = "pretrain_" if place.level == PRETRAIN else ""
        model, dataset, training = groups(sections, place.hparams, prefix)
        return TrainDesc(model=model, dataset=dataset, training=training)

    def _recipe_of_branch(self, place: Place, parent: TrainDesc) -> TrainDesc:
        """That of its parent, unless the branch has its own."""
        if place.branch_name != _RETRAINING:
            return parent
        path = place.path / HPARAMS
        dataset, training = retraining_in(read_sections(path), path)
        return replace(parent, dataset=dataset, training=training)

    def _described(
        self, place: Place, parent: Description | None, recipe: TrainDesc, found: Found
    ) -> Description:
        if parent is None:
            if found.mask is not None:
                raise UserError("it has a mask, and no run from which it began")
            own = OpenLthHparams(experiment=place.name, begin=found.begin, series=self.series)
            return OpenLthDesc(
                model=recipe.model, dataset=recipe.dataset, training=recipe.training, openlth=own
            )
        before = recipe_of(parent)
        branch = OpenLthBranch(
            experiment=place.name,
            begin=found.begin,
            dataset=None if recipe.dataset == before.dataset else recipe.dataset,
            training=None if recipe.training == before.training else recipe.training,
        )
        if found.mask is not None:
            branch = self._pruned(branch, place, parent, found)
        return BranchDesc(parent=parent, branch=branch)

    def _pruned(
        self, branch: OpenLthBranch, place: Place, parent: Description, found: Found
    ) -> OpenLthPruned:
        pruned = OpenLthPruned(**vars(branch), origin_step=self._origin(place, parent, found))
        if not place.number or place.branch:
            return pruned
        made = pruning_in(read_sections(place.hparams), place.hparams)
        ignored = tuple(map(name_here, made.ignored))
        return replace(pruned, prune_fraction=made.fraction, layers_to_ignore=ignored)

    def _origin(self, place: Place, parent: Description, found: Found) -> Step | None:
        """The first state of the dense run that has the kept weights of the first state."""
        dense = self._store.run(dense_ancestor(parent), place.replicate)
        weights = found.states[found.begin]
        same = (
            step
            for step in _first(found.begin, dense.states())
            if all(
                _kept_are_equal(weights[name], dense.load_state(step).model.get(name), keep)
                for name, keep in (found.mask or Mask({})).items()
            )
        )
        return next(same, None)

    @property
    def _store(self) -> Store:
        return Store(self.platform.results_root())


def summary(told: Iterable[Told]) -> str:
    """How many runs were imported, were there and were refused."""
    outcomes = [one.outcome for one in told]
    counts = (f"{outcomes.count(what)} {what}" for what in (ADDED, THERE, REFUSED))
    return ", ".join(counts)


def _first(step: Step, steps: Iterable[Step]) -> list[Step]:
    """The steps, beginning with this one where it is among them."""
    return sorted(steps, key=lambda other: other != step)


def _kept_are_equal(weight: Tensor, other: Tensor | None, keep: Tensor) -> bool:
    return (
        other is not None
        and other.shape == weight.shape
        and bool((weight[keep] == other[keep]).all())
    )


def _kept(directory: RunDirectory, found: Found, setting: Setting, place: Place) -> str:
    """Write a run unless it is there; which of the two it was.

    Raises:
        UserError: As ``_is_there``.
    """
    if _is_there(directory, found, place):
        return THERE
    while (claim := directory.claim()) is None:  # another process may be importing it
        time.sleep(_POLL_S)
    with claim:
        if _is_there(directory, found, place):
            return THERE
        facts = {"trained_by": "OpenLTH", "path": str(place.path.resolve())}
        _write(directory, claim, found, setting, facts | {"content": found.content})
    return ADDED


def _is_there(directory: RunDirectory, found: Found, place: Place) -> bool:
    """Whether a run is there; another one, which OpenLTH calls the same, is not taken for it.

    Raises:
        UserError: There is one of that name with other states, mask or measurements.
    """
    start = directory.start()
    own = found.content if start is None else start["facts"].get("content")
    if start is not None and own != found.content:
        raise UserError(
            f"{directory.name}/{directory.path.name} was imported from {start['facts'].get('path')}"
            f", with other states, mask or measurements than those in {place.path}. Where that is "
            "another training of the same recipe, import it with a name for all of them, such as "
            "--series=second"
        )
    return directory.state is RunState.DONE


def _write(
    directory: RunDirectory, claim: Claim, found: Found, setting: Setting, facts: dict[str, Json]
) -> None:
    """Write a run as if it had been recorded here, and seal it."""
    per_epoch = setting.iterations_per_epoch
    states = {step.iterations(per_epoch): weights for step, weights in found.states.items()}
    first = State(found.begin.iterations(per_epoch), states.pop(min(states)), found.mask)
    write_start(directory, Start(first, facts), setting)
    for at, weights in states.items():
        save(directory, State(at, weights, found.mask), Step.at(at, per_epoch))
    directory.write_metrics(found.metrics)
    directory.write_digests(
        Digest(at, at // per_epoch, digest(weights))
        for at, weights in ({first.iteration: first.weights} | states).items()
    )
    directory.seal(claim, _end_metrics(found, setting))


def _end_metrics(found: Found, setting: Setting) -> Mapping[str, float | str]:
    return {
        f"{row.phase} {row.name}": number_to_json(row.value)
        for row in found.metrics
        if row.iteration == setting.end
    }
