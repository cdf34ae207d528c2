"""Draws are functions of their key alone."""

import hashlib
import subprocess
import sys

import torch
from hypothesis import given
from hypothesis import strategies as some

from foundations.draws import generator, key

PARTS = some.lists(some.integers(0, 99) | some.text("ab", max_size=3), min_size=1, max_size=3)


def test_a_key_is_the_hash_that_it_is_said_to_be() -> None:
    """Spelled out by hand: the first 63 bits of the sha256 of the JSON."""
    bits = int(hashlib.sha256(b'[7, "order", 3]').hexdigest()[:16], 16)
    assert key(7, "order", 3) == bits >> 1


@given(PARTS, PARTS)
def test_keys_are_equal_where_their_parts_are(one: list[str | int], two: list[str | int]) -> None:
    """Nothing is glued together: ``("a", "b")`` is not ``("ab",)``, and ``1`` is not ``"1"``."""
    assert (key(*one) == key(*two)) == (one == two)
    assert 0 <= key(*one) < 2**63


def test_a_draw_depends_on_nothing_drawn_before() -> None:
    """Not on the global generator, nor on other keyed ones."""
    first = torch.randperm(50, generator=generator(1, "order", 2))
    torch.rand(3)
    torch.randperm(50, generator=generator(1, "order", 1))
    again = torch.randperm(50, generator=generator(1, "order", 2))
    assert first.equal(again)
    assert not first.equal(torch.randperm(50, generator=generator(1, "order", 3)))


def test_the_low_32_bits_of_a_seed_decide() -> None:
    """As ``generator`` says of PyTorch: what differs above them alone draws the same."""
    seed = key(5, "flip")
    first, alike, another = (
        torch.rand(9, generator=torch.Generator().manual_seed(other))
        for other in (seed, seed ^ 1 << 40, seed ^ 1 << 31)
    )
    assert first.equal(alike)
    assert not first.equal(another)
    assert first.equal(torch.rand(9, generator=generator(5, "flip")))


def test_another_process_draws_the_same() -> None:
    """Whatever its hash seed."""
    code = "from foundations.draws import *; print(generator(5, 'flip').initial_seed())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(ran.stdout) == generator(5, "flip").initial_seed() == key(5, "flip")
