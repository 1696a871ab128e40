"""Labels that only some files or structures have."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import settings, waters

from lammps_les.data.labels import read_labels
from lammps_les.data.structures import Labelled
from lammps_les.training.config import RunConfig
from lammps_les.training.parts import read_data
from lammps_les.training.preparation import prepare


def structure(kind: str, seed: int, *labels: str) -> Atoms:
    """One molecule with the labels named; ``bz``, ``mu`` and ``S`` are names of their own."""
    atoms = waters(kind, 1, seed)
    known = {"energy": -8.0, "forces": np.zeros((3, 3))}
    results = {name: known[name] for name in labels if name in known}
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    if "bz" in labels:
        atoms.arrays["bz"] = np.arange(27.0).reshape(3, 9)
    if "mu" in labels:
        atoms.info["mu"] = np.ones(3)
    if "S" in labels:
        atoms.info["S"] = np.ones(6)
    return atoms


def read(folder: Path, files: list[dict], **data: object) -> list[Labelled]:
    """All structures of the files, which train; the first one validates as well."""
    everything = [
        *({**file, "part": "training"} for file in files),
        {**files[0], "part": "validation"},
    ]
    config = RunConfig.model_validate({"data": {"files": everything, **data}})
    return read_data(config, folder)["training"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Energies and forces in one file, Born charges in another, nothing but dipoles in a third."""
    write(tmp_path / "ef.xyz", [structure("triclinic", n, "energy", "forces") for n in range(3)])
    write(tmp_path / "z.xyz", [structure("triclinic", n, "bz") for n in range(3)])
    write(tmp_path / "open.xyz", [structure("open", n, "energy", "mu") for n in range(3)])
    write(tmp_path / "meaningless.xyz", [structure("triclinic", 1, "energy", "mu")])
    return tmp_path


def test_a_name_of_a_label_must_occur_in_one_of_the_files(folder):
    files = [{"path": "ef.xyz"}, {"path": "z.xyz"}, {"path": "open.xyz"}]
    found = read(folder, files, labels={"born_effective_charges": "bz", "dipole": "mu"})
    names = [set(s.labels) for s in found[::3]]
    assert names == [{"energy", "forces"}, {"born_effective_charges"}, {"energy", "dipole"}]
    with pytest.raises(ValueError, match=r"data\.labels\.stress") as error:
        read(folder, files, labels={"stress": "S"})
    assert "no structure in ef.xyz, z.xyz, open.xyz has a label 'S'" in str(error.value)


def test_a_label_that_the_boundaries_make_meaningless_is_there_nevertheless(folder):
    """It is passed over, as it is under its usual name."""
    (found,) = read(folder, [{"path": "meaningless.xyz"}], labels={"dipole": "mu"})
    assert set(found.labels) == {"energy"}


def test_files_may_differ_in_the_order_of_born_charges(folder):
    labels = {"born_effective_charges": "bz"}
    files = [
        {"path": "z.xyz", "frames": "0:1"},
        {"path": "z.xyz", "frames": "0:1", "bec_order": "P-first"},
    ]
    first, second = read(folder, files, labels=labels, bec_order="r-first")
    as_written = np.arange(27.0).reshape(3, 3, 3)
    np.testing.assert_array_equal(
        first.labels["born_effective_charges"], as_written.transpose(0, 2, 1)
    )
    np.testing.assert_array_equal(second.labels["born_effective_charges"], as_written)


def test_a_training_structure_without_any_label_in_the_loss_is_refused(folder):
    content = settings(loss={"weights": {"forces": 1.0, "energy": 0.0}})
    content["data"] = {
        "files": [
            {"path": "ef.xyz", "part": "training"},
            {"path": "open.xyz", "part": "training", "frames": "2:"},
            {"path": "ef.xyz", "part": "validation"},
        ]
    }
    with pytest.raises(ValueError, match=r"open\.xyz, frame 2: ") as error:
        prepare(RunConfig.model_validate(content), folder)
    message = str(error.value)
    assert "none of the labels that have a weight in the loss (forces)" in message
    assert "it has energy" in message
    content["loss"]["weights"]["energy"] = 1.0
    assert len(prepare(RunConfig.model_validate(content), folder).frames["training"]) == 4


def with_virial(kind: str, value: np.ndarray, name: str = "virial", **more: object) -> Atoms:
    atoms = waters(kind, 1, 1)
    atoms.calc = SinglePointCalculator(atoms, energy=-8.0, **more)
    atoms.info[name] = value
    return atoms


def test_a_virial_is_minus_volume_times_the_stress(tmp_path):
    """6 columns xx yy zz yz xz xy, or 9; the volume of the cell is 6.1 x 5 x 6 A^3."""
    volume, w = 183.0, np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    voigt = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    write(
        tmp_path / "data.xyz",
        [
            with_virial("triclinic", w),
            with_virial("triclinic", voigt, "w"),
            with_virial("triclinic", w, "REF_virial"),
            with_virial("triclinic", w, stress=np.ones(6)),
            with_virial("open", w),
        ],
    )
    files = [{"path": "data.xyz"}]
    found = [s.labels.get("stress") for s in read(tmp_path, files)]
    for n in (0, 2):
        np.testing.assert_allclose(found[n], -voigt / volume, rtol=1e-12)
    assert found[1] is None  # its name must be given
    np.testing.assert_array_equal(found[3], np.ones(6))
    assert found[4] is None
    given = [s.labels.get("stress") for s in read(tmp_path, files, labels={"virial": "w"})]
    np.testing.assert_allclose(given[1], -voigt / volume, rtol=1e-12)
    both = [s.labels.get("stress") for s in read(tmp_path, files, labels={"virial": "virial"})]
    np.testing.assert_allclose(both[3], -voigt / volume, rtol=1e-12)


def test_columns_of_atoms_are_passed_over_where_a_structure_has_one_value(tmp_path):
    atoms = structure("triclinic", 1, "energy", "forces")
    atoms.arrays |= {"virials": np.ones((3, 9)), "charge": np.ones(3)}
    write(tmp_path / "data.xyz", atoms)
    files = [{"path": "data.xyz"}]
    (found,) = read(tmp_path, files)
    assert set(found.labels) == {"energy", "forces"}
    with pytest.raises(ValueError, match=r"label 'virials': expected virial of shape \(6,\)"):
        read(tmp_path, files, labels={"virial": "virials"})


def test_a_label_that_is_no_number_is_named():
    atoms = structure("triclinic", 1, "energy")
    atoms.info["charge"] = {"O": -1.0}
    with pytest.raises(ValueError, match=r"label 'charge': expected total_charge, .* \(dict\)"):
        read_labels(atoms)


def test_the_virial_of_ase_is_the_derivative_by_strain(tmp_path):
    """Of Lennard-Jones argon, by finite differences of the energy."""
    atoms = bulk("Ar", a=5.1).repeat(2)
    atoms.rattle(0.1, seed=1)
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.01, rc=4.9, smooth=True)
    derivative = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        for step in (1e-5, -1e-5):
            strain = np.eye(3)
            strain[a, b] += step
            strained = atoms.copy()
            strained.set_cell(atoms.cell @ strain, scale_atoms=True)
            strained.calc = atoms.calc
            derivative[a, b] += strained.get_potential_energy() / step / 2.0
    bare = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    bare.info["virial"] = -derivative
    write(tmp_path / "data.xyz", bare)
    (found,) = read(tmp_path, [{"path": "data.xyz"}])
    np.testing.assert_allclose(found.labels["stress"], atoms.get_stress(), atol=1e-8)


def test_names_after_ref_are_taken_where_there_are_no_others(tmp_path):
    first = waters("triclinic", 1, 1)
    first.info |= {"REF_energy": -7.0, "REF_stress": np.ones(6), "REF_total_charge": 1.0}
    first.arrays |= {"REF_forces": np.ones((3, 3)), "REF_BEC": np.ones((3, 9))}
    second = structure("triclinic", 2, "energy", "forces")
    second.info["REF_energy"] = -7.0
    write(tmp_path / "data.xyz", [first, second])
    one, two = read(tmp_path, [{"path": "data.xyz"}])
    names = {"energy", "forces", "stress", "born_effective_charges", "total_charge"}
    assert set(one.labels) == names
    assert float(one.labels["energy"]) == -7.0
    assert float(two.labels["energy"]) == -8.0


def test_polarizabilities_come_in_two_units_and_as_dielectric_constants() -> None:
    """A cell of 1000 A^3: epsilon_0 V = 1000 / (4 pi 14.399645) e A^2/V."""
    atoms = Atoms("Ne", cell=[10.0, 10.0, 10.0], pbc=True)
    tensor = np.array([[3.0, 0.2, 0.1], [0.2, 4.0, 0.3], [0.1, 0.3, 5.0]])
    atoms.info["polarizability"] = tensor.ravel()
    np.testing.assert_allclose(read_labels(atoms)["polarizability"], tensor)
    in_volume = read_labels(atoms, polarizability_unit="A^3")["polarizability"]
    np.testing.assert_allclose(in_volume, tensor / 14.399645)
    atoms.info["polarizability"] = [3.0, 4.0, 5.0, 0.3, 0.1, 0.2]
    np.testing.assert_allclose(read_labels(atoms)["polarizability"], tensor)

    unit = 1000.0 / (4.0 * np.pi * 14.399645)
    atoms.info["epsilon"] = (np.eye(3) + tensor).ravel()
    np.testing.assert_allclose(read_labels(atoms)["polarizability"], tensor)  # the other first
    by_name = read_labels(atoms, {"dielectric": "epsilon"})["polarizability"]
    np.testing.assert_allclose(by_name, tensor * unit)
    del atoms.info["polarizability"]
    np.testing.assert_allclose(read_labels(atoms)["polarizability"], tensor * unit)
    atoms.info["epsilon"] = 1.8
    np.testing.assert_allclose(read_labels(atoms)["polarizability"], 0.8 * unit * np.eye(3))
    atoms.pbc = False
    assert "polarizability" not in read_labels(atoms)
    atoms.info["polarizability"] = [1.0, 2.0]
    with pytest.raises(ValueError, match="'polarizability': expected polarizability of shape"):
        read_labels(atoms)
