"""Born effective charges of published models against the values of their original code.

The values were made in float64 with the network and the finite-k polarization of the original code;
each file holds a structure and its results. The global sign of the charges
is arbitrary in a checkpoint, so tensors are compared up to one sign for the whole file.
"""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from generate import imported_metadata

from lammps_les.calculators import LesCalculator
from lammps_les_export import write_model
from lammps_les_export.adapters import read_checkpoint

PHASE = [
    "cace-lr_pbtio3__cubic333",
    "cace-lr_superionic_2gcc_finetuned__s2cc_0",
    "cace-lr_superionic_ef__s2cc_0",
    "cace-lr_water_v1__liquid64",
    "cace-lr_water_v2__dimer",
    "cace-lr_water_v2__liquid64",
    "cace-lr_water_v2__molecule",
]
CASES = [(name, "bec", "phase") for name in PHASE]
CASES.append(("cace-lr_water_v2__liquid64", "bec_k0", "local"))


def export(checkpoint: Path, path: Path) -> Path:
    imported = read_checkpoint(checkpoint)
    write_model(path, imported.network, imported_metadata(imported, "float64"))
    return path


@pytest.mark.parametrize(("name", "key", "form"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_born_effective_charges(shared, tmp_path, name, key, form):
    reference = np.load(shared / "reference" / f"{name}.npz")
    checkpoint = shared / "checkpoints" / f"{name.split('__')[0]}.pth"
    model = export(checkpoint, tmp_path / "model.pt")
    structure = Atoms(
        reference["numbers"], reference["positions"], cell=reference["cell"], pbc=reference["pbc"]
    )
    calculator = LesCalculator(model, bec=form, epsilon_inf=float(reference["epsilon_inf"]))
    tensor = calculator.get_property("born_effective_charges", structure)
    expected = reference[key]
    sign = np.sign(np.vdot(tensor, expected))
    np.testing.assert_allclose(sign * tensor, expected, rtol=0, atol=1e-6)
