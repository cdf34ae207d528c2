"""Files are whole or not there, and refusals are clear."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from foundations.errors import FAILURE, USER_ERROR, DamageError, OpenPruneError, UserError
from foundations.files import (
    make_directory,
    read_json,
    read_text,
    remove_parts,
    sha256_of,
    verify,
    write_atomically,
    write_json,
)
from tests.foundations.kills import exit_code

JSON = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.text(alphabet=some.characters(codec="utf-8"))
    | some.floats(allow_nan=False, allow_infinity=False),
    lambda values: some.lists(values) | some.dictionaries(some.text("abc"), values),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the examples of one property share."""
    return tmp_path_factory.mktemp("files")


@given(value=JSON)
def test_json_is_read_back(folder: Path, value: Any) -> None:
    """Whatever JSON can say survives, to the last bit of a float."""
    write_json(folder / "value.json", value)
    assert read_json(folder / "value.json") == value


def test_a_file_replaces_the_old_one_and_leaves_nothing_beside(tmp_path: Path) -> None:
    """Folders are made on the way."""
    path = tmp_path / "a/b/file"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_a_number_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    """JSON has no word for it, and the old file stays."""
    write_json(tmp_path / "x.json", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", float("nan"))
    assert read_json(tmp_path / "x.json") == 1


@pytest.mark.parametrize("data", [b"", b'{"a": 1', b"{'a': 1}", b"\xff\xfe"])
def test_damaged_json_is_named(tmp_path: Path, data: bytes) -> None:
    """The error says which file."""
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(DamageError, match=str(path)):
        read_json(path)


def test_a_missing_file_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    """Absence is often no error."""
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "nothing")


def test_a_checksum_is_the_same_of_bytes_and_of_a_file(tmp_path: Path) -> None:
    """The known sha256 of ``abc``, from FIPS 180."""
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(b"abc") == sha256_of(tmp_path / "abc") == known
    verify(tmp_path / "abc", known)


def test_a_file_that_cannot_be_read_is_the_users_to_mend(tmp_path: Path) -> None:
    """Its text, its JSON and its checksum alike: a folder is one that nobody may read as a file."""
    for read in (read_text, read_json, sha256_of, lambda path: verify(path, "0" * 64)):
        with pytest.raises(UserError, match=f"{tmp_path} cannot be read"):
            read(tmp_path)


def test_a_changed_or_missing_file_is_named(tmp_path: Path) -> None:
    """One changed byte is found."""
    (tmp_path / "abc").write_bytes(b"abd")
    for name in ("abc", "missing"):
        with pytest.raises(DamageError, match=str(tmp_path / name)):
            verify(tmp_path / name, sha256_of(b"abc"))


def _fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every write go to a device that is full, and get the kernel's own answer."""
    real = os.write

    def write(_: int, data: bytes) -> int:
        full = os.open("/dev/full", os.O_WRONLY)
        try:
            return real(full, data)
        finally:
            os.close(full)

    monkeypatch.setattr(os, "write", write)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_keeps_the_old_file_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a failure, not the user's mistake."""
    path = tmp_path / "file"
    write_atomically(path, b"old")
    _fill_the_disk(monkeypatch)
    with pytest.raises(OpenPruneError, match=r"no space.*file") as caught:
        write_atomically(path, b"new")
    assert caught.value.exit_code == FAILURE
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def write_more_than_allowed(path: Path) -> None:
    """Write 5000 bytes where 1000 are allowed; exits with what the command line would."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        write_atomically(path, b"x" * 5000)
    except OpenPruneError as error:
        os._exit(10 + error.exit_code)


def test_a_file_cut_short_by_a_limit_is_not_moved_into_place(tmp_path: Path) -> None:
    """The first 1000 bytes are written, the rest refused: the old file stays."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert exit_code(write_more_than_allowed, path) == 10 + FAILURE
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def _refuse(code: int) -> Callable[..., int]:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
@pytest.mark.parametrize("call", ["open", "mkdir", "replace"])
def test_an_unwritable_root_is_the_users_to_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    """Whichever call is refused, the message names the place and exits with the user's code."""
    monkeypatch.setattr(os, call, _refuse(code))
    with pytest.raises(UserError, match=str(tmp_path)) as caught:
        write_atomically(tmp_path / "new/file", b"data")
    assert caught.value.exit_code == USER_ERROR


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    """The real thing."""
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="Permission denied"):
        write_atomically(tmp_path / "file", b"data")


def test_a_failing_disk_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of another sort is passed on with the place."""
    monkeypatch.setattr(os, "fsync", _refuse(errno.EIO))
    with pytest.raises(OpenPruneError, match="could not be written") as caught:
        write_atomically(tmp_path / "file", b"data")
    assert caught.value.exit_code == FAILURE
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_directory_should_be_is_refused(tmp_path: Path) -> None:
    """It is not deleted."""
    (tmp_path / "root").write_text("mine")
    with pytest.raises(UserError, match="should be a directory"):
        make_directory(tmp_path / "root")
    assert (tmp_path / "root").read_text() == "mine"


def test_parts_are_cleared_but_for_one_folder(tmp_path: Path) -> None:
    """At any depth, and nothing else is touched."""
    for name in (".a.1.x.part", "b/.c.1.x.part", "claim/.d.part", "b/kept.part", "b/.kept"):
        write_atomically(tmp_path / name, b"")
    remove_parts(tmp_path, apart_from="claim")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"claim/.d.part", "b/kept.part", "b/.kept"}


def test_parts_are_removed_without_a_look_into_the_folder_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen contenders rename folders in there: whoever walks it finds some gone."""
    for name in ("claim/1", "states"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / ".a.part").touch()
    looked_into = []
    for call in ("scandir", "listdir"):
        real = getattr(os, call)

        def look(path: str = ".", real: Callable[[str], Any] = real) -> Any:
            looked_into.append(Path(path).name)
            return real(path)

        monkeypatch.setattr(os, call, look)
    remove_parts(tmp_path, apart_from="claim")
    assert set(looked_into) == {tmp_path.name, "states"}
    assert not (tmp_path / "states/.a.part").exists()
    assert (tmp_path / "claim/1/.a.part").exists()
