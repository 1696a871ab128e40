"""Values of the models' original code, in LAMMPS on 1, 2 and 4 ranks.

The reference files hold float64 results of the original CACE and LES programs; see their README.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from lmp import Run, run

ALWAYS = {"numbers", "positions", "cell", "pbc", "energy", "forces"}
CHARGE = {"latent_charge"}
PARTS = CHARGE | {"energy_sr", "energy_lr", "epsilon_inf"}
EXPECTED = {  # what each file holds beyond ALWAYS: all of it is compared
    "cace-les_dipeptides_r5.5_nu2__dipeptide0": set(),
    "cace-les_water_r4.5_nu3__liquid64": set(),
    "cace-lr_pbtio3__cubic333": PARTS | {"stress", "bec"},
    "cace-lr_random_charge_c5__ions64": CHARGE,
    "cace-lr_superionic_2gcc_finetuned__s2cc_0": PARTS | {"stress", "bec"},
    "cace-lr_superionic_ef__s2cc_0": PARTS | {"stress", "bec"},
    "cace-lr_water_4channels_mp1__liquid64": CHARGE,
    "cace-lr_water_v1__liquid64": PARTS | {"stress", "bec"},
    "cace-lr_water_v2__dimer": PARTS | {"bec"},
    "cace-lr_water_v2__liquid64": PARTS | {"stress", "bec", "bec_k0"},
    "cace-lr_water_v2__liquid64_triclinic": PARTS | {"stress"},
    "cace-lr_water_v2__molecule": PARTS | {"bec"},
}


def test_no_file_is_left_out(shared: Path) -> None:
    assert sorted(p.stem for p in (shared / "reference").glob("*.npz")) == sorted(EXPECTED)


def up_to_sign(value: np.ndarray, reference: np.ndarray) -> float:
    """Largest deviation, with the one global sign that fits better."""
    return min(np.abs(value - reference).max(), np.abs(value + reference).max())


def metadata_of(model: Path) -> dict:
    extra = {"lammps_les.json": ""}
    torch.jit.load(str(model), _extra_files=extra)
    return json.loads(extra["lammps_les.json"])


@pytest.mark.parametrize("network", ["native", "script"])
@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("name", EXPECTED)
def test_reference(
    name: str,
    ranks: int,
    network: str,
    shared: Path,
    published: Callable[..., Path],
    tmp_path: Path,
) -> None:
    data = np.load(shared / "reference" / f"{name}.npz")
    assert set(data) == ALWAYS | EXPECTED[name]
    atoms = Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=data["pbc"])
    model = published(name.split("__")[0])
    metadata = metadata_of(model)
    epsilon = float(data["epsilon_inf"]) if "epsilon_inf" in data else 1.0

    def evaluate(form: str, boundary: str | None = None) -> Run:
        return run(
            tmp_path / f"{form}{boundary or ''}".replace(" ", ""),
            atoms,
            model,
            ranks=ranks,
            style=f"bec {form} epsilon_inf {epsilon} network {network}",
            channels=metadata["charges"]["channels"],
            boundary=boundary,
        )

    runs = [evaluate("phase"), evaluate("local")]
    if not data["pbc"].any():
        runs.append(evaluate("phase", "m m m"))
    for result in runs:
        assert abs(result.energy - data["energy"]) < 1e-7 * len(atoms)
        np.testing.assert_allclose(result.forces, data["forces"], rtol=0, atol=1e-6)
        if "energy_lr" in data:
            assert abs(result.values["ecoul"] - data["energy_lr"]) < 1e-7 * len(atoms)
            assert abs(result.values["evdwl"] - data["energy_sr"]) < 1e-7 * len(atoms)
        if "stress" in data:
            np.testing.assert_allclose(result.stress, data["stress"], rtol=0, atol=1e-8)
        if "latent_charge" in data:
            charges = [result.columns[f"q{c}"] for c in range(metadata["charges"]["channels"])]
            file_units = np.stack(charges, axis=1) / metadata["charges"]["unit"]
            assert up_to_sign(file_units, data["latent_charge"]) < 1e-8
    if "bec" in data:
        for result in runs[:1] + runs[2:]:
            assert up_to_sign(result.bec, data["bec"]) < 1e-6
    if "bec_k0" in data:
        assert up_to_sign(runs[1].bec, data["bec_k0"]) < 1e-6
