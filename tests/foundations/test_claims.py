"""A claim is held by one, is taken from the dead only, and knows when it is lost."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from foundations import claims, owners
from foundations.claims import Claim, ClaimLostError, Timing, owner_of
from foundations.errors import INTERRUPTED, UserError
from foundations.owners import Owner

LONG_AGO = 10_000.0


def _claim(directory: Path, timing: Timing | None = None) -> Claim:
    claim = Claim.acquire(directory, timing=timing)
    assert claim is not None
    return claim


def _owned_by(directory: Path, owner: Owner, number: int = 1, silent_s: float = 0) -> Path:
    """A claim as another process would have left it."""
    file = directory / f"claim/{number}/owner.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(owner.to_json()))
    _silence(file, silent_s)
    return file


def _silence(file: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(file, (then, then))


@pytest.fixture
def elsewhere() -> Owner:
    """A process with the same number on another machine."""
    return replace(Owner.me(), machine="another boot", host="another")


def test_a_claim_is_held_once_and_can_be_had_again_after_release(tmp_path: Path) -> None:
    """Numbers only go up, and one of them is left."""
    with _claim(tmp_path) as first:
        assert Claim.acquire(tmp_path) is None
        first.check()
        assert owner_of(tmp_path) == first.owner
    assert owner_of(tmp_path) is None
    with _claim(tmp_path) as second:
        assert second.number == first.number + 1
    assert [path.name for path in (tmp_path / "claim").iterdir()] == [str(second.number)]


def test_waiting_is_told_who_holds_it_until_it_is_free(tmp_path: Path) -> None:
    """The caller decides how to wait."""
    first = _claim(tmp_path)
    seen = []

    def wait(owner: Owner) -> None:
        seen.append(owner)
        if len(seen) == 3:
            first.release()

    second = Claim.acquire(tmp_path, wait=wait)
    assert second is not None
    assert seen == [first.owner] * 3
    second.release()


def test_releasing_twice_leaves_the_next_owner_alone(tmp_path: Path) -> None:
    """The second time does nothing."""
    first = _claim(tmp_path)
    first.release()
    with _claim(tmp_path) as second:
        first.release()
        second.check()


def test_a_released_claim_no_longer_holds(tmp_path: Path) -> None:
    """Whoever goes on working is told."""
    claim = _claim(tmp_path)
    claim.release()
    with pytest.raises(ClaimLostError):
        claim.check()


def test_an_owner_on_another_machine_lives_while_its_heart_beats(
    tmp_path: Path, elsewhere: Owner
) -> None:
    """Its process number says nothing here."""
    file = _owned_by(tmp_path, elsewhere)
    assert Claim.acquire(tmp_path) is None
    _silence(file, 119)
    assert Claim.acquire(tmp_path) is None
    _silence(file, 122)
    with _claim(tmp_path) as claim:
        assert claim.number == 2


def test_silence_is_judged_by_the_clock_of_the_file_system(
    tmp_path: Path, elsewhere: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine whose own clock is wrong takes nothing from the living."""
    _owned_by(tmp_path, elsewhere)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert Claim.acquire(tmp_path) is None


def test_a_process_number_that_was_given_again_is_not_the_owner(tmp_path: Path) -> None:
    """This process has the number, but started at another time."""
    me = Owner.me()
    _owned_by(tmp_path, replace(me, started=me.started - 100))
    owner = owner_of(tmp_path)
    assert owner is not None
    assert not owner.alive
    _claim(tmp_path).release()


def test_the_heartbeat_touches_the_owner_file_until_release(tmp_path: Path) -> None:
    """And its thread ends."""
    threads = threading.active_count()
    claim = _claim(tmp_path, Timing(heartbeat_s=0.01))
    file = tmp_path / "claim/1/owner.json"
    _silence(file, LONG_AGO)
    while time.time() - file.stat().st_mtime > 100:
        time.sleep(0.005)
    claim.release()
    assert threading.active_count() == threads


def test_an_owner_who_was_thought_dead_finds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check says who has the run, and a late release does not take it from him."""
    late = _claim(tmp_path)
    _silence(tmp_path / "claim/1/owner.json", LONG_AGO)
    monkeypatch.setattr(owners, "_machine", lambda: "another boot")
    with _claim(tmp_path) as now:
        with pytest.raises(ClaimLostError, match=f"taken over by process {os.getpid()}") as caught:
            late.check()
        assert caught.value.exit_code == INTERRUPTED
        late.release()
        now.check()


def test_a_claim_whose_directory_was_deleted_is_lost(tmp_path: Path) -> None:
    """Nobody goes on without one, and its release is quiet."""
    claim = _claim(tmp_path)
    (tmp_path / "claim/1/owner.json").unlink()
    (tmp_path / "claim/1").rmdir()
    with pytest.raises(ClaimLostError, match="was deleted"):
        claim.check()
    claim.release()


def test_a_contender_with_an_old_listing_gives_way(tmp_path: Path) -> None:
    """It makes a number that was free again, sees a higher one, and removes its own."""
    holder = tmp_path / "claim"
    for _ in range(3):
        _claim(tmp_path).release()
    with _claim(tmp_path) as owner:
        assert [path.name for path in holder.iterdir()] == ["4"]
        assert not claims._try(holder, 2, Owner.me(), Timing())
        owner.check()
        assert [path.name for path in holder.iterdir()] == ["4"]


def test_a_contender_that_is_too_late_for_a_number_leaves_nothing(tmp_path: Path) -> None:
    """The number exists: it stays with its owner."""
    with _claim(tmp_path) as owner:
        assert not claims._try(tmp_path / "claim", 1, Owner.me(), Timing())
        owner.check()
        assert [path.name for path in (tmp_path / "claim").iterdir()] == ["1"]


@pytest.mark.parametrize("damage", ["", "{}", '{"token": 3}', "[]"])
def test_a_damaged_owner_is_a_stranger_who_dies_of_silence(tmp_path: Path, damage: str) -> None:
    """Nobody can say who it was; so only the heartbeat counts."""
    file = _owned_by(tmp_path, Owner.me())
    file.write_text(damage)
    assert Claim.acquire(tmp_path) is None
    _silence(file, LONG_AGO)
    _claim(tmp_path).release()


def test_a_number_without_an_owner_is_a_stranger_too(tmp_path: Path) -> None:
    """Somebody deleted a file by hand."""
    folder = tmp_path / "claim/7"
    folder.mkdir(parents=True)
    (folder / "foreign").touch()
    assert Claim.acquire(tmp_path) is None
    _silence(folder, LONG_AGO)
    with _claim(tmp_path) as claim:
        assert claim.number == 8


def test_what_dead_contenders_left_is_cleared(tmp_path: Path, elsewhere: Owner) -> None:
    """The next owner removes it, but not what a living one may be making."""
    holder = tmp_path / "claim"
    names = {".dead.part": Owner.me(), ".alive.part": elsewhere}
    for name, owner in names.items():
        (holder / name).mkdir(parents=True)
        (holder / name / "owner.json").write_text(json.dumps(owner.to_json()))
    dead = replace(Owner.me(), started=1.0)
    (holder / ".dead.part/owner.json").write_text(json.dumps(dead.to_json()))
    (holder / ".probe.part").touch()
    _silence(holder / ".probe.part", LONG_AGO)
    _claim(tmp_path).release()
    assert {path.name for path in holder.iterdir()} == {"1", ".alive.part"}


def test_a_place_that_cannot_be_written_is_refused() -> None:
    """The message says where."""
    with pytest.raises(UserError, match="/proc"):
        Claim.acquire(Path("/proc/run"))


def test_nobody_owns_what_does_not_exist(tmp_path: Path) -> None:
    """And asking makes nothing."""
    assert owner_of(tmp_path / "nothing") is None
    assert list(tmp_path.iterdir()) == []


def test_an_owner_is_written_down_and_read_back() -> None:
    """All but whether it lives."""
    me = Owner.me()
    assert Owner.from_json(json.loads(json.dumps(me.to_json()))) == me
    assert Owner.me().token != me.token
