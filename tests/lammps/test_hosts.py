"""MACE, NequIP and Allegro models: values of the original programs, in LAMMPS on 1, 2 and 4 ranks.

The reference files hold float64 results of mace-torch, nequip and nequip-allegro with les.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.data import chemical_symbols
from lmp import run
from test_dynamics import printed, ran, script

LIQUIDS = (
    "allegro-les_water_trained_here__liquid64_rattled",
    "mace-les_water_l1_zbl_trained_here__liquid64_rattled",
    "mace-les_water_r4.5_nl1__liquid64_rattled",
    "mace-les_water_r4.5_nl2_l0__liquid64_rattled",
    "mace_water_r4.5_nl2_l0__liquid64_rattled",
    "nequip-les_water_r4.5_nl3_l1__liquid64_rattled",
)
OTHERS = (
    "allegro-les_water_trained_here__dimer",
    "mace-les_dipeptides_r4_nl2_l0__dimer",
    "mace-les_dipeptides_r4_nl2_l0__dipeptide0",
    "mace-les_dipeptides_r4_nl2_l0__dipeptide17",
    "mace-les_water_l1_zbl_trained_here__dimer",
    "mace-les_water_r4.5_nl1__dimer",
    "mace-les_water_r4.5_nl2_l0__dimer",
    "mace-les_water_r4.5_nl2_l0__liquid64_triclinic",
    "nequip-les_dipeptides_r4_nl3_l1__dipeptide0",
    "nequip-les_dipeptides_r4_nl3_l1__dipeptide17",
    "nequip-les_water_r4.5_nl3_l1__dimer",
    "nequip-les_water_r4.5_nl3_l1__liquid64_triclinic",
)
CASES = [(name, ranks, "local") for name in LIQUIDS for ranks in (1, 2, 4)]
CASES += [(name, 2, "phase") for name in LIQUIDS + OTHERS if "-les_" in name]
CASES += [(name, 2, "local") for name in OTHERS]


def test_no_file_is_left_out(shared: Path) -> None:
    files = (shared / "reference" / "hosts").glob("*.npz")
    assert sorted(p.stem for p in files) == sorted(LIQUIDS + OTHERS)


def tolerance(name: str) -> float:
    """Factor on what double precision allows for.

    MACE keeps its coupling coefficients in float32, so its models are not quite invariant against
    the rotation by which LAMMPS brings a triclinic cell into its own form.
    """
    return 100.0 if name.startswith("mace") and name.endswith("triclinic") else 1.0


@pytest.mark.parametrize(("name", "ranks", "form"), CASES)
def test_values_of_the_original_programs(
    name: str, ranks: int, form: str, shared: Path, published: Callable[..., Path], tmp_path: Path
) -> None:
    data = np.load(shared / "reference" / "hosts" / f"{name}.npz")
    atoms = Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=data["pbc"])
    model = published(name.split("__")[0])
    charges = "latent_charge" in data
    result = run(
        tmp_path,
        atoms,
        model,
        ranks=ranks,
        style=f"bec {form} epsilon_inf {float(data['epsilon_inf'])}" if charges else "",
        quantities="q phi bec" if charges else "",
    )
    factor = tolerance(name)
    if "atomic_energies_symbols" in data:
        symbols = data["atomic_energies_symbols"].tolist()
    else:
        symbols = [chemical_symbols[z] for z in data["atomic_energies_numbers"]]
    energies = dict(zip(symbols, data["atomic_energies"].tolist(), strict=True))
    isolated = sum(energies[symbol] for symbol in atoms.symbols)
    assert data["energy_with_e0"] == pytest.approx(data["energy"] + isolated, abs=1e-9)
    assert result.energy == pytest.approx(float(data["energy"]), abs=1e-9 * factor)
    np.testing.assert_allclose(result.forces, data["forces"], rtol=0, atol=1e-9 * factor)
    if "stress" in data:
        np.testing.assert_allclose(result.stress, data["stress"], rtol=0, atol=1e-10 * factor)
    if charges:
        latent = data["latent_charge"][:, 0]
        np.testing.assert_allclose(result.columns["q0"], latent, rtol=0, atol=1e-9 * factor)
        expected = data["bec" if form == "phase" else "bec_k0"]
        np.testing.assert_allclose(result.bec, expected, rtol=0, atol=1e-8 * factor)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_single_precision(
    ranks: int, shared: Path, published: Callable[..., Path], tmp_path: Path
) -> None:
    """A float32 file of MACE: of the energy 0.1 ueV an atom, of the largest force 5 ueV/A."""
    name = "mace-les_water_r4.5_nl2_l0"
    data = np.load(shared / "reference" / "hosts" / f"{name}__liquid64_rattled.npz")
    atoms = Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=data["pbc"])
    style = f"bec local epsilon_inf {float(data['epsilon_inf'])}"
    model = published(name, "float32")
    result = run(tmp_path, atoms, model, ranks=ranks, style=style, quantities="q phi bec")
    assert result.energy == pytest.approx(float(data["energy"]), abs=2.5e-5)
    for found, expected, tolerance in (
        (result.forces, data["forces"], 8e-6),
        (result.stress, data["stress"], 2.5e-8),
        (result.columns["q0"], data["latent_charge"][:, 0], 5e-7),
        (result.bec, data["bec_k0"], 2.7e-6),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_energy_is_conserved_in_a_field(published: Callable[..., Path], tmp_path: Path) -> None:
    """64 waters of the example, 200 steps of 0.25 fs; f_field is the work done by the field."""
    commands = [
        "velocity all create 300.0 11 mom yes dist gaussian",
        "timestep 0.00025",
        "fix 1 all nve",
        "fix field all efield/bec 0.0 0.0 0.1",
        "variable conserved equal etotal+f_field",
        'fix out all print 10 "DRIFT ${conserved} $(etotal)" screen yes',
        "run 200",
    ]
    model = published("mace-les_water_r4.5_nl2_l0", "float32")
    log = ran(script(tmp_path, model, *commands), ranks=2)
    conserved, without_field = printed(log, "DRIFT").T / 192
    steps = np.arange(len(conserved)) * 10
    drift = np.polyfit(steps, conserved, 1)[0] * 200
    print(f"drift {drift:.1e}, range {np.ptp(conserved):.1e}, etotal {np.ptp(without_field):.1e}")
    assert abs(drift) < 2e-5  # eV/atom
    assert np.ptp(conserved) < 0.1 * np.ptp(without_field)
