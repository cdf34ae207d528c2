"""How the graph of a network becomes JSON beside its tensors, and becomes a network again.

The graph is one of evaluation mode, of modules of ``torch.nn`` and functions of torch. The JSON::

    {"version": 1,
     "modules": {"conv1": {"class": "torch.nn.Conv2d", "settings": {"in_channels": 3, ...}}, ...},
     "tensors": {"conv1.weight": {"shape": [16, 3, 3, 3], "dtype": "float32", "parameter": true},
                 ...},
     "nodes": [{"op": "placeholder", "name": "x", ...},
               {"op": "call_module", "name": "conv1", "target": "conv1", "args": [{"node": "x"}],
                "kwargs": {}}, ...]}

``models.portable.values`` says how arguments are written, ``models.portable.allowed`` what may be
named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, fx, nn

from foundations.errors import OpenPruneError, UserError
from models.portable.allowed import (
    ATTRIBUTES,
    functions,
    identifier,
    looked_up,
    methods,
    name_of_function,
    path,
)
from models.portable.modules import module_from_json, module_to_json, tensors_of
from models.portable.values import DTYPES, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foundations.hparams import Json

VERSION = 1
"""Of the JSON; a change of its meaning raises it."""


def described(module: fx.GraphModule) -> dict[str, Json]:
    """A network as JSON; ``tensors`` are what it needs beside it.

    Raises:
        UserError: It does something that a file cannot say.
    """
    called = {str(node.target) for node in module.graph.nodes if node.op == "call_module"}
    return {
        "version": VERSION,
        "modules": {name: module_to_json(module.get_submodule(name)) for name in sorted(called)},
        "tensors": {name: _kind(tensor) for name, tensor in sorted(_tensors(module).items())},
        "nodes": [_node_to_json(node) for node in module.graph.nodes],
    }


def tensors(module: fx.GraphModule) -> dict[str, Tensor]:
    """The parameters and buffers that a network reads, by name."""
    return {name: tensor.detach() for name, tensor in _tensors(module).items()}


def rebuilt(description: Json, values: Mapping[str, Tensor]) -> fx.GraphModule:
    """The network that was described, in evaluation mode.

    Args:
        description: As ``described`` gives it.
        values: Its tensors by name; they become the network's own.

    Raises:
        UserError: The description is damaged or names what it may not; or a tensor is missing, too
            much, or of another shape or type than the description says.
    """
    try:
        return _rebuilt(description, values)
    except OpenPruneError:
        raise
    except Exception as error:
        raise UserError(
            f"The file of this network is damaged: {type(error).__name__}: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"
        ) from error


def _rebuilt(description: Json, values: Mapping[str, Tensor]) -> fx.GraphModule:
    if description["version"] != VERSION:
        raise UserError(
            f"The file of this network has the version {description['version']!r}; this is "
            f"version {VERSION}: a newer open_prune wrote it, or it was damaged."
        )
    _check(description["tensors"], values)
    given = {name: _held(description["tensors"][name], value) for name, value in values.items()}
    modules = {
        path(name): module_from_json(module) for name, module in description["modules"].items()
    }
    for name, module in modules.items():
        _fill(name, module, given)
    graph = _graph(description["nodes"])
    network = fx.GraphModule(_root(graph, modules, given), graph)
    network.graph.lint()
    return network.eval()


def _root(
    graph: fx.Graph, modules: Mapping[str, nn.Module], given: Mapping[str, Tensor]
) -> dict[str, Any]:
    """What the nodes of a graph refer to, by name."""
    known = {**given, **modules}
    wanted = {
        node.target: modules if node.op == "call_module" else given
        for node in graph.nodes
        if node.op in {"call_module", "get_attr"}
    }
    for name, table in wanted.items():
        looked_up("part", name, table)
    return {name: known[name] for name in wanted}


def _tensors(module: fx.GraphModule) -> dict[str, Tensor]:
    """Those of the modules that are called, and those that the graph reads itself."""
    found: dict[str, Tensor] = {}
    for node in module.graph.nodes:
        name = str(node.target)
        if node.op == "call_module":
            own = tensors_of(module.get_submodule(name))
            found |= {f"{name}.{part}": tensor for part, tensor in own}
        elif node.op == "get_attr":
            found[name] = _attribute(module, name)
    return found


def _attribute(module: nn.Module, name: str) -> Tensor:
    owner, _, attribute = name.rpartition(".")
    value = getattr(module.get_submodule(owner), attribute)
    if not isinstance(value, Tensor):
        raise UserError(
            f"This network reads {name!r}, which is no tensor: it cannot be kept in a file."
        )
    return value


def _kind(tensor: Tensor) -> Json:
    dtype = next((name for name, known in DTYPES.items() if known == tensor.dtype), None)
    if dtype is None:
        raise UserError(f"A file of a network cannot hold tensors of {tensor.dtype}.")
    return {
        "shape": list(tensor.shape),
        "dtype": dtype,
        "parameter": isinstance(tensor, nn.Parameter),
    }


def _check(told: Mapping[str, Json], values: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not those which the description tells of."""
    for name in sorted(told.keys() ^ values.keys()):
        where = "missing" if name in told else "too much"
        raise UserError(f"The tensor {name!r} of this network is {where}: its file is damaged.")
    for name, kind in told.items():
        dtype, shape = looked_up("dtype", kind["dtype"], DTYPES), list(values[name].shape)
        if shape != kind["shape"] or values[name].dtype != dtype:
            raise UserError(
                f"The tensor {name!r} of this network is of the shape {shape} and of "
                f"{values[name].dtype}, where its file says {kind['shape']} and {dtype}."
            )


def _held(kind: Json, value: Tensor) -> Tensor:
    if kind["parameter"]:
        return nn.Parameter(value, requires_grad=value.is_floating_point())
    return value


def _fill(name: str, module: nn.Module, given: Mapping[str, Tensor]) -> None:
    """Give a module its tensors.

    Raises:
        UserError: One is missing, or its shape does not fit the settings of the module.
    """
    own = {f"{name}.{part}": tensor for part, tensor in tensors_of(module)}
    for full, tensor in own.items():
        if full not in given:
            raise UserError(f"The tensor {full!r} of this network is missing: its file is damaged.")
        if tensor.shape != given[full].shape:
            raise UserError(
                f"The tensor {full!r} of this network is of the shape {list(given[full].shape)}, "
                f"where its module is made for {list(tensor.shape)}."
            )
    state = {part: given[f"{name}.{part}"] for part, _ in tensors_of(module)}
    module.load_state_dict(state, assign=True)


def _node_to_json(node: fx.Node) -> Json:
    target: str = str(node.target)
    if node.op == "call_function":
        target = name_of_function(node.target)
    elif node.op == "call_method":
        target = looked_up("method", target, methods())
    return {
        "op": node.op,
        "name": node.name,
        "target": target,
        "args": [to_json(argument) for argument in node.args],
        "kwargs": {name: to_json(argument) for name, argument in node.kwargs.items()},
    }


def _graph(nodes: Json) -> fx.Graph:
    graph, made = fx.Graph(), dict[str, fx.Node]()
    ends = [node["op"] for node in nodes if node["op"] in {"placeholder", "output"}]
    if ends != ["placeholder", "output"] or nodes[-1]["op"] != "output":
        raise UserError(
            "The file of this network is damaged: it does not lead from one input to one output."
        )
    for node in nodes:
        name = identifier(node["name"])
        args = tuple(from_json(argument, made) for argument in node["args"])
        kwargs = {identifier(key): from_json(value, made) for key, value in node["kwargs"].items()}
        target = _target(node["op"], node["target"], args)
        if name in made:
            raise UserError(f"The file of this network is damaged: it has two nodes {name!r}.")
        made[name] = graph.create_node(node["op"], target, args, kwargs, name)
    return graph


def _target(op: object, target: object, args: tuple[Any, ...]) -> Any:  # noqa: ANN401 - of any operation
    """What a node calls or reads."""
    match op:
        case "call_function":
            function = looked_up("function", target, functions())
            if function is getattr:
                _owner, name = args
                looked_up("attribute", name, {known: known for known in ATTRIBUTES})
            return function
        case "call_method":
            return looked_up("method", target, methods())
        case "call_module" | "get_attr":
            return path(target)
        case "placeholder" | "output":
            return identifier(target)
    raise UserError(f"The file of this network has a node that does {op!r}, which none can.")
