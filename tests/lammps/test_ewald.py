"""LAMMPS's own `kspace_style ewald` as a stranger's answer.

With fixed neutral charges, self-interaction removed and a converged sum, the long-range energy is
that of an Ewald sum with G = 1/(sigma sqrt 2), its pair part left out. LAMMPS's Coulomb constant is
14.399645 eV A, and the toy model "ions" has 2 pi times that as its norm.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lammps import Prism
from lmp import launch, run


def ions(skewed: bool) -> Atoms:
    rng = np.random.default_rng(3)
    grid = np.array(list(np.ndindex(3, 3, 4))) + 0.5
    scaled = grid / [3, 3, 4] + rng.normal(0.0, 0.02, grid.shape)
    cell = np.diag([9.0, 10.0, 12.5])
    if skewed:
        cell += [[0, 0, 0], [2.1, 0, 0], [-1.3, 1.7, 0]]
    return Atoms(["Na", "Cl"] * 18, scaled_positions=scaled, cell=cell, pbc=True)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("skewed", [False, True])
def test_ewald(skewed: bool, ranks: int, toy_model: Callable[..., Path], tmp_path: Path) -> None:
    atoms = ions(skewed)
    elements = ["Cl", "Na"]
    les = run(tmp_path, atoms, toy_model("ions"), ranks=ranks, elements=elements)

    g_ewald = 1.0 / np.sqrt(2.0)  # sigma = 1 A
    prism = Prism(atoms.cell, pbc=True)
    positions = prism.vector_to_lammps(atoms.positions)
    data = (tmp_path / "data.lmp").read_text().split("Atoms # atomic")[0] + "Atoms # charge\n\n"
    for n, (symbol, r) in enumerate(zip(atoms.symbols, positions, strict=True), 1):
        charge = 1.0 if symbol == "Na" else -1.0
        data += (
            f"{n} {elements.index(symbol) + 1} {charge} " + " ".join(f"{c:.16g}" for c in r) + "\n"
        )
    (tmp_path / "data.charge").write_text(data)
    (tmp_path / "in.ewald").write_text(
        f"""units metal
atom_style charge
read_data data.charge
pair_style coul/long 4.0
pair_coeff * *
pair_modify compute no
kspace_style ewald 1e-12
kspace_modify gewald {g_ewald:.16g} kmax/ewald 20 20 20
compute stress all pressure NULL kspace
thermo_style custom step elong c_stress[*]
run 0
print "VALUE elong $(elong:%.17g)"
print "STRESS {" ".join(f"$(c_stress[{k}]:%.17g)" for k in range(1, 7))}"
write_dump all custom ewald.dump id fx fy fz modify sort id format float %.17g
"""
    )
    returncode, log = launch(tmp_path / "in.ewald")
    assert returncode == 0, log
    lines = log.splitlines()
    elong = float(next(x for x in lines if x.startswith("VALUE elong")).split()[2])
    pressure = [float(x) for x in next(x for x in lines if x.startswith("STRESS")).split()[1:]]
    forces = np.loadtxt((tmp_path / "ewald.dump").read_text().splitlines()[9:])[:, 1:]

    assert abs(elong) > 1.0
    assert les.energy == pytest.approx(elong, abs=1e-9)
    mine = np.stack([les.columns[c] for c in ("fx", "fy", "fz")], axis=1)
    np.testing.assert_allclose(mine, forces, rtol=0, atol=1e-9)
    components = ["pxx", "pyy", "pzz", "pxy", "pxz", "pyz"]
    np.testing.assert_allclose([les.values[c] for c in components], pressure, rtol=0, atol=1e-4)
