"""Other tools that follow how a run gets on: TensorBoard, Weights & Biases.

Each is fed by a process of its own that reads ``metrics.csv`` as the run writes it. So a run does
nothing for them: it never waits for one, cannot fail from one, and computes the same bytes.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from foundations.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from foundations.run_directory import RunDirectory

SINKS = ("tensorboard", "wandb")
"""What there is; each is called as its package, and as its folder in the run's directory."""


def require(sinks: Sequence[str]) -> None:
    """Refuse sinks whose packages are not installed.

    Raises:
        UserError: Names what to install.
    """
    for name in sinks:
        if find_spec(name) is None:
            raise UserError(f"--sinks={name} needs the package {name}: pip install {name}.")


@contextmanager
def followed(
    directory: RunDirectory, sinks: Sequence[str], say: Callable[[str], None]
) -> Iterator[None]:
    """Within it, the metrics of a run are passed on as they are written.

    Args:
        directory: The run's.
        sinks: Where to; some of ``SINKS``.
        say: Told of a sink that failed, once.
    """
    from training.sinks.following import Following

    followers = [Following(directory, name, say) for name in sinks]
    try:
        yield
    finally:
        for follower in followers:
            follower.end()
        for follower in followers:
            follower.wait()
