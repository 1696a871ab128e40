"""What ``--init`` says of the data, and what it makes of it."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import waters
from typer.testing import CliRunner

from lammps_les.cli import app
from lammps_les.models import KINDS
from lammps_les.training.config import RunConfig
from lammps_les.training.config_file import read_config


def initial(folder: Path, structures: list[Atoms]) -> tuple[str, RunConfig]:
    """The configuration for structures, as text and as it is read."""
    write(folder / "data.xyz", structures)
    result = CliRunner().invoke(app, ["train", "--init", str(folder / "data.xyz")])
    assert result.exit_code == 0, result.output
    (folder / "run.yaml").write_text(result.stdout)
    return result.stdout, read_config(folder / "run.yaml")


def test_the_table_says_what_the_data_are_like(tmp_path):
    """One atom of Na and one of Cl, 2 and 3 A apart in a cell of 4 x 5 x 6 A^3."""
    structures = []
    for distance, force in ((2.0, 1.0), (3.0, 3.0)):
        atoms = Atoms("NaCl", [[0, 0, 0], [0, 0, distance]], cell=[4.0, 5.0, 6.0], pbc=True)
        forces = np.array([[force] * 3, [0.0] * 3])
        stress = np.array([-0.1, -0.2, -0.3, 0.0, 0.0, 0.0])
        atoms.calc = SinglePointCalculator(atoms, energy=-3.0, forces=forces, stress=stress)
        atoms.arrays["BEC"] = np.array([np.diag([1.0, 1.1, 1.2]), -np.eye(3)]).reshape(2, 9)
        structures.append(atoms)
    text, _ = initial(tmp_path, structures)
    head = text.split("\ndata:\n")[0]
    # 58.443 g/mol in 120 A^3
    for line in (
        "# atoms: 4 in 2 structures (Cl 2 Na 2)",
        "# density: 0.809 g/cm^3",
        "# shortest distances: Cl-Cl 4.00 Cl-Na 2.00 Na-Na 4.00 A",
        "# RMS force: 1.58 (Cl 0 Na 2.24) eV/A, largest component 3",
        "# RMS stress: 0.153, mean pressure 0.2 eV/A^3",
        "# mean Born charge: Cl -1 Na +1.1 e",
    ):
        assert line in head.splitlines()
    assert "stress ('stress', 2 of 2 structures)" in " ".join(head.replace("\n#", "").split())


def test_without_labels_and_without_cells(tmp_path):
    text, config = initial(tmp_path, [waters("open", 1, seed) for seed in range(3)])
    assert "# shortest distances: H-H 1." in text
    for absent in ("density", "RMS", "Born charge:"):
        assert absent not in text.split("\ndata:\n")[0]
    assert "labels found: none" in text
    assert config.loss.weights.forces == 1.0


def test_names_after_ref_are_taken_and_likely_ones_offered(tmp_path):
    structures = []
    for seed in range(3):
        atoms = waters("triclinic", 1, seed)
        atoms.info |= {"REF_energy": -8.0, "REF_virial": np.eye(3), "dft_dipole_charge": 0.0}
        atoms.arrays |= {"REF_forces": np.zeros((3, 3)), "my_bec": np.zeros((3, 9))}
        structures.append(atoms)
    text, config = initial(tmp_path, structures)
    given = {k: v for k, v in config.data.labels.model_dump().items() if v is not None}
    assert given == {"energy": "REF_energy", "forces": "REF_forces", "virial": "REF_virial"}
    assert '  #   born_effective_charges: "my_bec"  # perhaps' in text.splitlines()
    assert '  #   total_charge: "dft_dipole_charge"  # perhaps' in text.splitlines()
    weights = config.loss.weights
    assert (weights.energy, weights.forces, weights.stress) == ((0.01, 1.0), 1.0, 10.0)


def test_where_structures_differ_in_a_name_none_is_written(tmp_path):
    structures = [waters("triclinic", 1, seed) for seed in range(3)]
    for atoms, name in zip(structures, ("energy", "REF_energy", "REF_total_energy"), strict=True):
        atoms.info[name] = -8.0
        atoms.arrays["REF_forces"] = np.zeros((3, 3))
    _, config = initial(tmp_path, structures)
    given = {k: v for k, v in config.data.labels.model_dump().items() if v is not None}
    assert given == {"forces": "REF_forces"}


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_stresses_of_another_sign_get_no_weight(tmp_path, sign):
    """Springs between neighbors in a line: stress and force are those of a pair potential."""
    rng, structures = np.random.default_rng(1), []
    for _ in range(12):
        stretch = rng.uniform(-0.2, 0.2, 3)
        atoms = Atoms("Ar4", np.zeros((4, 3)), cell=[12.0] * 3, pbc=True)
        atoms.positions[1:] = np.diag(2.5 + stretch)
        stress = sign * np.array([*(2.0 * stretch * (2.5 + stretch)), 0, 0, 0]) / 12.0**3
        forces = np.concatenate([[2.0 * stretch], -2.0 * np.diag(stretch)])
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=forces, stress=stress)
        structures.append(atoms)
    text, config = initial(tmp_path, structures)
    assert config.loss.weights.stress == (10.0 if sign > 0.0 else 0.0)
    assert ("of the opposite sign" in text) is (sign < 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_latents_are_offered_for_every_kind(tmp_path, kind):
    """In CACE as a comment that only has to lose its mark; polarizabilities as labels with them."""
    structures = [waters("triclinic", 1, seed) for seed in range(3)]
    for atoms in structures:
        atoms.info["polarizability"] = np.eye(3)
        atoms.info["energy"] = -8.0
    write(tmp_path / "data.xyz", structures)
    arguments = ["train", "--init", str(tmp_path / "data.xyz"), "--kind", kind]
    text = CliRunner().invoke(app, arguments).stdout
    assert "    polarizability: 0.0" in text
    offered = "  # latents: [charge, dipole, quadrupole, alpha]"
    assert (offered in text) is (kind == "cace")
    text = text.replace(offered, offered.replace("# ", ""))
    text = text.replace("  latents: [charge]", "  latents: [charge, dipole, quadrupole, alpha]")
    text = text.replace("  max_l: 1", "  max_l: 2")  # NequIP's default has no tensors
    (tmp_path / "run.yaml").write_text(text)
    config = read_config(tmp_path / "run.yaml")
    assert config.network.latents == ("charge", "dipole", "quadrupole", "alpha")
