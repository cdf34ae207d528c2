"""Errors carry the exit code that the command line promises."""

import pytest

from foundations import errors
from foundations.claims import ClaimLostError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.OpenPruneError, 1),
        (errors.UserError, 2),
        (errors.DamageError, 1),
        (errors.RunFailedError, 1),
        (errors.InterruptedRunError, 75),
        (ClaimLostError, 75),
    ],
)
def test_exit_codes(error: type[errors.OpenPruneError], code: int) -> None:
    """2 for a user's mistake, 1 for a failure, a code of its own for what can be continued."""
    assert error("message").exit_code == code


def test_an_unknown_name_with_nothing_near_lists_what_is_known() -> None:
    """No far-fetched suggestion is made."""
    message = str(errors.unknown("model", "zzz", ["vgg", "lenet"]))
    assert message == "There is no model 'zzz'. Known: lenet, vgg."
    assert str(errors.unknown("model", "zzz", [])).endswith("Known: none.")
