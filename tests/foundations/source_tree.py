"""What is looked for in the source of this project, by its syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "foundations",
    "platforms",
    "datasets",
    "models",
    "pruning",
    "training",
    "branches",
    "sweeps",
    "papers",
    "reports",
    "commands",
)
"""In this order: a folder imports from itself and from those before it."""

PICKLES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal")
READERS = ("torch.load", "torch.save", "torch.jit.load", "torch.hub", "torch.package")
METHODS = ("read_pickle", "to_pickle", "load_state_dict_from_url")


def sources(*folders: str) -> list[Path]:
    """The source files of folders below the root."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every absolute import, wherever it stands, with its line; ``from a import b`` is ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def against_the_order(folder: str, tree: ast.AST) -> list[str]:
    """Imports, in a file of this folder, from folders that come after it."""
    later = {*FOLDERS[FOLDERS.index(folder) + 1 :], "open_prune", "tests", "benchmarks"}
    return [f"{line}: {name}" for line, name in imported(tree) if name.split(".")[0] in later]


def pickles(tree: ast.AST) -> list[str]:
    """Everything that reads or writes a pickle."""
    return [
        *(f"{line}: {name}" for line, name in imported(tree) if _is_pickle(name)),
        *(call for node in ast.walk(tree) if (call := _pickling_call(node))),
    ]


def _is_pickle(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in PICKLES or any(
        name == reader or name.startswith(f"{reader}.") for reader in READERS
    )


def _pickling_call(node: ast.AST) -> str:
    """The source of a call that may read or write a pickle; nothing for another node."""
    if not isinstance(node, ast.Call):
        return ""
    name = ast.unparse(node.func)
    allowed = any(
        word.arg == "allow_pickle"
        and not (isinstance(word.value, ast.Constant) and not word.value.value)
        for word in node.keywords
    )
    if allowed or name in READERS or name.split(".")[-1] in METHODS:
        return f"{node.lineno}: {ast.unparse(node)}"
    return ""
