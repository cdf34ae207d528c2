"""The one way in which a name stands for a thing: models, data sets, criteria, branches, platforms.

An entry is an object or the place of one, as ``"module:attribute"``, which is imported when it is
first asked for. That keeps torch out of ``--help``, and lets a user's own file add entries.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from foundations.errors import check_known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")

Version = int | str
"""The version of an entry: 1, a higher number when its results have changed, or, of an entry of a
plugin, a digest of the plugin."""

_PLUGIN: ContextVar[tuple[str, list[tuple[Registry[Any], str]]] | None] = ContextVar(
    "plugin", default=None
)
"""The digest of the plugin that is being loaded, and what it has added so far."""

_OWN_NAMES = ("name", "kind")
"""Where an entry may say itself what it is called."""


class Registry(Generic[T]):
    """Names and what they stand for.

    Args:
        what: What the entries are, as an error message says it: ``"data set"``.
        entries: Objects, or their places as ``"module:attribute"``.
        versions: The versions above 1 of entries whose results have changed since a release;
            they enter the names of the runs that use them.
    """

    def __init__(
        self, what: str, entries: Mapping[str, T | str], versions: Mapping[str, int] | None = None
    ) -> None:
        self.what = what
        self._entries: dict[str, T | str] = dict(entries)
        self._versions: dict[str, Version] = dict(versions or {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> T:
        """The entry of this name.

        Raises:
            UserError: There is none; the nearest name is suggested.
        """
        check_known(self.what, name, self)
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = cast("T", getattr(import_module(module), attribute))
            self._entries[name] = entry
        return entry

    def add(self, name: str, entry: T | str, *, version: int = 1) -> None:
        """Add an entry of one's own. That of a plugin has the plugin's digest for its version.

        Raises:
            ValueError: The name is taken by something else, or the entry calls itself otherwise.
        """
        plugin = _PLUGIN.get()
        # What a plugin adds must be new: its version would rename the runs of an older entry.
        if name in self._entries and (plugin is not None or self._entries[name] != entry):
            raise ValueError(f"The {self.what} {name!r} exists already.")
        for own in (getattr(entry, part, name) for part in _OWN_NAMES):
            if isinstance(own, str) and own != name:
                raise ValueError(f"The {self.what} {name!r} calls itself {own!r}.")
        self._entries[name] = entry
        self._versions[name] = version if plugin is None else plugin[0]
        if plugin is not None:
            plugin[1].append((self, name))

    def version(self, name: str) -> Version:
        """The version of an entry: 1, unless its results have changed or it is a plugin's.

        Raises:
            UserError: There is no such entry.
        """
        check_known(self.what, name, self)
        return self._versions.get(name, 1)

    def _remove(self, name: str) -> None:
        del self._entries[name], self._versions[name]


@contextmanager
def adding(digest: str) -> Iterator[None]:
    """Within it, entries are added by the plugin of this digest; an error takes all back."""
    added: list[tuple[Registry[Any], str]] = []
    token = _PLUGIN.set((digest, added))
    try:
        yield
    except BaseException:
        for registry, name in added:
            registry._remove(name)  # noqa: SLF001 - nobody else may
        raise
    finally:
        _PLUGIN.reset(token)
