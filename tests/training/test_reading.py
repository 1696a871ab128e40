"""Files of structures that are damaged: the message names frame and line."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import waters
from typer.testing import CliRunner

from lammps_les.cli import app
from lammps_les.data.reading import read_frames


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    """The 20 lines of four frames of 3 atoms; forces are 1, and each row has 7 columns."""
    frames = [waters("triclinic", 1, seed) for seed in range(4)]
    for atoms in frames:
        atoms.calc = SinglePointCalculator(
            atoms, energy=-1.0, forces=np.ones((3, 3)), stress=np.ones(6)
        )
    write(tmp_path / "whole.xyz", frames)
    found = (tmp_path / "whole.xyz").read_text().splitlines(keepends=True)
    assert len(found) == 20
    return found


def joined(lines: list[str], case: str) -> str:
    text = "".join(lines)
    match case:
        case "in the rows":
            return "".join(lines[:13])
        case "in a row":
            return text[: text.rfind("H") + 25]
        case "in a comment":
            return "".join(lines[:11]) + lines[11][:70]
        case "in a value" | "in the columns":  # and later frames follow
            after = "Lattice=" if case == "in a value" else "pos:R:3"
            end = lines[6].index(after) + len(after) + (9 if case == "in a value" else 0)
            return "".join([*lines[:6], lines[6][:end], "\n", *lines[7:]])
        case "after a header":
            return "".join(lines[:16])
        case "joined after a cut":
            return "".join([*lines[:8], *lines[5:]])
        case "empty line":
            return "".join([*lines[:10], "\n", *lines[10:]])
        case "overflow":
            return "".join([*lines[:8], lines[8].replace("1.00000000", "**********"), *lines[9:]])
        case "element":
            return "".join([*lines[:8], lines[8].replace("H ", "Hx"), *lines[9:]])
        case "bytes":
            return "".join([*lines[:7], "\udcff", *lines[7:]])
        case "digits":
            return "".join([*lines[:15], "9" * 5000 + "\n", *lines[16:]])
        case "header":
            return "".join([*lines[:15], "3.0\n", *lines[16:]])
    raise AssertionError(case)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("in the rows", "frame 2, line 11: it has 3 atoms, but the file ends at line 13, after 1 "),
        ("in a row", "frame 3, line 20: expected 7 columns, got 2"),
        ("in a comment", "frame 2, line 11: it has 3 atoms, but the file ends at line 12, after 0"),
        ("in a value", "frame 1, line 7 is cut short: a quotation mark"),
        (
            "in the columns",
            "frame 1, line 7 does not fit .*: rows have 7 columns, Properties names 4",
        ),
        ("after a header", "frame 3, line 16: it has 3 atoms, but the file ends at line 16"),
        ("joined after a cut", "frame 1, line 9: expected 7 columns, got 1: '3'"),
        ("empty line", "frame 2, line 11 is empty, but line 12 is not"),
        ("overflow", r"frame 1, line 9: '\*+' is no value of forces"),
        ("element", "frame 1, line 9: 'Hx' is no element"),
        ("bytes", "line 8: expected text in UTF-8"),
        ("digits", "frame 3, line 16: expected the number of atoms, got '9{40}'"),
        ("header", r"frame 3, line 16: expected the number of atoms, got '3\.0'"),
    ],
)
def test_a_damaged_file_is_refused_with_frame_and_line(tmp_path, lines, case, message):
    path = tmp_path / "data.xyz"
    path.write_text(joined(lines, case), errors="surrogateescape")
    with pytest.raises(ValueError, match=rf"data\.xyz cannot be read as structures: {message}"):
        read_frames(path)
    if case != "bytes":
        assert [n for n, _ in read_frames(path, ":1")] == [0]  # what is asked for is whole


def test_quotation_marks_inside_others_are_text(tmp_path, lines):
    said = """name='5"' note="it's" """
    (tmp_path / "data.xyz").write_text("".join([*lines[:6], said + lines[6], *lines[7:]]))
    assert read_frames(tmp_path / "data.xyz")[1][1].info["name"] == '5"'


def test_files_that_end_in_empty_lines_or_are_compressed(tmp_path, lines):
    (tmp_path / "data.xyz").write_text("".join(lines) + "\n\n")
    assert [n for n, _ in read_frames(tmp_path / "data.xyz", "1::2")] == [1, 3]
    with gzip.open(tmp_path / "data.xyz.gz", "wt") as file:
        file.write("".join(lines[:8]))
    with pytest.raises(ValueError, match="frame 1, line 6: it has 3 atoms"):
        read_frames(tmp_path / "data.xyz.gz")


def test_files_that_are_none(tmp_path, lines):
    """Whatever may be behind a name; frames that no file has."""
    (tmp_path / "data.xyz").write_text("".join(lines))
    (tmp_path / "folder.xyz").mkdir()
    os.mkfifo(tmp_path / "pipe.xyz")
    (tmp_path / "cut.xyz.gz").write_bytes(gzip.compress("".join(lines).encode())[:-40])
    for name, index, message in (
        ("none.xyz", ":", "does not exist"),
        ("folder.xyz", ":", "is a folder; expected a file"),
        ("pipe.xyz", ":", "is no regular file"),
        ("data.xyz/inside.xyz", ":", "does not exist"),
        ("a\0b", ":", "cannot be read: embedded null byte"),
        ("cut.xyz.gz", ":", "EOFError"),
        ("data.xyz", "::0", "frames '::0' are none; expected a number or begin:end:step"),
        ("data.xyz", "a:b", "frames 'a:b' are none"),
        ("data.xyz", "7:", "holds no structures"),
    ):
        with pytest.raises(ValueError, match=name.split(".")[0]) as error:
            read_frames(tmp_path / name, index)
        assert message in str(error.value)


def test_another_format_names_the_frame(tmp_path):
    frames = [waters("open", 1, seed) for seed in range(4)]
    write(tmp_path / "data.traj", frames)
    content = (tmp_path / "data.traj").read_bytes()
    (tmp_path / "data.traj").write_bytes(content[:-300])
    with pytest.raises(ValueError, match=r"data\.traj cannot be read as structures: frame 2: "):
        read_frames(tmp_path / "data.traj")


def test_every_command_says_it(tmp_path, lines, toy_model):
    path = tmp_path / "data.xyz"
    path.write_text(joined(lines, "in a row"))
    (tmp_path / "run.yaml").write_text("data: {files: [{path: data.xyz}]}\n")
    model = str(toy_model("linear"))
    for command in (
        ["train", "--init", str(path)],
        ["train", str(tmp_path / "run.yaml")],
        ["evaluate", model, str(path)],
        ["export", "water_rpbe-d3", "-o", str(tmp_path / "m.pt"), "--structures", str(path)],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 1, command
        assert "frame 3, line 20: expected 7 columns" in " ".join(result.output.split())
