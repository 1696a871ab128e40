"""Frames of dump custom by the names in their headers."""

from pathlib import Path

import numpy as np
import pytest

from lammps_les.analysis.dumps import read_frames_of_dump

ORTHO = """\
ITEM: TIMESTEP
5
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS pp pp pp
-1 3
0 5
0 6
ITEM: ATOMS q y x z id type
0.5 1 0 2 7 2
0.1 2 1 3 3 1
"""
TRICLINIC = """\
ITEM: TIMESTEP
6
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS xy xz yz pp pp pp
-1.5 4 1
-0.5 5 -0.5
0 6 -0.5
ITEM: ATOMS id element xs ys zs
2 O 0.5 0.5 0.5
1 H 0 0 0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "x.dump"
    path.write_text(text)
    return path


def test_columns_by_name_and_atoms_by_id(tmp_path: Path) -> None:
    frame = read_frames_of_dump(write(tmp_path, ORTHO))[0]
    assert frame.step == 5
    assert frame.volume == pytest.approx(120.0)
    np.testing.assert_allclose(frame.positions(), [[1, 2, 3], [0, 1, 2]])
    np.testing.assert_allclose(frame.fractional(), [[0.5, 0.4, 0.5], [0.25, 0.2, 1 / 3]])
    np.testing.assert_allclose(frame.columns.take("q", 1)[:, 0], [0.1, 0.5])
    assert list(frame.elements(("H", "O"))) == ["H", "O"]


def test_tilted_box_from_its_bounds(tmp_path: Path) -> None:
    """Xy 1, xz -0.5, yz -0.5: bounds in x reach from lo - 0.5 to hi + 1, in y from lo - 0.5."""
    frame = read_frames_of_dump(write(tmp_path, TRICLINIC))[0]
    np.testing.assert_allclose(frame.cell, [[4, 0, 0], [1, 5, 0], [-0.5, -0.5, 6]])
    np.testing.assert_allclose(frame.origin, [-1, 0, 0])
    np.testing.assert_allclose(frame.positions()[1], [1.25, 2.25, 3.0])
    assert frame.symbols == ("H", "O")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "expected frames of dump custom .* found none"),
        (ORTHO.replace(" id ", " ID "), "expected a column id, found q y x z ID type"),
        (ORTHO.replace("0.5 1 0", "a 1 0"), "step 5: column q holds no numbers"),
        (ORTHO + ORTHO.replace("3 3 1", "3 4 1").replace("\n5\n", "\n9\n"), "step 9 has other at"),
        (ORTHO.replace("BOUNDS pp", "BOUNDS abc origin pp"), "dump without triclinic/general"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_frames_of_dump(write(tmp_path, text))


def test_frame_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    assert len(read_frames_of_dump(write(tmp_path, ORTHO + ORTHO[:-9]))) == 1


def test_missing_columns_and_elements_are_named(tmp_path: Path) -> None:
    frame = read_frames_of_dump(write(tmp_path, ORTHO.replace("y x z", "a x z")))[0]
    with pytest.raises(ValueError, match="expected a column x y z .* found q a x z id type"):
        frame.fractional()
    with pytest.raises(ValueError, match=r"expected a column c_z\[1\*9\], found"):
        frame.tensors("c_z[1*9]")
    with pytest.raises(ValueError, match="expected a column element, found .* or give --elements"):
        frame.elements(None)
    with pytest.raises(ValueError, match="has atom type 2; --elements names 1"):
        frame.elements(("H",))
