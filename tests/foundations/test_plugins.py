"""A file of the user's own is run once, is part of the names of what uses it, and fails clearly."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from foundations import plugins
from foundations.description import BranchDesc, plugins_of
from foundations.errors import UserError
from foundations.plugins import AbsentPluginError, Plugin, load, loaded
from foundations.registry import Registry, adding
from foundations.run_directory import RunDirectory
from foundations.steps import Step
from tests.foundations.examples import KINDS, PruneExample, TrainExample
from tests.loading import forgotten

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPES: Registry[Any] = Registry("shape", {"circle": 1})
PLAIN = TrainExample()

ADDS = "import sys\nshapes = sys.modules['tests.foundations.test_plugins'].SHAPES\n"
BRANCH = """
from dataclasses import dataclass
from typing import ClassVar
from tests.foundations.examples import KINDS, RewindExample

@dataclass(frozen=True, kw_only=True)
class Mine(RewindExample):
    '''A branch.'''
    kind: ClassVar[str] = "mine"

KINDS.add("mine", Mine)
"""


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What a test loads is gone after it."""
    with forgotten(SHAPES, KINDS):
        yield


def _file(folder: Path, text: str, name: str = "my-method.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_what_it_adds_has_its_digest_for_a_version(tmp_path: Path) -> None:
    """The first 16 hex digits of the sha256 of the file; other entries keep theirs."""
    path = _file(tmp_path, ADDS + "shapes.add('square', 4, version=7)\n")
    assert load(path) == Plugin(path, _digest(path))
    assert SHAPES["square"] == 4
    assert SHAPES.version("square") == _digest(path)
    assert SHAPES.version("circle") == 1
    SHAPES.add("triangle", 3)
    assert SHAPES.version("triangle") == 1


def test_it_is_run_once(tmp_path: Path) -> None:
    """The same content again, from wherever, is the plugin that is there."""
    text = ADDS + "shapes.add('square', 4)\nshapes.runs = getattr(shapes, 'runs', 0) + 1\n"
    first = load(_file(tmp_path, text))
    assert load(str(first.path)) is first
    assert load(_file(tmp_path, text, "copy.py")) is first
    assert vars(SHAPES)["runs"] == 1
    assert loaded() == (first,)


def test_its_module_is_found_by_its_name(tmp_path: Path) -> None:
    """A place in a registry can be one in the plugin, named by its own ``__name__``."""
    text = ADDS + "shapes.add('square', f'{__name__}:SQUARE')\nSQUARE = [4]\n"
    plugin = load(_file(tmp_path, text))
    assert SHAPES["square"] == [4]
    assert plugin.module == f"open_prune_plugin_my_method_{plugin.digest}"
    assert sys.modules[plugin.module].SQUARE == [4]


def test_exactly_the_bytes_of_the_digest_are_run(tmp_path: Path) -> None:
    """No bytecode lies beside the file, which may be of another content."""
    load(_file(tmp_path, ADDS + "shapes.add('square', 4)\n"))
    assert [path.name for path in tmp_path.iterdir()] == ["my-method.py"]


def test_a_plugin_that_has_changed_is_refused(tmp_path: Path) -> None:
    """What was described with the old one would be made with the new one."""
    path = _file(tmp_path, ADDS + "shapes.add('square', 4)\n")
    load(path)
    path.write_text(ADDS + "shapes.add('square', 5)\n")
    with pytest.raises(UserError, match="has changed since it was loaded"):
        load(path)
    assert SHAPES["square"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ny = x / 0\n", "line 2, in <module>: y = x / 0\nZeroDivisionError: division"),
        ("def f(:\n", "line 1: def f(:\nSyntaxError: "),
        ("import nothing_like_it\n", "No module named 'nothing_like_it'"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        (ADDS + "shapes.add('circle', 1)\n", "line 3, in <module>: shapes.add('circle', 1)"),
        (ADDS + "shapes.add('circle', 1)\n", "The shape 'circle' exists already."),
        (
            BRANCH.replace('"mine", Mine', '"other", Mine'),
            "The kind of run 'other' calls itself 'mine'",
        ),
    ],
)
def test_an_error_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    """The user's file, line and words; none of ours."""
    path = _file(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"The plugin {path} cannot be loaded.\n  {path}, line ")
    assert "registry.py" not in str(caught.value)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A file that is missing, a folder, a file of another language."""
    for path, said in (
        (tmp_path / "absent.py", "No such file"),
        (tmp_path, "Is a directory"),
        (_file(tmp_path, "x = 1\n", "method.txt"), "must end in '.py'"),
    ):
        with pytest.raises(UserError, match=said):
            load(path)


def test_a_plugin_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """What it added before is taken back, so that the mended file can be loaded."""
    path = _file(tmp_path, ADDS + "shapes.add('square', 4)\nraise ValueError\n")
    with pytest.raises(UserError):
        load(path)
    assert "square" not in SHAPES
    assert loaded() == ()
    path.write_text(ADDS + "shapes.add('square', 5)\n")
    load(path)
    assert SHAPES["square"] == 5


def test_an_entry_of_another_plugin_is_not_taken_over() -> None:
    """Equal or not: its version would change, and with it the names of runs."""
    with adding("a" * 16):
        SHAPES.add("square", 4)
    with pytest.raises(ValueError, match="exists already"), adding("b" * 16):
        SHAPES.add("square", 4)
    assert SHAPES.version("square") == "a" * 16


def _forget() -> None:
    """Be as a new process is: the plugin and its branch are not there."""
    plugins._PLUGINS._entries.clear()
    del KINDS._entries["mine"]


def _named(path: Path) -> str:
    """The name of a branch of the plugin's kind."""
    load(path)
    return BranchDesc(parent=PLAIN, branch=KINDS["mine"](to=Step(1))).name


def test_a_kind_of_branch_is_named_by_the_content_of_its_file(tmp_path: Path) -> None:
    """Unchanged it gives one name, from wherever; changed another; and others keep theirs."""
    before = BranchDesc(parent=PLAIN, branch=PruneExample()).name
    names = []
    for name, text in (("a.py", BRANCH), ("b.py", BRANCH), ("a.py", f"{BRANCH}# changed\n")):
        names.append(_named(_file(tmp_path, text, name)))
        _forget()
    assert names[0] == names[1] != names[2]
    assert BranchDesc(parent=PLAIN, branch=PruneExample()).name == before


def test_a_run_says_which_plugins_it_stands_on(tmp_path: Path) -> None:
    """Its own, and those of the runs that it comes from; a run that needs none says nothing."""
    path = _file(tmp_path, BRANCH)
    load(path)
    mine = BranchDesc(parent=PLAIN, branch=KINDS["mine"](to=Step(1)))
    above = BranchDesc(parent=mine, branch=PruneExample())
    assert plugins_of(PLAIN) == set()
    assert plugins_of(mine) == plugins_of(above) == {_digest(path)}


def test_a_run_whose_plugin_is_not_there_says_which(tmp_path: Path) -> None:
    """Without the file, and with the file as it is after a change."""
    path = _file(tmp_path, BRANCH)
    load(path)
    mine = BranchDesc(parent=PLAIN, branch=KINDS["mine"](to=Step(1)))
    run = RunDirectory(tmp_path / mine.name / "replicate_1", 1)
    run.prepare(mine, KINDS)
    assert run.description(KINDS) == mine
    _forget()
    with pytest.raises(AbsentPluginError) as caught:
        run.description(KINDS)
    assert str(caught.value) == f"{run.path} was made with --plugin={path}: give it to read it."
    path.write_text(f"{BRANCH}# changed\n")
    load(path)
    with pytest.raises(AbsentPluginError, match="before that was changed"):
        run.description(KINDS)
