"""A state that was not saved is made again, and checked to be the same.

A run is a function of its description, so training it again from its start passes through the same
states. The digests that the run kept say whether it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foundations.errors import DamageError, InterruptedRunError
from foundations.steps import Step
from foundations.tensors import digest
from training.engine import Engine
from training.provenance import recorded_fingerprints
from training.saving import save

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from foundations.claims import Claim
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory
    from training.context import Context
    from training.setting import Setting
    from training.state import State


def replay(
    directory: RunDirectory,
    setting: Setting,
    context: Context,
    claim: Claim,
    start: State,
    iterations: Iterable[int],
    fingerprint: Mapping[str, Json],
) -> None:
    """Make the states of these iterations again, into ``replayed/``.

    Goes on to the next digest that the run kept after each, so that every state lies between two
    that were checked.

    Raises:
        DamageError: The replay differs from the run; says under what either was computed.
        InterruptedRunError: It was asked to stop.
    """
    known = {row.iteration: row.sha256 for row in directory.digests()}
    wanted = sorted(set(iterations))
    last = min((at for at in known if at >= wanted[-1]), default=wanted[-1])
    engine = Engine.on(setting, start)
    title = f"{directory.name} replicate {setting.replicate}: replaying to {wanted[-1]} iterations"
    reporter, per_epoch = context.reporter, engine.iterations_per_epoch
    reporter.begin(title, engine.iteration, last, per_epoch, len(setting.data.train.labels))
    made: list[State] = []
    try:
        while True:
            if engine.iteration in wanted:
                made.append(engine.state())
            _check(directory, engine, known, fingerprint)
            if engine.iteration >= last:
                break
            epoch_end = (engine.iteration // per_epoch + 1) * per_epoch
            halts = [at for at in (*wanted, *known, last, epoch_end) if at > engine.iteration]
            engine.advance(min(halts), context.watch)
            if engine.asked_elsewhere:
                context.heed_others()
            if context.stop.requested is not None:
                raise InterruptedRunError("Stopped while replaying; nothing was changed.")
    finally:
        reporter.end()
    claim.check()
    for state in made:
        save(directory, state, Step.at(state.iteration, per_epoch), replayed=True)


def _check(
    directory: RunDirectory, engine: Engine, known: dict[int, str], fingerprint: Mapping[str, Json]
) -> None:
    expected = known.get(engine.iteration)
    if expected is not None and digest(engine.weights()) != expected:
        raise DamageError(
            f"Making a state of {directory.path} again gave other weights at iteration "
            f"{engine.iteration} than the run had. {_difference(directory, fingerprint)} Or save "
            "the state while the run trains, with --weight_save_steps, in a fresh root."
        )


def _difference(directory: RunDirectory, fingerprint: Mapping[str, Json]) -> str:
    """Both fingerprints, and what of them differs: bytes are promised for equal ones alone."""
    recorded = recorded_fingerprints(directory)
    before = recorded[0] if recorded else {}
    changed = [name for name, value in fingerprint.items() if before.get(name) != value]
    advice = (
        f"Do it as it was done then: {', '.join(changed)} differs."
        if changed
        else "Nothing of that has changed, so the code has, or the run was tampered with."
    )
    return f"The run: {_in_words(before)}. Now: {_in_words(fingerprint)}. {advice}"


def _in_words(fingerprint: Mapping[str, Json]) -> str:
    return ", ".join(f"{name} {value}" for name, value in fingerprint.items()) or "not recorded"
