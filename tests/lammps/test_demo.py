"""The example lammps_examples/water_field runs, and gives the numbers it promises."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.integrate import trapezoid

EXAMPLE = Path(__file__).resolve().parents[2] / "lammps_examples" / "water_field"
EXPECTED = json.loads((EXAMPLE / "expected.json").read_text())
STEPS = 50


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("water_field_run", EXAMPLE / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def runs(demo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[float, tuple]:
    """The example on 2 ranks, without field and with the field along +z and -z."""
    results = {}
    for field in (0.0, 0.1, -0.1):
        folder = tmp_path_factory.mktemp("water_field")
        demo.prepare(folder)
        results[field] = demo.simulate(folder, field, STEPS, ranks=2)
    return results


def inside(value: float, name: str) -> bool:
    low, high = EXPECTED[name]
    return low <= value <= high


@pytest.mark.parametrize("field", [0.0, 0.1])
def test_averages_are_the_expected_ones(runs, field):
    run = runs[field]
    assert run.time[-1] == pytest.approx(STEPS * 5e-4)
    assert inside(run.temperature.mean(), "temperature")
    assert inside(run.energy.mean() / 64, "energy_per_molecule")
    assert inside(1e3 * np.ptp(run.conserved) / 192, "change_of_conserved_mev_per_atom")
    assert inside(np.trace(run.bec_oxygen) / 3, "bec_oxygen")
    assert inside(np.trace(run.bec_hydrogen) / 3, "bec_hydrogen")


def test_field_polarizes_along_itself(runs):
    still = runs[0.0].polarization[-1]
    along, against = runs[0.1].polarization[-1] - still, runs[-0.1].polarization[-1] - still
    assert inside(along, "induced_polarization_after_50_steps")
    assert along == pytest.approx(-against, rel=0.15)  # linear after so short a time


def test_polarization_is_the_integral_of_the_current(runs):
    run = runs[0.1]
    integral = trapezoid(run.current, run.time)
    assert integral == pytest.approx(run.polarization[-1], abs=0.02)


def test_field_does_work_on_the_water(runs):
    assert np.all(runs[0.0].field_energy == 0.0)
    # minus E P, but for the net force of the field, which `neutral yes` takes off
    run = runs[0.1]
    assert run.field_energy[-1] == pytest.approx(-0.1 * run.polarization[-1], rel=0.05)


def test_script_prints_a_table_and_draws(tmp_path):
    command = [sys.executable, str(EXAMPLE / "run.py"), "--steps", "20", "--output", "out"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    for words in (
        "temperature, mean",
        "Born charge of O",
        "current along z",
        "conserved quantity",
        "P_z",
    ):
        assert words in done.stdout
    assert (tmp_path / "out" / "polarization.png").stat().st_size > 10_000
    assert "polarization.png" in done.stdout


def test_failure_of_lammps_is_shown(demo, tmp_path):
    demo.prepare(tmp_path)
    (tmp_path / "water.pt").write_bytes(b"no model")
    with pytest.raises(RuntimeError, match="ended badly(.|\n)*water.pt"):
        demo.simulate(tmp_path, 0.1, STEPS, ranks=2)
