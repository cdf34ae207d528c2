"""Graphs go to JSON and come back as they were; what a file may not name is refused."""

from __future__ import annotations

import json
import operator
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor, fx, nn

from foundations.errors import UserError
from models import families
from models.graph.trace import _graph, traced
from models.portable import operations
from models.portable.allowed import functions, methods, module_classes
from models.portable.describe import described, rebuilt, tensors
from tests.models.conftest import on_meta
from tests.models.graphs import NETWORKS, drawn, images

if TYPE_CHECKING:
    from collections.abc import Callable

TORCHVISION = [
    *("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "efficientnet_b0"),
    *(
        "squeezenet1_1",
        "googlenet",
        "inception_v3",
        "convnext_tiny",
        "vit_b_16",
        "swin_t",
        "maxvit_t",
    ),
]


def _again(graph: fx.GraphModule) -> fx.GraphModule:
    """By way of a text of JSON."""
    return rebuilt(json.loads(json.dumps(described(graph), allow_nan=False)), tensors(graph))


def _by_hand() -> fx.GraphModule:
    """Logits: filled(relu(conv(x)) with zeros between its channels) + constant, flattened."""
    graph = fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_function(torch.relu, (graph.call_module("conv", (x,)),))
    order, zeros = graph.get_attr("order"), graph.get_attr("zeros")
    y = graph.call_function(operations.filled, (y, zeros, order, 1))
    held = graph.call_function(operations.constant, (x, graph.get_attr("held")))
    y = graph.call_function(operator.add, (y, held))
    parts_of_it: Any = (slice(None), slice(0, None, 2), ...)
    y = graph.call_function(operator.getitem, (y, parts_of_it))
    graph.output(graph.call_method("flatten", (y,), {"start_dim": 1}))
    torch.manual_seed(1)
    parts = {
        "conv": nn.Conv2d(3, 2, 3, padding="same", dilation=(2, 1), bias=True),
        "order": torch.tensor([0, 2, 1]),
        "zeros": torch.zeros(1, 1, 1, 1),
        "held": torch.randn(1, 3, 1, 1),
    }
    return fx.GraphModule(parts, graph)


def test_a_graph_by_hand() -> None:
    """Outputs, code and tensors are the same, types and kinds of tensors included."""
    before = _by_hand()
    after = _again(before)
    x = torch.randn(5, 3, 6, 6)
    assert torch.equal(before(x), after(x))
    assert before.code == after.code
    assert list(before.state_dict()) == list(after.state_dict())
    assert [name for name, _ in after.named_parameters()] == ["conv.weight", "conv.bias"]
    assert after.get_buffer("order").dtype == torch.int64
    assert not after.training


@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks(name: str) -> None:
    """Every way in which channels go, in float64, to the last bit."""
    network = drawn(NETWORKS[name]())
    x = images(4)
    graph = fx.GraphModule(network, _graph(network))
    assert torch.equal(_again(graph)(x), network(x))


@pytest.mark.parametrize("name", [family.examples[0] for family in families()])
def test_every_family(name: str) -> None:
    """The code of its forward pass, its tensors and the settings of its modules come back."""
    _same(*traced(on_meta(name)))


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision(name: str) -> None:
    """Those of modules and functions that the tables do not have for our own networks."""
    _same(*traced(on_meta(f"torchvision_{name}")))


def _same(hollow: nn.Module, graph: fx.Graph) -> None:
    for node in graph.nodes:
        node.type = None  # of signatures in the source
    before = fx.GraphModule(hollow, graph)
    after = _again(before)
    assert _forward(after) == _forward(before)
    mine, other = tensors(before), tensors(after)
    assert {n: t.shape for n, t in mine.items()} == {n: t.shape for n, t in other.items()}
    for node in graph.nodes:
        if node.op == "call_module":
            name = str(node.target)
            assert str(after.get_submodule(name)) == str(before.get_submodule(name))


def _forward(graph: fx.GraphModule) -> str:
    """Its source, without the imports that tracing may leave before it."""
    return str(graph.code).partition("def forward")[2]


class Own(nn.Module):
    """A module that torch does not have."""

    def forward(self, x: Tensor) -> Tensor:
        """Twice as much."""
        return x * 2


class OwnConvolution(nn.Conv2d):
    """A convolution that does another thing."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the base's
        """More by one."""
        return super().forward(input) + 1


def _named(function: Callable[..., Any] | None = None, module: nn.Module | None = None) -> Any:
    graph = fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_module("part", (x,)) if module else graph.call_function(function, (x,))  # type: ignore[arg-type] # one is given
    graph.output(y)
    return fx.GraphModule({"part": module or nn.Identity()}, graph)


@pytest.mark.parametrize(
    ("graph", "name"),
    [
        (_named(print), "builtins.print"),
        (_named(torch.save), "torch.serialization.save"),
        (_named(module=Own()), "a Own"),
        (_named(module=OwnConvolution(1, 1, 1)), "OwnConvolution"),
        (_named(module=nn.LSTM(1, 1)), "LSTM"),
    ],
)
def test_what_no_file_can_name_is_refused_when_it_is_written(
    graph: fx.GraphModule, name: str
) -> None:
    """It says which."""
    with pytest.raises(UserError, match=name):
        described(graph)


def test_a_subclass_with_the_forward_pass_of_torch_is_that_of_torch() -> None:
    """Convolutions that differ in how they are made alone."""

    class Thin(nn.Conv2d):
        """Made for one channel."""

        def __init__(self) -> None:
            super().__init__(3, 1, 3)

    told = described(_named(module=Thin()))
    assert told["modules"]["part"]["class"] == "torch.nn.Conv2d"


def test_the_tables_hold_operations_on_tensors_alone() -> None:
    """Nothing that reads or writes files, runs code or loads modules is among them."""
    names = {
        *(name.rpartition(".")[2] for name in (*functions(), *module_classes())),
        *methods(),
    }
    bad = (
        *("load", "save", "eval", "exec", "compile", "open", "system", "hub", "import", "ops"),
        *("from_file", "numpy", "apply_", "map_", "register_hook", "set_", "storage", "jit"),
        *("methodcaller", "attrgetter", "itemgetter", "call", "share_memory_", "data_ptr"),
    )
    assert not names & set(bad)
    assert {"relu", "Conv2d", "flatten", "add", "filled", "stochastic_depth"} <= names
    assert not any("_file" in name or name.startswith("__") for name in names)


def _changed(change: Callable[[Any], object]) -> tuple[Any, dict[str, Tensor]]:
    graph = _by_hand()
    told = json.loads(json.dumps(described(graph)))
    change(told)
    return told, tensors(graph)


def _node(told: Any, name: str) -> Any:
    return next(node for node in told["nodes"] if node["name"] == name)


INJECTIONS: dict[str, Callable[[Any], object]] = {
    "a function": lambda told: _node(told, "relu").update(target="os.system"),
    "a builtin": lambda told: _node(told, "relu").update(target="builtins.eval"),
    "a function of torch": lambda told: _node(told, "relu").update(target="torch.load"),
    "an attribute": lambda told: _node(told, "relu").update(
        target="builtins.getattr", args=[{"node": "conv"}, "__class__"]
    ),
    "a method": lambda told: _node(told, "flatten").update(target="__reduce__"),
    "another method": lambda told: _node(told, "flatten").update(target="numpy"),
    "a module": lambda told: told["modules"]["conv"].update({"class": "os.PathLike"}),
    "a module of torch": lambda told: told["modules"]["conv"].update(
        {"class": "torch.nn.DataParallel"}
    ),
    "a setting": lambda told: told["modules"]["conv"]["settings"].update(device="cuda"),
    "code as a name": lambda told: _node(told, "conv").update(target='conv"); print("x"); ("'),
    "code as an argument": lambda told: _node(told, "flatten")["kwargs"].update(
        {"a=print('x'), b": 1}
    ),
    "code as a parameter": lambda told: _node(told, "x").update(target="x=print('x')"),
    "code as a node": lambda told: _node(told, "x").update(name="x: print('x')"),
    "a dunder": lambda told: _node(told, "held").update(target="__class__"),
    "an operation": lambda told: _node(told, "relu").update(op="call_eval"),
}


@pytest.mark.parametrize("change", INJECTIONS.values(), ids=INJECTIONS)
def test_what_a_file_may_not_name_is_refused(
    change: Callable[[Any], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is called."""
    with pytest.raises(UserError, match="file of this network"):
        rebuilt(*_changed(change))
    assert capsys.readouterr() == ("", "")


DAMAGES: dict[str, Callable[[Any], object]] = {
    "a newer version": lambda told: told.update(version=2),
    "no nodes": lambda told: told.pop("nodes"),
    "no graph": lambda told: told.update(nodes=[]),
    "no output": lambda told: told["nodes"].pop(),
    "a node before it is made": lambda told: told["nodes"].reverse(),
    "a text for a node": lambda told: told["nodes"].insert(0, "x"),
    "two of one name": lambda told: told["nodes"].insert(1, told["nodes"][0]),
    "no module": lambda told: told["modules"].pop("conv"),
    "a number of channels": lambda told: told["modules"]["conv"]["settings"].update(out_channels=7),
    "a bad setting": lambda told: told["modules"]["conv"]["settings"].update(out_channels="seven"),
    "a shape": lambda told: told["tensors"]["conv.weight"].update(shape=[2, 3, 3]),
    "a type": lambda told: told["tensors"]["order"].update(dtype="float32"),
    "an unknown type": lambda told: told["tensors"]["order"].update(dtype="object"),
    "a tensor less": lambda told: told["tensors"].pop("conv.bias"),
    "an argument": lambda told: _node(told, "relu").update(args=[{"lambda": 1}]),
    "deep nesting": lambda told: _node(told, "relu").update(args=[_deep(50)]),
}


def _deep(depth: int) -> Any:
    return [_deep(depth - 1)] if depth else 1


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_refused(change: Callable[[Any], object]) -> None:
    """With a message, whatever is wrong."""
    with pytest.raises(UserError, match=r"network"):
        rebuilt(*_changed(change))


def test_tensors_that_do_not_fit_are_named() -> None:
    """One of another shape or type, one that is missing, one too much."""
    graph = _by_hand()
    told, whole = described(graph), tensors(graph)
    for wrong, message in (
        ({"conv.weight": torch.zeros(2, 3, 3, 4)}, r"'conv.weight' .* \[2, 3, 3, 4\]"),
        ({"conv.bias": torch.zeros(2, dtype=torch.float64)}, r"'conv.bias' .* torch.float64"),
        ({"more": torch.zeros(2)}, "'more' .* too much"),
    ):
        with pytest.raises(UserError, match=message):
            rebuilt(told, {**whole, **wrong})
    with pytest.raises(UserError, match=r"'held' .* missing"):
        rebuilt(told, {name: value for name, value in whole.items() if name != "held"})
