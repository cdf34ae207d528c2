"""Layers by the beginnings of their names."""

import pytest

from foundations.errors import UserError
from pruning.layers import begins, named_by, parse_fractions, parse_groups

NAMES = ["conv.weight", "blocks.1.conv.weight", "blocks.10.conv.weight"]


@pytest.mark.parametrize(
    ("beginning", "count"),
    [("blocks", 2), ("blocks.", 2), ("blocks.1", 1), ("blocks.1.conv.weight", 1), ("block", 0)],
)
def test_begins(beginning: str, count: int) -> None:
    """A name begins at whole parts only."""
    assert sum(begins(name, beginning) for name in NAMES) == count


def test_begins_gate() -> None:
    """A gate goes by the name of its place."""
    assert begins("gate:blocks.1.relu", "blocks.1")


def test_longest_wins() -> None:
    """Of several beginnings, the longest counts; a name without any is left out."""
    assert named_by(NAMES, ["blocks", "blocks.1"], "f") == {
        "blocks.1.conv.weight": "blocks.1",
        "blocks.10.conv.weight": "blocks",
    }


def test_no_such_layer() -> None:
    """A beginning of no name is refused, and the nearest suggested."""
    with pytest.raises(UserError, match=r"layer_groups, 'blocks\.2'"):
        named_by(NAMES, ["conv", "blocks.2"], "layer_groups")


def test_parse() -> None:
    """Groups by semicolons, and what is in them by plus signs; fractions by commas."""
    assert parse_groups("a + b.c;d") == (("a", "b.c"), ("d",))
    assert parse_fractions("a=.2, b.c = 1") == {"a": 0.2, "b.c": 1.0}


@pytest.mark.parametrize("text", ["", "a;", "a+;b", "a;a"])
def test_malformed_groups(text: str) -> None:
    """Empty names and double ones are refused."""
    with pytest.raises(UserError, match="layer_groups"):
        parse_groups(text)


@pytest.mark.parametrize("text", ["", "a", "a=", "a=x", "a=1.5", "a=-1", "a=nan", "a=.1,a=.2"])
def test_malformed_fractions(text: str) -> None:
    """So are fractions that are none."""
    with pytest.raises(UserError, match="layer_fractions"):
        parse_fractions(text)
