"""The network on the page that becomes a model file: LAMMPS against the file's own ``forward``.

Two layers deep and in one piece, so ghosts reach two cutoffs; derivatives are those of torch.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from lmp import STRAINS, energies, run, strained_both_ways

from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import load_model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "import_models.md"
CUTOFF, DL, EPSILON_INF = 3.5, 2.0, 1.83  # as on the page
STEP = 1e-4  # A, or strain
FIELD = np.array([0.3, -0.2, 0.5])  # V/A, along LAMMPS's axes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the code on the page writes, run as it stands there."""
    codes = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    (code,) = (code for code in codes if "wrap(" in code)
    folder = tmp_path_factory.mktemp("page")
    (folder / "messages.py").write_text(code)
    subprocess.run([sys.executable, "messages.py"], cwd=folder, check=True)
    return folder / "mine.pt"


def periodic(water: Callable[..., Atoms]) -> Atoms:
    """A triclinic box, no wave vector near the cutoff: small strains keep the set."""
    atoms = water(3, spacing=3.19)
    strain = np.array([[0.02, 0.05, -0.04], [0.0, -0.01, 0.06], [0.03, 0.0, 0.01]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    triples = np.array(list(np.ndindex(17, 17, 17))) - 8
    lengths = np.linalg.norm(2 * np.pi * triples @ np.linalg.inv(atoms.cell.array).T, axis=1)
    assert np.abs(lengths / (2 * np.pi / DL) - 1.0).min() > 5 * STEP
    return atoms


def small(water: Callable[..., Atoms]) -> Atoms:
    """Shorter than two cutoffs: an atom meets others, and itself, more than once."""
    atoms = water(2)
    assert atoms.cell.lengths().max() < 2 * CUTOFF
    return atoms


def opened(water: Callable[..., Atoms]) -> Atoms:
    atoms = water(2)
    atoms.pbc, atoms.cell = False, None
    return atoms


SHAPES = {"periodic": periodic, "small": small, "open": opened}


def forward(model: Path, atoms: Atoms, form: str) -> dict[str, np.ndarray]:
    """All that the file says of a system by itself; everything differentiated by torch."""
    module, metadata = load_model(model)
    edges = neighbor_list(atoms.positions, atoms.cell.array, bool(atoms.pbc.all()), CUTOFF)
    found = module(
        torch.from_numpy(atoms.positions),
        torch.tensor([metadata.network.species.index(symbol) for symbol in atoms.symbols]),
        torch.from_numpy(atoms.cell.array.copy()),
        torch.from_numpy(atoms.pbc.copy()),
        *edges,
        True,
        form,
    )
    return {name: value.detach().numpy() for name, value in found.items()}


def close(value: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_the_second_layer_matters(model: Path) -> None:
    """The charge of an atom depends on one that is beyond the cutoff; without, nothing is tried."""
    atoms = Atoms("OHO", [[0.0, 0.0, 0.0], [2.2, 0.0, 0.0], [4.4, 0.0, 0.0]])
    before = forward(model, atoms, "local")["charge"][0]
    atoms.positions[2, 0] += 0.1
    assert atoms.get_distance(0, 2) > CUTOFF
    assert abs(forward(model, atoms, "local")["charge"][0] - before) > 1e-5


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("shape", SHAPES)
def test_ranks_give_what_the_file_says(
    shape: str, form: str, water: Callable[..., Atoms], model: Path, tmp_path: Path
) -> None:
    """Energy, stress, charges, Born charges, and forces with those of a field, on 1, 2, 4 ranks."""
    atoms = SHAPES[shape](water)
    expected = forward(model, atoms, form)
    bec = expected["bec"]
    assert np.abs(bec - bec.transpose(0, 2, 1)).max() > 1e-3  # the index order is put to the test
    for ranks in (1, 2, 4):
        found = run(
            tmp_path / f"{ranks}",
            atoms,
            model,
            ranks=ranks,
            style=f"bec {form}",
            commands=[f"fix E all efield/bec {' '.join(map(str, FIELD))} neutral no", "run 0"],
        )
        along = found.prism.vector_to_ase(FIELD)
        assert abs(found.energy - expected["energy"]) < 1e-9  # of 12,000 eV, most of free atoms
        close(found.columns["q0"], expected["charge"][:, 0])
        close(found.bec, bec)
        close(found.forces, expected["forces"] + np.einsum("a,iab->ib", along, bec))
        if shape != "open":
            close(found.stress, expected["stress"])


@pytest.mark.parametrize(
    ("shape", "response"), [("periodic", "full"), ("small", "field"), ("open", "full")]
)
def test_ranks_agree_along_a_path_in_a_field(
    shape: str, response: str, water: Callable[..., Atoms], model: Path, tmp_path: Path
) -> None:
    """With lists made anew in each step, as atoms go from rank to rank."""
    atoms = SHAPES[shape](water)
    fields = f"fix E all efield/bec {' '.join(map(str, FIELD))} response {response}"
    commands = [
        "neigh_modify every 1 delay 0 check no",
        fields,
        "velocity all create 600.0 7 loop geom",
        "timestep 0.0005",
        "fix 1 all nve",
        "run 10",
        'print "VALUE work $(f_E:%.17g)"',
    ]
    one, *others = (
        run(tmp_path / f"{ranks}", atoms, model, ranks=ranks, commands=commands)
        for ranks in (1, 2, 4)
    )
    assert abs(one.values["work"]) > 1e-6
    for other in others:
        close(other.forces, one.forces)
        close(other.bec, one.bec)
        assert other.values["work"] == pytest.approx(one.values["work"], rel=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
def test_forces_are_slopes_of_the_energy(
    shape: str, water: Callable[..., Atoms], model: Path, tmp_path: Path
) -> None:
    atoms = SHAPES[shape](water)
    forces = run(tmp_path / "f", atoms, model, ranks=2).forces
    chosen, moved = [(0, 0), (4, 1), (13, 2)], []
    for i, a in chosen:
        for sign in (1, -1):
            copy = atoms.copy()
            copy.positions[i, a] += sign * STEP
            moved.append(copy)
    e = energies(tmp_path / "e", moved, model).reshape(-1, 2)
    expected = np.array([forces[i, a] for i, a in chosen])
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose((e[:, 1] - e[:, 0]) / (2 * STEP), expected, rtol=0, atol=1e-6)


def test_stress_is_the_slope_of_the_energy(
    water: Callable[..., Atoms], model: Path, tmp_path: Path
) -> None:
    atoms = periodic(water)
    stress = run(tmp_path / "s", atoms, model, ranks=2).stress
    e = energies(tmp_path / "e", strained_both_ways(atoms, STEP), model).reshape(-1, 2)
    expected = np.array([stress[a, b] for a, b in STRAINS])
    assert np.abs(expected).max() > 1e-4
    slopes = (e[:, 0] - e[:, 1]) / (2 * STEP) / atoms.get_volume()
    np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-8)


def test_born_charges_are_slopes_of_the_dipole(
    water: Callable[..., Atoms], model: Path, tmp_path: Path
) -> None:
    """In an open system the phase form is dP/dr of P = sum q~ r, q as LAMMPS prints them."""
    atoms = opened(water)
    bec = run(tmp_path / "z", atoms, model, ranks=2, style="bec phase").bec

    def dipole(sign: int) -> np.ndarray:
        moved = atoms.copy()
        moved.positions[i, b] += sign * STEP
        q = run(tmp_path / f"{sign}", moved, model, quantities="q").columns["q0"]
        return np.sqrt(EPSILON_INF) * (q - q.mean()) @ moved.positions

    for i, b in [(0, 0), (5, 1), (13, 2)]:
        slope = (dipole(1) - dipole(-1)) / (2 * STEP)
        np.testing.assert_allclose(bec[i, :, b], slope, rtol=0, atol=1e-6)
