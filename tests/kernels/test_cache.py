"""Kernels are compiled once; a file of the cache that is damaged is none."""

from pathlib import Path

import numpy as np
from played import play


def test_damaged_file_is_made_again(fake_cuda: dict[str, str], tmp_path: Path) -> None:
    environment = {**fake_cuda, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def result() -> np.ndarray:
        return play(tmp_path, environment, ["edges"])["ascending"]["edges wide_vectors"]

    expected = result()
    (file,) = (tmp_path / "cache" / "lammps-les").iterdir()
    assert file.name.startswith("edges-")
    code, made = file.read_bytes(), file.stat().st_mtime_ns
    np.testing.assert_array_equal(result(), expected)
    assert file.stat().st_mtime_ns == made
    for damaged in (code[: len(code) // 2], b"", code[:-1] + b"?"):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(result(), expected)
        assert len(file.read_bytes()) == len(code)
    assert list((tmp_path / "cache" / "lammps-les").iterdir()) == [file]


def test_cache_that_cannot_be_written_is_none(fake_cuda: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    environment = {**fake_cuda, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert play(tmp_path, environment, ["edges"])["ascending"]
