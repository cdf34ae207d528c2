"""What is measured of a state, against slow computations in float64."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from foundations.errors import UserError
from models.build import BATCHNORMS
from models.gates import GATE
from pruning.mask import Mask
from tests.training.examples import CPU, network_for, random_data, recipe
from training.measures.accuracy import evaluate
from training.measures.dimensions import effective_dimensions
from training.measures.gradient import gradient_norm
from training.measures.recalibration import recalibrated
from training.measures.subject import Subject
from training.setting import Setting
from training.state import State

if TYPE_CHECKING:
    from collections.abc import Mapping

RESNET, LENET = "cifar_resnet_8_4", "digits_lenet_8_6"
GATED = f"{GATE}blocks.0.relu_1"
GATE_VALUES = torch.tensor([True, False, True, True])


def _subject(
    model: str = RESNET, *, masked: bool = True, train: int = 10, test: int = 7, **flags: Any
) -> Subject:
    """A network whose every value is drawn, some weights and a gate of it cut, on random data."""
    job = recipe(model_name=model, numerics="float64", **flags)
    data = random_data(train, test, shape=(3 if model == RESNET else 1, 8, 8))
    drawn = torch.Generator().manual_seed(1)
    weights = {
        name: value + 0.3 * torch.rand(value.shape, generator=drawn).to(value.dtype)
        for name, value in network_for(job, data).state_dict().items()
    }
    mask = None
    if masked:
        layers = [name for name, weight in weights.items() if weight.dim() > 1]
        cut = {name: torch.rand(weights[name].shape, generator=drawn) > 0.4 for name in layers}
        mask = Mask(cut | ({GATED: GATE_VALUES} if model == RESNET else {}))
    setting = Setting(job, 1, Path("nowhere"), CPU)
    setting.__dict__["data"] = data  # in the place of what it would load
    return Subject.of(setting, State(0, weights, mask))


def _images(subject: Subject, split: str) -> tuple[Tensor, Tensor]:
    """All normalized images of a split, and their labels."""
    batches = subject.setting.evaluation(split)
    assert batches is not None
    ((images, labels),) = batches
    return images.double(), labels


def _by_hand(subject: Subject, changed: Mapping[str, Tensor] | None = None) -> nn.Module:
    """The network as a module in evaluation mode; the mask is put on by hand."""
    weights = {**subject.weights, **(changed or {})}
    mask = subject.mask or Mask({})
    network = subject.setting.network().double().eval()
    cut = {name: weights[name] * mask[name] for name in mask if name in weights}
    network.load_state_dict({**weights, **cut})
    if GATED in mask:  # a block puts out what its last activation gives
        network.get_submodule("blocks.0").register_forward_hook(
            lambda _, __, output: output * GATE_VALUES[:, None, None]
        )
    return network


@pytest.mark.parametrize("model", [RESNET, LENET])
@pytest.mark.parametrize("split", ["test", "train"])
def test_accuracy_loss_and_top_k(model: str, split: str) -> None:
    """Counted one example after another, gates and masks included."""
    subject = _subject(model, loss_temperature=2.0)
    images, labels = _images(subject, split)
    with torch.no_grad():
        logits = _by_hand(subject)(images)
    (found,) = evaluate(subject, [split], top_k=(1, 2))
    places = [
        sorted(range(3), key=lambda c, row=row: -row[c]).index(label)  # type: ignore[misc] # bound
        for row, label in zip(logits.tolist(), labels.tolist(), strict=True)
    ]
    losses = [
        -functional.log_softmax(row / 2, 0)[label].item()
        for row, label in zip(logits, labels, strict=True)
    ]
    assert found["split"] == split
    assert found["examples"] == len(labels)
    assert found["metrics"] == {
        "accuracy": pytest.approx(sum(p < 1 for p in places) / len(labels)),
        "loss": pytest.approx(np.mean(losses), rel=1e-12),
        "top1": pytest.approx(sum(p < 1 for p in places) / len(labels)),
        "top2": pytest.approx(sum(p < 2 for p in places) / len(labels)),
    }
    assert "per_class" not in found


def test_accuracy_of_each_class() -> None:
    """What scikit-learn calls the recall of a class."""
    subject = _subject(LENET, test=40)
    images, labels = _images(subject, "test")
    with torch.no_grad():
        predicted = _by_hand(subject)(images).argmax(1)
    (found,) = evaluate(subject, per_class=True)
    expected = recall_score(labels, predicted, average=None, zero_division=0)
    assert found["per_class"] == pytest.approx(list(expected))
    assert len(set(predicted.tolist())) > 1


def test_a_class_without_examples_has_no_accuracy() -> None:
    """It is None, not 0."""
    (found,) = evaluate(_subject(LENET, test=2), per_class=True)
    accuracies = found["per_class"]
    assert [accuracy is None for accuracy in accuracies] == [False, False, True]


def test_no_validation_split() -> None:
    """It is refused where nothing was held out."""
    with pytest.raises(UserError, match="no validation split"):
        evaluate(_subject(LENET), ["validation"])


@pytest.mark.parametrize("batches", [None, 1])
def test_recalibration(batches: int | None) -> None:
    """Averages, over whole batches, of the mean and unbiased variance of what each norm reads."""
    subject = _subject(train=10)
    network = _by_hand(subject).train()
    read: dict[str, list[Tensor]] = {}
    for name, module in network.named_modules():
        if isinstance(module, BATCHNORMS):
            module.register_forward_pre_hook(
                lambda _, given, name=name: read.setdefault(name, []).append(given[0])
            )
    expected_batches = 2 if batches is None else batches  # of 4 examples; 2 are left over
    for images, _ in subject.training_batches(expected_batches):
        network(images.double())
    found = recalibrated(subject, batches)
    changed = {n for n in found.weights if not torch.equal(found.weights[n], subject.weights[n])}
    for name, inputs in read.items():
        assert len(inputs) == expected_batches
        means = torch.stack([x.mean((0, 2, 3)) for x in inputs]).mean(0)
        variances = torch.stack([x.transpose(0, 1).flatten(1).var(1) for x in inputs]).mean(0)
        torch.testing.assert_close(found.weights[f"{name}.running_mean"], means)
        torch.testing.assert_close(found.weights[f"{name}.running_var"], variances)
    assert changed == {
        f"{name}.{part}"
        for name in read
        for part in ("running_mean", "running_var", "num_batches_tracked")
    }


def test_recalibration_leaves_its_subject_as_it_was() -> None:
    """The statistics of the subject are not written to."""
    subject = _subject()
    before = {name: value.clone() for name, value in subject.weights.items()}
    recalibrated(subject)
    assert all(torch.equal(before[name], value) for name, value in subject.weights.items())


def test_recalibration_needs_batch_norms() -> None:
    """A network without them is refused."""
    with pytest.raises(UserError, match="has no batch norms"):
        recalibrated(_subject(LENET))


@pytest.mark.parametrize("model", [RESNET, LENET])
def test_gradient_norm(model: str) -> None:
    """Of the mean over examples, cut weights left out; batch norms as in training."""
    subject = _subject(model, label_smoothing=0.1, batchnorm_frozen=model == RESNET)
    network = _by_hand(subject).train()
    total = torch.zeros((), dtype=torch.float64)
    for images, labels in subject.training_batches(3):
        logits = network(images.double())
        total = total + functional.cross_entropy(
            logits, labels, label_smoothing=0.1, reduction="sum"
        )
    (total / 10).backward()  # type: ignore[no-untyped-call] # of torch
    squares: dict[str, float] = {}
    for name, parameter in network.named_parameters():
        frozen = ".bn" in name or name.startswith("bn") or ".shortcut.1" in name
        if not frozen and parameter.grad is not None:
            kept = (subject.mask or Mask({})).get(name, torch.ones(()))
            squares[name] = float((parameter.grad * kept).square().sum())
    layers = [name for name in squares if network.get_parameter(name).dim() > 1]
    found = gradient_norm(subject)
    assert found["examples"] == 10
    assert found["norm"] == pytest.approx(sum(squares.values()) ** 0.5, rel=1e-9)
    of_layers = sum(squares[name] for name in layers) ** 0.5
    assert found["norm_of_prunable"] == pytest.approx(of_layers, rel=1e-9)
    assert gradient_norm(subject, 2)["examples"] == 8


def test_more_batches_than_there_are() -> None:
    """They are refused, with how many examples there are."""
    with pytest.raises(UserError, match="4 batches of 4"):
        gradient_norm(_subject(LENET), 4)


def _activations(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What every ReLU gives on the test set, the gate put on by hand."""
    relu, given = functional.relu, list[Tensor]()

    def recorded(x: Tensor, *_: Any, **__: Any) -> Tensor:
        given.append(relu(x))
        return given[-1]

    network = _by_hand(subject)
    for name, module in network.named_modules():
        if name.startswith("fc_layers."):  # a LeNet has its ReLU from before the patch
            module.register_forward_hook(lambda _, __, output: given.append(relu(output)))
    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(functional, "relu", recorded)
        network(_images(subject, "test")[0])
    if subject.mask and GATED in subject.mask:
        given[2] = given[2] * GATE_VALUES[:, None, None]
    return [x.flatten(1) for x in given]


@pytest.mark.parametrize(
    ("model", "test", "memory"),
    [
        (RESNET, 7, 2**30),
        (RESNET, 7, 200_000),
        (RESNET, 7, 1),
        (RESNET, 300, 2**30),
        (RESNET, 300, 200_000),
        (LENET, 30, 2**30),
        (LENET, 30, 1),
        (LENET, 1, 2**30),
    ],
)
def test_effective_dimensions(
    model: str, test: int, memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from the eigenvalues of the covariance, with any memory, fewer examples or features."""
    subject = _subject(model, test=test)
    found = effective_dimensions(subject, memory=memory)
    inputs = _activations(subject, monkeypatch)
    assert [layer.features for layer in found] == [x.shape[1] for x in inputs]
    for layer, x in zip(found, inputs, strict=True):
        eigenvalues = np.linalg.eigvalsh(np.cov(x.T.numpy(), bias=True))
        squares = (eigenvalues**2).sum()
        expected = np.abs(eigenvalues).sum() ** 2 / squares if squares else 0
        assert layer.dimensions == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert layer.dimensions <= min(x.shape[1], max(test - 1, 0)) + 1e-9


def test_layers_of_effective_dimensions_are_in_order() -> None:
    """By their sites, one after another."""
    names = [layer.layer for layer in effective_dimensions(_subject())]
    blocks = [f"blocks.{n}.{relu}" for n in range(3) for relu in ("relu", "relu_1")]
    assert names == ["relu", *blocks]


def test_effective_dimensions_of_some_examples() -> None:
    """They are drawn, and so many; more than there are is refused."""
    subject = _subject(LENET, test=30)
    some = effective_dimensions(subject, examples=3)
    assert all(layer.dimensions <= 2 + 1e-9 for layer in some)
    assert effective_dimensions(subject, examples=3) == some
    every = [layer.dimensions for layer in effective_dimensions(subject, examples=30)]
    assert every == pytest.approx([layer.dimensions for layer in effective_dimensions(subject)])
    with pytest.raises(UserError, match="the test split has 30"):
        effective_dimensions(subject, examples=31)


class _Largest(TorchDispatchMode):  # type: ignore[no-untyped-call] # of torch
    """Notes how large the largest tensor is that anything gives."""

    bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        for tensor in given if isinstance(given, tuple | list) else [given]:
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.numel() * tensor.element_size())
        return given


@pytest.mark.parametrize("test", [50, 1100])
def test_effective_dimensions_take_no_more_memory_than_they_may(test: int) -> None:
    """The covariance of 1,000 units has 8 MB; no tensor takes more than half of what is allowed."""
    subject = _subject("digits_lenet_1000", test=test, masked=False)
    with _Largest() as largest:  # type: ignore[no-untyped-call] # of torch
        (narrow,) = effective_dimensions(subject, memory=2**20)
    assert largest.bytes <= 2**19
    (wide,) = effective_dimensions(subject)
    assert narrow.dimensions == pytest.approx(wide.dimensions, rel=1e-9)


def test_a_gate_that_the_network_does_not_have() -> None:
    """It is refused, and the nearest named."""
    subject = _subject()
    other = Subject(subject.setting, subject.weights, Mask({f"{GATE}blocks.9.relu": GATE_VALUES}))
    with pytest.raises(UserError, match="no place for a gate"):
        evaluate(other)
