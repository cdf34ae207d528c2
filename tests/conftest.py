"""What holds for every test: signals work as in a terminal, and the longest go first."""

import signal

import pytest

LONGEST = ("test_equivalents", "test_readme", "test_slurm")
"""Modules whose tests take a minute or more, one after another."""

# A shell ignores SIGINT for its background jobs, and nohup SIGHUP; every process that a test starts
# would inherit that, and the tests of signals would wait for what cannot come.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        _default = signal.default_int_handler if _number is signal.SIGINT else signal.SIG_DFL
        signal.signal(_number, _default)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that no worker is alone with them in the end."""
    items.sort(key=lambda item: item.path.stem not in LONGEST)
