"""Files are whole, or what they were before."""

import contextlib
import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from generate import toy_metadata, toy_models

from lammps_les.files import write_atomically
from lammps_les.model_file import ModelFileError
from lammps_les_export import write_model


@contextlib.contextmanager
def small_disk() -> Iterator[None]:
    """No file may grow beyond 1000 bytes; Python ignores the signal, so it is an error.

    Around what is tested alone: where pytest's own output goes to a file, it is limited as well.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_is_written_and_replaced(tmp_path):
    for data in (b"before", b"", b"x" * 100_000):
        write_atomically(tmp_path / "a", data)
        assert (tmp_path / "a").read_bytes() == data
        assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_link_stays_one_and_a_device_is_written_to(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("link", "dangling"):
        (tmp_path / name).symlink_to(Path("there") / name)
    (tmp_path / "there" / "link").write_bytes(b"before")
    for name in ("link", "dangling"):
        write_atomically(tmp_path / name, b"x")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "there" / name).read_bytes() == b"x"
    (tmp_path / "null").symlink_to("/dev/null")
    write_atomically(tmp_path / "null", b"x")
    assert not os.path.isfile("/dev/null")
    read, write = os.pipe()
    write_atomically(Path(f"/proc/self/fd/{write}"), b"x")
    assert os.read(read, 2) == b"x"
    os.close(read)
    os.close(write)


def test_a_full_disk_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_bytes(b"before")
    for name in ("a", "b"):
        with pytest.raises(OSError, match=rf"{name}'$") as caught, small_disk():
            write_atomically(tmp_path / name, b"x" * 2000)
        assert caught.value.errno == errno.EFBIG
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"before"


def test_a_model_file_on_a_full_disk(tmp_path):
    network = toy_models()["linear"][0]
    (tmp_path / "m.pt").write_bytes(b"before")
    metadata = toy_metadata(network, "float64")
    full = r"cannot write .*m\.pt: File too large$"
    with pytest.raises(ModelFileError, match=full), small_disk():
        write_model(tmp_path / "m.pt", network, metadata)
    assert [file.name for file in tmp_path.iterdir()] == ["m.pt"]
    assert (tmp_path / "m.pt").read_bytes() == b"before"


def test_an_interruption_leaves_what_was_there(tmp_path, monkeypatch):
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", b"x")
    assert not list(tmp_path.iterdir())


def test_a_place_that_takes_no_file_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="folder'$"):
        write_atomically(tmp_path / "folder", b"x")
    with pytest.raises(FileNotFoundError, match="nowhere/a'$"):
        write_atomically(tmp_path / "nowhere" / "a", b"x")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file/a'$"):
        write_atomically(tmp_path / "file" / "a", b"x")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]
