"""Command lines that cannot be meant end in one line, before any work, and leave nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import write
from typer.testing import CliRunner

from lammps_les.cli import app

NO_DIELECTRIC = ["nan", "inf", "-inf", "1e400", "", "0", "-1", "1,2", "1,0,0,0,1,0,0,0,nan", "x"]
EXPORT = ["export", "water_rpbe-d3"]
EVALUATE = ["evaluate", "model.pt", "water.xyz"]
INIT = ["train", "--init", "water.xyz"]
BENCH = ["bench", "model.pt", "--device", "cpu"]

# command and words of its error, in a folder with model.pt, water.xyz, `folder` and `file`
REFUSED: list[tuple[list[str], str]] = [
    *(([*EVALUATE, "--epsilon-inf", v], "epsilon") for v in NO_DIELECTRIC),
    *(([*EXPORT, "--epsilon-inf", v], "epsilon") for v in NO_DIELECTRIC),
    *(
        ([*EXPORT, "--total-charge", v], "--total-charge must be a number from -10000 to 10000")
        for v in ("nan", "inf", "-inf", "1e400", "1e300")
    ),
    *(
        ([*EXPORT, "--atomic-energies", v], "--atomic-energies must look like H=-13.6,O=-432.1")
        for v in ("", "H", "H=", "=,", "H=nan,O=1", "H=1,H=2", "H=1e400,O=0", "H=1;O=2", "nan")
    ),
    *(
        ([*EXPORT, "--charge-sign", v], "--charge-sign must be auto, +1 or -1, got")
        for v in ("", "0", "nan", "+1,,-1", "2", "+", "1e0")
    ),
    *(
        ([*EXPORT, "--elements", v], "--elements must look like H,O, each symbol once, got")
        for v in ("", "h", "H,H", "H;O", "H,,O")
    ),
    ([*EXPORT, "--elements", "H,O"], "leave --head, --elements and --norm out"),
    ([*EXPORT, "--head", "pbe"], "leave --head, --elements and --norm out"),
    ([*EXPORT, "-o", "folder"], "folder cannot be written: it is a folder; choose another name"),
    ([*EXPORT, "-o", ""], ". cannot be written: it is a folder"),
    ([*EXPORT, "-o", "none/m.pt"], "none/m.pt cannot be written: make the folder none first"),
    ([*EXPORT, "-o", "file/m.pt"], "file/m.pt cannot be written: make the folder file first"),
    ([*EXPORT, "-o", "/proc/m.pt"], "/proc/m.pt cannot be written"),
    (["export", "", "-o", "m.pt"], "holds no trained network"),
    (["export", "none", "-o", "m.pt"], "model none does not exist"),
    ([*EVALUATE, "-o", "folder"], "-o folder is a folder; give a prefix, like folder/model"),
    ([*EVALUATE, "-o", ""], "is a folder; give a prefix"),
    ([*EVALUATE, "-o", "file/x"], "file/x-predictions.xyz cannot be written: Not a directory"),
    ([*EVALUATE, "-o", "/proc/x"], "/proc/x-predictions.xyz cannot be written"),
    *(
        ([*EVALUATE, f"--{name}-key", ""], "the name of a label is empty; leave the option out")
        for name in ("energy", "forces", "stress", "virial", "bec", "dipole", "quadrupole")
    ),
    *(
        ([*EVALUATE, "--device", v], "device")
        for v in ("", "gpu", "cuda:-1", "meta", "cpu cuda", "cuda:1e1", "cuda:99999999999")
    ),
    (["evaluate", "folder", "water.xyz"], "folder"),
    (["evaluate", "", "water.xyz"], ""),
    (["evaluate", "model.pt", "folder"], "folder cannot be read as structures"),
    (["evaluate", "model.pt", ""], "cannot be read as structures"),
    (["evaluate", "model.pt", "model.pt"], "model.pt cannot be read as structures"),
    ([*INIT, "--resume"], "--init and --resume exclude each other"),
    ([*INIT, "-o", "none/x.yaml"], "none/x.yaml cannot be written: make the folder none first"),
    ([*INIT, "-o", "file"], "file exists; choose another name with -o, or remove it"),
    (["train", "--init", "folder"], "folder"),
    (["train", "--init", ""], ""),
    (["info", ""], ""),
    (["info", "folder"], "folder"),
    (["info", "water.xyz"], "water.xyz"),
    ([*BENCH, "--start", "folder"], "folder cannot be read as a structure"),
    ([*BENCH, "--start", ""], "cannot be read as a structure"),
    ([*BENCH, "--lmp", ""], "lmp: '' is no program; give it with --lmp"),
    ([*BENCH, "--mpiexec", "folder"], "mpiexec: 'folder' is no program"),
    ([*BENCH, "-o", "file"], "file/bench.md cannot be written: Not a directory"),
]
# the usage of a command, as typer has it
USAGE = [
    [*EVALUATE, "--every", "0"],
    [*EVALUATE, "--every", "nan"],
    [*EVALUATE, "--bec", ""],
    [*EVALUATE, "--bec-order", "p"],
    [*EXPORT, "--total-charge", ""],
    [*EXPORT, "--total-charge", "one"],
    [*EXPORT, "--dtype", "float16"],
    ["bench", "model.pt", "--steps", "0"],
    ["bench", "model.pt", "--steps", "1e3"],
    ["bench", "model.pt", "--steps", "10000000"],
    ["bench", "model.pt", "--repeats", "-1"],
    ["bench", "model.pt", "--repeats", "1001"],
    ["bench", "model.pt", "--device", "cuda:0"],
    ["info"],
    ["train"],
    ["nonsense"],
]


@pytest.fixture
def folder(tmp_path: Path, toy_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a test."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").symlink_to(toy_model("linear"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("a file\n")
    write(tmp_path / "water.xyz", Atoms("H2O", [[0, 0, 0], [0, 1.4, 0], [0.6, 0.7, 0]]))
    return tmp_path


def run(arguments: list[str]) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    ended = result.exception is None or isinstance(result.exception, SystemExit)
    assert ended, f"{arguments}: {result.exception!r}"
    return result.exit_code, result.output


def test_what_cannot_be_meant_is_one_line(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    for arguments, words in REFUSED:
        code, text = run(arguments)
        assert code == 1, f"{arguments}: {text}"
        assert text.startswith("error: "), f"{arguments}: {text}"
        assert text.count("\n") == 1, f"{arguments}: {text}"
        assert words in text, f"{arguments}: {text}"
        assert sorted(folder.rglob("*")) == before, arguments


def test_usage_is_explained(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    for arguments in USAGE:
        code, text = run(arguments)
        assert code == 2, f"{arguments}: {text}"
        assert "Error" in text, f"{arguments}: {text}"
    assert sorted(folder.rglob("*")) == before


def test_a_dielectric_tensor_for_an_evaluation(folder: Path) -> None:
    """That of the file as a tensor gives what the file gives."""
    results = []
    for options in ([], ["--epsilon-inf", "1.8,0,0,0,1.8,0,0,0,1.8"]):
        code, text = run([*EVALUATE, *options, "-o", "new/x"])
        assert code == 0, text
        results.append((folder / "new" / "x-predictions.xyz").read_text())
    assert results[0] == results[1]
