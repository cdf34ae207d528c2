"""Names stand for things, found late, and can be added to."""

import sys

import pytest

from foundations.errors import UserError
from foundations.registry import Registry


def _registry() -> Registry[object]:
    return Registry("shape", {"circle": 1, "calendar": "calendar:TextCalendar"}, {"circle": 3})


def test_an_entry_is_imported_when_it_is_first_asked_for() -> None:
    """Not when names are listed or looked for."""
    for name in [name for name in sys.modules if name.startswith("wsgiref")]:
        del sys.modules[name]
    registry: Registry[object] = Registry("server", {"simple": "wsgiref.headers:Headers"})
    assert list(registry) == ["simple"]
    assert "simple" in registry
    assert "wsgiref.headers" not in sys.modules
    assert registry["simple"] is sys.modules["wsgiref.headers"].Headers


def test_an_unknown_name_gets_the_nearest_and_all_that_are_known() -> None:
    """A mistyped name is a user's error."""
    with pytest.raises(UserError, match=r"no shape 'cirlce'\. Did you mean 'circle'") as caught:
        _registry()["cirlce"]
    assert "Known: calendar, circle" in str(caught.value)


def test_a_user_can_add_an_entry_but_not_take_a_name() -> None:
    """Adding the same twice is no error."""
    registry = _registry()
    for _ in range(2):
        registry.add("square", 4, version=2)
    assert (registry["square"], registry.version("square")) == (4, 2)
    with pytest.raises(ValueError, match="'circle' exists already"):
        registry.add("circle", 2)


def test_versions_are_one_unless_something_changed() -> None:
    """They enter names of runs only above 1."""
    assert (_registry().version("circle"), _registry().version("calendar")) == (3, 1)
