"""Plugins that a test loads into this process are gone after it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from foundations.plugins import _PLUGINS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foundations.registry import Registry


@contextmanager
def forgotten(*registries: Registry[Any]) -> Iterator[None]:
    """Within it no plugin is there at first; afterwards these registries are as they were."""
    every = (_PLUGINS, *registries)
    before = [(dict(registry._entries), dict(registry._versions)) for registry in every]
    _PLUGINS._entries.clear()
    try:
        yield
    finally:
        for registry, (entries, versions) in zip(every, before, strict=True):
            registry._entries, registry._versions = entries, versions
