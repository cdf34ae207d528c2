"""A run as a value to read from: its description, model, mask and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from branches import KINDS
from branches.base import recipe_in
from foundations.errors import UserError
from foundations.run_directory import Fact
from foundations.steps import Step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from foundations.description import Description
    from foundations.hparams import Json
    from foundations.run_directory import RunDirectory, RunState
    from foundations.tables import Metric
    from pruning.mask import Mask
    from training.description import TrainDesc
    from training.measures.accuracy import Accuracy
    from training.setting import Setting
    from training.state import State


@dataclass(frozen=True)
class Run:
    """One replicate of a run, read from its directory as it stands.

    Args:
        directory: Where it is kept.
        data_root: Where the data set is; its shape decides the network's.
    """

    directory: RunDirectory
    data_root: Path

    @property
    def name(self) -> str:
        """The name of the run, without its replicate."""
        return self.directory.name

    @property
    def path(self) -> Path:
        """The directory."""
        return self.directory.path

    @property
    def state(self) -> RunState:
        """How far it is."""
        return self.directory.state

    @property
    def description(self) -> Description:
        """What the run is."""
        return self.directory.description(KINDS)

    @property
    def recipe(self) -> TrainDesc:
        """The network, data and training hyperparameters by which it trains."""
        return recipe_in(self.directory, self.description)

    @property
    def metrics(self) -> list[Metric]:
        """All that was measured: rows of iteration, epoch, phase, name, value."""
        return self.directory.metrics()

    @property
    def accuracy(self) -> float | None:
        """The test accuracy that was measured last, in [0, 1]; None where none was."""
        found = [row.value for row in self.metrics if (row.phase, row.name) == ("test", "accuracy")]
        return found[-1] if found else None

    @property
    def sparsity(self) -> Json:
        """Kept and total weights, by layer and in all."""
        return self.directory.fact(Fact.SPARSITY)

    @property
    def steps(self) -> list[Step]:
        """The steps whose states are there."""
        return sorted(self.directory.available(), key=lambda step: (step.epoch, step.iteration))

    def weights(self, step: Step | str | None = None) -> dict[str, Tensor]:
        """Parameters and buffers by name, on the CPU, at a step or in the end."""
        return self._state(step).weights

    def mask(self, step: Step | str | None = None) -> Mask:
        """What is kept; everything, for a run that is not pruned."""
        from models.build import prunable
        from pruning.mask import Mask

        state = self._state(step)
        return state.mask or Mask.dense(state.weights, prunable(self._setting().network()))

    def model(self, step: Step | str | None = None) -> nn.Module:
        """The network with its weights at a step or in the end, in evaluation mode.

        Its pruned weights are zero, and so are the gates that its mask cuts.
        """
        from models.gates import gate_tensors

        state = self._state(step)
        network = self._setting().network(state.mask)
        network.load_state_dict(state.weights)
        for name, gate in gate_tensors(state.mask or {}).items():
            network.get_buffer(name).copy_(gate)
        return network.eval()

    def evaluate(
        self,
        splits: Sequence[str] = ("test",),
        *,
        top_k: Sequence[int] = (),
        step: Step | str | None = None,
        per_class: bool = False,
    ) -> list[Accuracy]:
        """Accuracy and loss at a step that is there, or in the end; on the CPU.

        Args:
            splits: Any of ``test``, ``validation`` and ``train``, which is not augmented.
            top_k: For which k the top-k accuracy is measured too.
            step: By default the last that is there.
            per_class: Whether the accuracy of each class is measured too.

        Raises:
            UserError: There is no such state, or no such split.
        """
        import torch

        from training import numerics
        from training.measures.accuracy import evaluate
        from training.measures.subject import Subject

        subject = Subject.of(self._setting(), self._state(step))
        with numerics.applied(self.recipe.training.numerics, torch.get_num_threads()):
            return evaluate(subject, splits, top_k=top_k, per_class=per_class)

    def _state(self, step: Step | str | None) -> State:
        from training.saving import load

        if isinstance(step, str):
            step = Step.parse(step)
        if step is None and not self.steps:
            raise UserError(f"{self.path} has no state yet.")
        wanted = self.steps[-1] if step is None else step
        start = self.directory.fact(Fact.START)
        per_epoch = start["iterations_per_epoch"]
        iteration = wanted.iterations(per_epoch)
        return load(self.directory, Step.at(iteration, per_epoch), iteration)

    def _setting(self) -> Setting:
        import torch

        from training.setting import Setting

        device = torch.device("cpu")
        return Setting(self.recipe, self.directory.replicate, self.data_root, device)
