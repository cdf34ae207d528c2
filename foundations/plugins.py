"""How a file of the user's own becomes part of the program: ``--plugin my_method.py``.

A plugin is Python source that adds entries to registries. It is run once, as a module whose name
holds a digest of its bytes, and its entries carry that digest as their version. So a run that uses
one is named by the plugin's content, wherever the file lies, and no other run is.
"""

from __future__ import annotations

import linecache
import re
import sys
import traceback
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

from foundations.errors import UserError
from foundations.files import sha256_of
from foundations.registry import Registry, Version, adding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_HEX = 16


@dataclass(frozen=True)
class Plugin:
    """A file that was loaded.

    Args:
        path: Where it lay, absolute.
        digest: The first 16 hex digits of the sha256 of its bytes.
    """

    path: Path
    digest: str

    @property
    def module(self) -> str:
        """The name of its module: the same for the same file, and nobody else's."""
        return f"open_prune_plugin_{re.sub(r'[^0-9A-Za-z]', '_', self.path.stem)}_{self.digest}"


class AbsentPluginError(UserError):
    """A run was made with a plugin that is not loaded."""

    def __init__(self, run: object, advice: str) -> None:
        super().__init__(f"{run} was {advice}")
        self.advice = advice


_PLUGINS: Registry[Plugin] = Registry("plugin", {})
"""What was loaded, by the names of the modules."""


def load(path: str | Path) -> Plugin:
    """Run a plugin, unless it was loaded already; what it adds is there afterwards.

    Raises:
        UserError: The file is missing or is not right, with the line at which it fails; or it was
            loaded before with another content. Nothing that it added stays then.
    """
    place = Path(path).expanduser().resolve()
    source = _source(place)
    plugin = Plugin(place, sha256_of(source)[:_HEX])
    for other in loaded():
        if other.digest == plugin.digest:
            return other
        if other.path == place:
            raise UserError(
                f"{place} has changed since it was loaded. Start anew (in a notebook: restart the "
                "kernel): runs that were described with the old one would be made with the new."
            )
    _run(plugin, source)
    return plugin


def loaded() -> tuple[Plugin, ...]:
    """The plugins that were loaded, in that order."""
    return tuple(_PLUGINS[name] for name in _PLUGINS)


def digest_of(kind: type) -> Version:
    """The digest of the plugin that defines a class; 1 for every other class."""
    return _PLUGINS[kind.__module__].digest if kind.__module__ in _PLUGINS else 1


def paths_of(digests: Iterable[str]) -> dict[str, str]:
    """Where the plugins of these digests lie: what is recorded with a run that uses them."""
    wanted = set(digests)
    return {plugin.digest: str(plugin.path) for plugin in loaded() if plugin.digest in wanted}


def require(run: object, recorded: Mapping[str, str]) -> None:
    """Make sure that the plugins that a run was made with, paths by digest, are loaded.

    Raises:
        AbsentPluginError: One is not, or not with that content.
    """
    here = {plugin.digest: str(plugin.path) for plugin in loaded()}
    lacking = {digest: path for digest, path in recorded.items() if digest not in here}
    flag = f"--plugin={','.join(lacking.values())}"
    if set(lacking.values()) & set(here.values()):
        advice = f"made with {flag} before that was changed: to read it, give the file as it was."
        raise AbsentPluginError(run, advice)
    if lacking:
        raise AbsentPluginError(run, f"made with {flag}: give it to read it.")


def blame(error: BaseException) -> str | None:
    """Where in a plugin an error arose, and what it is; None if it did not pass through one."""
    return told(error, [plugin.path for plugin in loaded()])


def _source(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"The plugin {path} cannot be read: {error.strerror}.") from error


def _run(plugin: Plugin, source: bytes) -> None:
    """Run exactly the bytes that the digest is of: no ``__pycache__`` stands between."""
    spec = spec_from_file_location(plugin.module, plugin.path)
    if spec is None:
        raise UserError(f"The plugin {plugin.path} is no Python: its name must end in '.py'.")
    module = module_from_spec(spec)
    sys.modules[plugin.module] = module  # where dataclasses, and places in registries, look
    try:
        with adding(plugin.digest):
            _PLUGINS.add(plugin.module, plugin)
            exec(compile(source, str(plugin.path), "exec"), vars(module))  # noqa: S102 - what it is for
    except (Exception, SystemExit) as error:
        del sys.modules[plugin.module]
        where = told(error, [plugin.path]) or f"{type(error).__name__}: {error}"
        raise UserError(f"The plugin {plugin.path} cannot be loaded.\n{where}") from error


def told(error: BaseException, paths: Iterable[Path]) -> str | None:
    """The lines of these files at which an error arose, and the error; None if at none of them."""
    linecache.checkcache()
    names = set(map(str, paths))
    lines = list(_lines(error, names))
    what = error.msg if isinstance(error, SyntaxError) else error
    return "\n".join([*lines, f"{type(error).__name__}: {what}"]) if lines else None


def _lines(error: BaseException, names: set[str]) -> Iterator[str]:
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename in names:
            yield f"  {frame.filename}, line {frame.lineno}, in {frame.name}: {frame.line}"
    if isinstance(error, SyntaxError) and error.filename in names:
        yield f"  {error.filename}, line {error.lineno}: {(error.text or '').strip()}"
