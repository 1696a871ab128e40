"""The examples beside water_field run as their READMEs say, in fewer steps, with their scripts."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from lmp import BIN

EXAMPLES = Path(__file__).resolve().parents[2] / "lammps_examples"
SHORT = {  # options of lmp instead of the lengths that the README gives
    "infrared": "-var steps 120",
    "conductivity": "-var steps 240",  # 20 THz: 100 steps a period
    "hysteresis": "-var steps 480 -var period 0.12",  # two periods
    "mace_water": "-var steps 200",
    "raman_water": "-var steps 240 -var equilibrate 20",
}


def commands_of(name: str) -> list[str]:
    """Lines of the first block of commands in the README of an example."""
    block = re.search(
        r"^```bash\n(.*?)^```$", (EXAMPLES / name / "README.md").read_text(), re.M | re.S
    )
    assert block
    return block[1].splitlines()


@pytest.fixture(scope="module", params=list(SHORT))
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, str]:
    """Name, folder and output of the last command of an example that has run."""
    root = tmp_path_factory.mktemp("examples")
    for name in (request.param, "water_field"):
        shutil.copytree(EXAMPLES / name, root / name)
    folder = root / request.param
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    printed = ""
    for line in commands_of(request.param):
        command = line.split("#")[0]
        if "lmp " in command:
            command = re.sub(r"-var steps \d+", "", command) + " " + SHORT[request.param]
        done = subprocess.run(
            command.split(),
            cwd=folder,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert "WARNING" not in done.stdout
        printed = done.stdout
    return request.param, folder, printed


def number_after(words: str, text: str) -> float:
    found = re.search(rf"{words}\s+(-?\d+\.?\d*)", text)
    assert found, text
    return float(found[1])


def test_example_runs_and_is_drawn(example: tuple[str, Path, str]) -> None:
    name, folder, printed = example
    picture = printed.splitlines()[-1]
    assert picture.endswith(".png")
    assert (folder / picture).stat().st_size > 5_000
    assert "nan" not in printed
    assert picture in (EXAMPLES / name / "README.md").read_text()
    if name == "infrared":
        assert 240.0 < number_after("mean", printed) < 340.0
        for band in ("libration", "bend", "stretch"):
            assert number_after(band, printed) > 0.0
    elif name == "conductivity":
        # the power that the field loses is the current in phase with it, but for the mean force
        in_phase, work = (number_after(words, printed) for words in ("current", "work"))
        assert work == pytest.approx(in_phase, rel=0.1, abs=10.0)
    elif name == "raman_water":
        # A^3, of which with epsilon_e the epsilon_inf 1.83 of the liquid is made
        assert 240.0 < number_after("mean", printed) < 360.0
        assert number_after("mean polarizability", printed) == pytest.approx(78.5, rel=0.02)
        for band in ("libration", "bend", "stretch"):
            assert number_after(band, printed) > 0.0
    elif name == "mace_water":
        drift = number_after("conserved energy", printed)
        assert abs(drift) < 0.1 * abs(number_after("by the field", printed))
        assert -1.2 < number_after("of O", printed) < -0.6
    else:
        rows = [line.split() for line in printed.splitlines() if re.match(r" +\d ", line)]
        assert len(rows) == 2
        for row in rows:
            area, work = float(row[4]), float(row[5])
            assert area == pytest.approx(work, rel=0.3, abs=1.0)  # of few and coarse intervals


ANALYSES = {  # options for so short a run
    "infrared": "--width 1800 --blocks 2",
    "conductivity": "--blocks 2 --cutoff 250",
    "hysteresis": "--skip 0",
    "raman_water": "--width 1000 --blocks 2",
}


def test_analyses_of_the_readme_read_what_was_written(example: tuple[str, Path, str]) -> None:
    name, folder, _ = example
    text = (EXAMPLES / name / "README.md").read_text()
    commands = re.findall(r"^lammps-les analyze .*$", text, re.M)
    assert len(commands) == (name in ANALYSES)
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    for command in commands:
        done = subprocess.run(
            f"{command} {ANALYSES[name]}".split(),
            cwd=folder,
            env=environment,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert "wrote" in done.stdout


def test_scripts_are_short() -> None:
    for name in SHORT:
        for script in (EXAMPLES / name).glob("*.py"):
            assert len(script.read_text().splitlines()) <= 60
