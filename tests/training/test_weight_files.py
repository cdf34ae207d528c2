"""Weights from elsewhere: read, named as here, fitted to a network, or refused in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from foundations.errors import DamageError, UserError
from training.weight_files import fit, read_weights

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = {"fc.bias": torch.arange(3.0), "fc.weight": torch.arange(6.0).view(3, 2) / 7}


def _saved(path: Path, value: object) -> Path:
    torch.save(value, path)
    return path


def _same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].dtype == expected[name].dtype and torch.equal(found[name], expected[name])
        for name in expected
    )


@pytest.mark.parametrize(
    "stored",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 3},
        {"model_state_dict": WEIGHTS, "optimizer_state_dict": {"lr": 0.1}},
        {"net": WEIGHTS, "acc": 93.0},
        {"model": {"state_dict": WEIGHTS}},
        {f"module.{name}": value for name, value in WEIGHTS.items()},
        {f"_orig_mod.module.{name}": value for name, value in WEIGHTS.items()},
        {name: nn.Parameter(value.double()) for name, value in WEIGHTS.items()},
    ],
    ids=["plain", "state_dict", "model_state_dict", "net", "twice", "module", "both", "double"],
)
def test_the_usual_forms(tmp_path: Path, stored: object) -> None:
    """Whatever is around a state dict, its tensors come out, in float32 and without prefixes."""
    assert _same(read_weights(_saved(tmp_path / "weights.pth", stored)), WEIGHTS)


def test_safetensors(tmp_path: Path) -> None:
    """The same weights are the same, from either kind of file."""
    save_file(
        {f"module.{name}": value for name, value in WEIGHTS.items()}, tmp_path / "w.safetensors"
    )
    assert _same(read_weights(str(tmp_path / "w.safetensors")), WEIGHTS)


def test_types_and_prefixes_that_are_kept(tmp_path: Path) -> None:
    """Whole numbers stay such; a prefix that only some names have is part of them."""
    stored = {"module.x": torch.tensor(4), "y": torch.ones(2, dtype=torch.bfloat16)}
    found = read_weights(_saved(tmp_path / "w.pt", stored))
    assert _same(found, {"module.x": torch.tensor(4), "y": torch.ones(2)})


def test_names_are_changed(tmp_path: Path) -> None:
    """Beginnings, the first that fits; what fits nothing, or makes two names one, is refused."""
    path = _saved(tmp_path / "w.pth", WEIGHTS)
    assert set(read_weights(path, ["fc.b=out.b", "fc=linear"])) == {"out.bias", "linear.weight"}
    assert set(read_weights(path, ["=net."])) == {"net.fc.bias", "net.fc.weight"}
    with pytest.raises(UserError, match=r"begins with 'cf'.*fc\.bias"):
        read_weights(path, ["cf=x"])
    with pytest.raises(UserError, match="two weights the same name"):
        read_weights(path, ["fc.bias=x", "fc.weight=x"])


def test_other_objects_are_not_loaded(tmp_path: Path) -> None:
    """A pickle of a network would run code of the file; a list has no names."""
    for value, said in (
        (nn.Linear(2, 2), "not loaded"),
        ([torch.ones(2)], "no state dict, but a list"),
        ({}, "no state dict"),
        ({"epoch": 3, "weights": torch.ones(2)}, "not tensors are epoch"),
    ):
        with pytest.raises(UserError, match=said):
            read_weights(_saved(tmp_path / "w.pth", value))


def test_files_that_are_none(tmp_path: Path) -> None:
    """Absent, of another kind, or cut short."""
    with pytest.raises(UserError, match="There is no file"):
        read_weights(tmp_path / "absent.pth")
    path = tmp_path / "w.pth"
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match="no file of weights"):
        read_weights(path)
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(data[:-4])
    with pytest.raises(DamageError, match=r"w\.safetensors is damaged"):
        read_weights(tmp_path / "w.safetensors")


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    """No run can begin with them."""
    stored = WEIGHTS | {"fc.bias": torch.tensor([1.0, float("nan"), 0.0])}
    with pytest.raises(DamageError, match=r"fc\.bias holds values that are not finite"):
        read_weights(_saved(tmp_path / "w.pth", stored))


def test_weights_that_do_not_fit() -> None:
    """All that is missing, too much, or of another shape is named."""
    own = {"a": torch.ones(2), "b": torch.ones(2, 3), "c": torch.ones(1)}
    given = {"a": torch.ones(2), "b": torch.ones(3, 2), "d": torch.ones(1)}
    with pytest.raises(UserError) as caught:
        fit(given, own, "my_net")
    assert str(caught.value).startswith(
        "These are not the weights of my_net.\n"
        "  missing: c\n  too much: d\n  of another shape: b (3x2, not 2x3)"
    )
    many = {f"layer{number:02}": torch.ones(1) for number in range(30)}
    with pytest.raises(UserError, match=r"layer07 and 22 more$"):
        fit({}, many, "my_net")


def test_weights_that_fit() -> None:
    """In the network's order and types; batches that old files did not count are none."""
    own = {"b": torch.ones(2), "a": torch.ones(1), "n.num_batches_tracked": torch.tensor(0)}
    found = fit({"a": torch.tensor([5.0]), "b": torch.tensor([1, 2])}, own, "my_net")
    assert list(found) == list(own)
    assert _same(
        found,
        {
            "b": torch.tensor([1.0, 2.0]),
            "a": torch.tensor([5.0]),
            "n.num_batches_tracked": torch.tensor(0),
        },
    )
