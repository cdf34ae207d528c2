"""The one way in which a name stands for a thing: models, data sets, criteria, branches, platforms.

An entry is an object or the place of one, as ``"module:attribute"``, which is imported when it is
first asked for. That keeps torch out of ``--help``, and lets a user's own file add entries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from foundations.errors import unknown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

T = TypeVar("T")


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
        self._versions = dict(versions or {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> T:
        """The entry of this name.

        Raises:
            UserError: There is none; the nearest name is suggested.
        """
        if name not in self._entries:
            raise unknown(self.what, name, self)
        entry = self._entries[name]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = cast("T", getattr(import_module(module), attribute))
            self._entries[name] = entry
        return entry

    def add(self, name: str, entry: T | str, *, version: int = 1) -> None:
        """Add an entry of one's own.

        Raises:
            ValueError: The name is taken by something else.
        """
        if self._entries.get(name, entry) != entry:
            raise ValueError(f"The {self.what} {name!r} exists already.")
        self._entries[name] = entry
        self._versions[name] = version

    def version(self, name: str) -> int:
        """The version of an entry, 1 unless its results have changed."""
        return self._versions.get(name, 1)
