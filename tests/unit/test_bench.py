"""The benchmark: what it reads from LAMMPS, its tables, what it refuses, and a small run."""

import csv
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from ase import Atoms
from ase.build import bulk
from typer.testing import CliRunner

from lammps_les.benchmark import Benchmark, Case, Plan, Programs, Timing, harness, write_report
from lammps_les.benchmark.lammps import parse
from lammps_les.benchmark.report import KEYS, display, rows
from lammps_les.benchmark.start import WATER, Start, read_start, replicas
from lammps_les.cli import app

ROOT = Path(__file__).resolve().parents[2]
LOG = """\
Maximum resident set size: 138.9 Mbyte
Setting up Verlet run ...
   Step          CPU
         0  0
         2  7.5
Loop time of 7.5 on 2 procs for 2 steps with 192 atoms
pair les: ms a step: edges 9.000, network 9.000, long range 9.000, backward 9.000, tally 9.000
Setting up Verlet run ...
  Current step  : 2
   Step          CPU
         2  0
         3  0.010
         4  0.022
         5  0.036
         6  0.040
Loop time of 0.04002 on 2 procs for 4 steps with 192 atoms

Performance: 3.253 ns/day, 7.378 hours/ns, 150.597 timesteps/s, 28.915 katom-step/s
pair les: ms a step: edges 0.262, network 2.675, long range 1.084, backward 3.434, BEC 0.500

MPI task timing breakdown:
Section |  min time  |  avg time  |  max time  |%varavg| %total
---------------------------------------------------------------
Pair    | 0.035655   | 0.035755   | 0.035955   |   0.0 | 98.87
Neigh   | 0          | 0.0004     | 0.0008     |   0.0 |  0.00
Comm    | 0.00012928 | 0.0012     | 0.0032928  |   0.0 |  0.19
Output  | 0.00046493 | 0.0008     | 0.00086493 |   0.0 |  0.70
Modify  | 0.00202893 | 0.00208    | 0.00218331 |   0.0 |  0.12
Other   |            | 4e-05      |            |       |  0.11

Nlocal:             96 ave          96 max          96 min
Maximum resident set size: 172.5 Mbyte
"""


def run(*arguments) -> tuple[int, str]:
    """Exit code and all output, with line breaks of the terminal taken out."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def test_output_of_lammps_is_read() -> None:
    timing = parse(LOG, first=2, first_seconds=8.5)
    assert timing.loop == pytest.approx(10.005)
    np.testing.assert_allclose(timing.single_steps, [10.0, 12.0, 14.0, 4.0])
    assert timing.parts == pytest.approx(
        {
            "edges": 0.262,
            "network": 2.675,
            "long range": 1.084,
            "backward": 3.434,
            "BEC": 0.5,
            "Comm": 0.3,
            "Neigh": 0.1,
            "Other": 0.23,
        }
    )
    assert timing.memory == (138.9, 172.5)


@pytest.mark.parametrize("missing", ["Loop time", "pair les", "         4", "Maximum"])
def test_output_that_lacks_something_is_refused(missing: str) -> None:
    head, _, last = LOG.rpartition("Current step")
    with pytest.raises(ValueError, match="LAMMPS (did not print|printed 4 steps)"):
        parse(head + last.replace(missing, "x"), first=2, first_seconds=8.5)


def timing(loop: float, single: list[float], memory: float = 200.0) -> Timing:
    return Timing(loop, np.array(single), {"edges": loop / 2, "Comm": 1.0}, 9.0, (150.0, memory))


def test_report_has_medians_and_gains(tmp_path: Path) -> None:
    one, two = Case((1, 1, 1), 192), Case((1, 1, 1), 192, ranks=2)
    two_only = Case((2, 2, 2), 1536, ranks=2, what="E+F+BEC", first=7)
    result = Benchmark(
        {
            one: [timing(10.0, [10, 10]), timing(30.0, [30, 10]), timing(11.0, [10, 10])],
            two: [timing(5.0, [5.0])],
            two_only: [timing(123.4, [100.0, 146.8])],
        },
        ["cuda is left out: torch sees no CUDA GPU."],
    )
    write_report("water", "Some machine.", result, tmp_path / "new" / "folder")
    with (tmp_path / "new" / "folder" / "bench.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [r["atoms"] + r["ranks"] + r["what"] for r in table] == [
        "1921E+F",
        "1922E+F",
        "15362E+F+BEC",
    ]
    first = table[0]
    assert float(first["ms/step"]) == 11.0
    assert float(first["us/atom"]) == pytest.approx(11e3 / 192)
    assert float(first["p99/median"]) == pytest.approx(2.9)  # of [10, 10, 10, 10, 10, 30]
    assert float(first["edges"]) == 5.5
    assert float(table[1]["speed against 1 rank"]) == 2.2
    assert table[2]["speed against 1 rank"] == ""
    text = (tmp_path / "new" / "folder" / "bench.md").read_text()
    assert "| 192 | 2 | cpu | E+F | 5.00 | 1.00 | 26.0 | 2.20 | 9.0 (100) | 200 |" in text
    assert "| 1,536 | 2 | cpu | E+F+BEC | 123.4 | 1.19 | 80.3 |  | 9.0 (7) | 200 |" in text
    assert "| 1,536 | 2 | cpu | E+F+BEC | 61.70 | 1.00 |" in text
    assert text.startswith("**water.** Some machine.\n")
    assert text.endswith("cuda is left out: torch sees no CUDA GPU.\n")
    assert (tmp_path / "new" / "folder" / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_page_explains_all_columns_and_options() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    explained = re.findall(r"^\| (\w[^|]*) \| \w", page.partition("## Measured")[0], re.MULTILINE)
    (headings, _), (_, _) = display(rows(Benchmark({Case((1, 1, 1), 192): [timing(1.0, [1.0])]})))
    assert set(headings) - set(KEYS) <= set(explained)
    assert {"edges ... BEC", "Comm, Neigh, Other"} <= set(explained)
    options = {
        option for p in typer.main.get_command(app).commands["bench"].params for option in p.opts
    }
    documented = re.findall(r"^\| (`-.*?) \|", page, re.MULTILINE)
    assert set(re.findall(r"-+[a-z][\w-]*", " ".join(documented))) == options - {"model"}


def test_start_that_is_included_is_that_of_the_example() -> None:
    example = ROOT / "lammps_examples" / "water_field" / "data.water"
    assert WATER.read_bytes() == example.read_bytes()
    start = read_start(None, ["H", "O"])
    assert start.elements == ["H", "O"]
    assert start.atoms.symbols.formula.format("hill") == "H128O64"


@pytest.mark.parametrize(
    ("wanted", "cells"),
    [
        (1, (1, 1, 1)),
        (192, (1, 1, 1)),
        (1536, (2, 2, 2)),
        (12288, (4, 4, 4)),
        (98304, (8, 8, 8)),
        (7680, (2, 4, 5)),
        (1_000_000, (17, 17, 18)),
    ],
)
def test_replicas_of_water(wanted: int, cells: tuple[int, int, int]) -> None:
    found = replicas(read_start(None, ["H", "O"]), wanted)
    assert tuple(sorted(found)) == cells


def test_replicas_of_a_long_cell_make_a_compact_block() -> None:
    start = Start(Atoms("H", cell=[4.0, 4.0, 16.0], pbc=True), "long")
    assert replicas(start, 16) == (4, 4, 1)
    assert replicas(start, 128) == (8, 8, 2)


def test_start_from_extended_xyz(tmp_path: Path) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.64)  # triclinic
    salt.write(tmp_path / "salt.xyz", format="extxyz")
    start = read_start(tmp_path / "salt.xyz", ["Na", "Cl"])
    start.write(tmp_path / "data.salt")
    again = read_start(tmp_path / "data.salt", ["Na", "Cl"])
    assert again.elements == ["Cl", "Na"]
    np.testing.assert_allclose(again.atoms.get_distance(0, 1, mic=True), 2.82, rtol=1e-6)
    assert again.atoms.get_volume() == pytest.approx(5.64**3 / 4)


def test_wrong_starts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is water, but the model is for Na Cl; give one with --s"):
        read_start(None, ["Na", "Cl"])
    with pytest.raises(ValueError, match="nothing.xyz cannot be read as a structure"):
        read_start(tmp_path / "nothing.xyz", ["H", "O"])
    Atoms("H2O", positions=np.eye(3)).write(tmp_path / "open.xyz", format="extxyz")
    with pytest.raises(ValueError, match="open.xyz is not periodic in all directions"):
        read_start(tmp_path / "open.xyz", ["H", "O"])
    bulk("NaCl", "rocksalt", a=5.64).write(tmp_path / "salt.xyz", format="extxyz")
    with pytest.raises(ValueError, match="salt.xyz contains Cl Na, but the model is for H O"):
        read_start(tmp_path / "salt.xyz", ["H", "O"])


def test_memory_is_expected_from_the_largest_run_before() -> None:
    small, large = Case((2, 2, 2), 1000), Case((4, 4, 4), 8000)
    nothing, something = Benchmark(), Benchmark({small: [timing(1.0, [1.0], memory=250.0)]})
    assert harness.memory_needed(large, something) == pytest.approx(150.0 + 8 * 100.0)
    one_layer = harness.memory_needed(Case((8, 8, 8), 98304), nothing)
    assert 3000 < one_layer < 6000  # measured: 3,900
    other = Case((4, 4, 4), 8000, ranks=2)
    assert harness.memory_needed(other, something) == harness.memory_needed(other, nothing)


def test_what_does_not_fit_is_left_out_with_a_sentence(
    toy_model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "available_memory", lambda: 500.0)
    monkeypatch.setattr(harness, "cores", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    plan = Plan((192, 98304), ranks=(1, 2), devices=("cpu", "cuda"), steps=1, repeats=1)
    model, start = toy_model("linear"), read_start(None, ["H", "O"])
    result = harness.measure(model, start, plan, Programs.find())
    assert [case.n_atoms for case in result.timings] == [192]
    cuda, ranks, memory = result.left_out
    assert cuda == "cuda is left out: torch sees no CUDA GPU."
    assert ranks == "2 ranks are left out: there are 1 cores."
    assert memory.startswith("E+F, 98,304 atoms, 1 rank(s), cpu: left out, it needs about ")
    assert memory.endswith(" GB of memory, and 0.4 GB can be had.")


def test_small_run_from_the_command_line(toy_model, tmp_path: Path) -> None:
    code, text = run(
        "bench", toy_model("linear", "float32"), "--atoms", "192", "--steps", "40",
        "--repeats", "2", "--field", "--device", "cpu", "-o", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, text
    assert f"wrote {tmp_path}/out" in text
    assert "load before the start" in text
    for column in ("p99/median", "first steps [s]", "backward"):
        assert column in text
    with (tmp_path / "out" / "bench.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(r["ranks"], r["what"], r["repeats"]) for r in table] == [
        (ranks, what, "2") for what in ("E+F", "E+F+field", "E+F+BEC") for ranks in ("1", "2")
    ]
    for r in table:
        step = float(r["ms/step"])
        assert float(r["first steps [s]"]) > 40e-3 * step
        assert (float(r["BEC"]) > 0.0) == (r["what"] != "E+F")
        parts = [float(r[name]) for name in list(r)[list(r).index("edges") :]]
        if r["ranks"] == "1":
            assert 0.8 * step < math.fsum(parts) < 1.2 * step  # parts: set-up included
        assert float(r["p99/median"]) >= 1.0
        assert 50.0 < float(r["MB/rank"]) < 2000.0


def test_field_with_several_layers(toy_model, tmp_path: Path) -> None:
    code, text = run(
        "bench", toy_model("two_layers"), "--atoms", "192", "--steps", "2", "--ranks", "1",
        "--repeats", "1", "--field", "--device", "cpu", "-o", tmp_path,
    )  # fmt: skip
    assert code == 0, text
    with (tmp_path / "bench.csv").open() as file:
        assert [r["what"] for r in csv.DictReader(file)] == ["E+F", "E+F+field", "E+F+BEC"]


def test_errors_are_words(toy_model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*options: str, model: str = "linear") -> str:
        code, text = run("bench", toy_model(model), "-o", tmp_path / "out", *options)
        assert code == 1, text
        assert not (tmp_path / "out").exists()
        return text[text.index("error: ") :]

    positive = "error: --{} must be positive integers like 1,2, up to {}, got '{}'"
    assert refused("--ranks", "0") == positive.format("ranks", "100,000", "0")
    for text in ("192;x", "", "nan", "-5", "1e3", "192,", "9" * 30):
        assert refused("--atoms", text) == positive.format("atoms", "100,000,000", text)
    for text in ("kspace direct\nshell ls", "# kspace", "${x}", "a &"):
        assert "--style must be keywords and values of pair_style les" in refused("--style", text)
    assert "has no charges, so --field is not for it" in refused("--field", model="harmonic")
    assert "give one with --start" in refused(model="ions")
    assert refused("--lmp", "no/lmp") == "error: lmp: 'no/lmp' is no program; give it with --lmp"
    badly = refused("--atoms", "192", "--device", "cpu", "--style", "kspace never")
    assert badly.startswith("error: E+F, 192 atoms, 1 rank(s), cpu: LAMMPS ended badly: ERROR: ")
    assert "keyword 'kspace' expects one of auto, direct, mesh, not 'never'" in badly
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    nothing = refused("--device", "cuda")
    assert nothing == "error: nothing could be measured: cuda is left out: torch sees no CUDA GPU."
    (tmp_path / "false").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "false").chmod(0o755)
    assert "false does not run" in refused("--lmp", str(tmp_path / "false"))
    assert "is not LAMMPS" in refused("--lmp", "echo")
    empty = tmp_path / "empty.xyz"
    empty.write_text("0\n\n")
    assert "empty.xyz holds no atoms" in refused("--start", str(empty))
    (tmp_path / "out").write_text("a file\n")
    code, text = run("bench", toy_model("linear"), "-o", tmp_path / "out")
    assert code == 1
    assert "out/bench.md cannot be written: Not a directory; choose another name with -o" in text


def test_script_for_gpus_runs_on_the_cpu(tmp_path: Path) -> None:
    environment = {
        "PYTHON": sys.executable,
        "DEVICE": "cpu",
        "ATOMS": "192",
        "STEPS": "2",
        "REPEATS": "1",
        "TESTS": "tests/lammps/test_computes.py::test_float32[cpu-mesh]",
    }
    command = [str(ROOT / "benchmarks" / "gpu.sh"), str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in (tmp_path / "tests.txt").read_text()
    assert "| 192 | 2 | cpu | E+F+BEC |" in (tmp_path / "water" / "bench.md").read_text()
