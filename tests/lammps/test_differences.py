"""Forces, virial and Born effective charges of LAMMPS against finite differences of its energy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import STRAINS, energies, run, strained_both_ways

MODELS = [
    "linear",
    "two_channels",
    "two_layers",
    "constant",
    "harmonic",
    "total_charge",
    "total_charge_two_layers",
    "deep",
]
CHANNELS = {"two_channels": 2, "harmonic": 0}
STEP = 1e-4  # A, or strain


@pytest.fixture
def strained(water: Callable[..., Atoms]) -> Atoms:
    """A triclinic box with no wave vector near the cutoff: small strains keep the k set."""
    atoms = water(3, spacing=3.19)
    strain = np.array([[0.02, 0.05, -0.04], [0.0, -0.01, 0.06], [0.03, 0.0, 0.01]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    triples = np.array(list(np.ndindex(17, 17, 17))) - 8
    lengths = np.linalg.norm(2 * np.pi * triples @ np.linalg.inv(atoms.cell.array).T, axis=1)
    assert np.abs(lengths / np.pi - 1.0).min() > 5 * STEP  # the toys have dl = 2 A
    return atoms


def evaluate(folder: Path, atoms: Atoms, model: Path, name: str, **options):
    channels = CHANNELS.get(name, 1)
    return run(
        folder,
        atoms,
        model,
        channels=channels,
        quantities="q phi bec" if channels else "",
        **options,
    )


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_forces(
    name: str, periodic: bool, strained: Atoms, toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    atoms = strained
    if not periodic:
        atoms.pbc, atoms.cell = False, None
    forces = evaluate(tmp_path / "f", atoms, toy_model(name), name, ranks=2).forces
    chosen = [(0, 0), (1, 1), (2, 2), (40, 0), (40, 1), (80, 2)]
    moved = []
    for i, a in chosen:
        for sign in (1, -1):
            copy = atoms.copy()
            copy.positions[i, a] += sign * STEP
            moved.append(copy)
    e = energies(tmp_path / "e", moved, toy_model(name)).reshape(-1, 2)
    slopes = (e[:, 1] - e[:, 0]) / (2 * STEP)
    reference = np.array([forces[i, a] for i, a in chosen])
    assert np.abs(reference).max() > 0.05
    np.testing.assert_allclose(slopes, reference, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", MODELS)
def test_virial(name: str, strained: Atoms, toy_model: Callable[..., Path], tmp_path: Path) -> None:
    """All six components, charge response and volume terms included."""
    stress = evaluate(tmp_path / "s", strained, toy_model(name), name, ranks=2).stress
    moved = strained_both_ways(strained, STEP)
    e = energies(tmp_path / "e", moved, toy_model(name)).reshape(-1, 2)
    slopes = (e[:, 0] - e[:, 1]) / (2 * STEP) / strained.get_volume()
    reference = np.array([stress[a, b] for a, b in STRAINS])
    assert np.abs(reference).max() > 1e-4
    np.testing.assert_allclose(slopes, reference, rtol=0, atol=1e-8)


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["linear", "two_layers", "deep", "wrapped"])
def test_field_force(
    name: str, form: str, strained: Atoms, toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """BEC = d(field force)/dE: the fix, the compute, and their index order agree."""
    field = np.array([0.3, -0.2, 0.5])  # V/A, in the frame of LAMMPS
    options = {"style": f"bec {form}", "ranks": 2}
    without = evaluate(tmp_path / "0", strained, toy_model(name), name, **options)
    fix = "fix field all efield/bec {} {} {} neutral {}"
    for neutral in ("no", "yes"):
        with_field = evaluate(
            tmp_path / neutral,
            strained,
            toy_model(name),
            name,
            commands=[
                fix.format(*field, neutral),
                "run 0",
                *(f'print "VALUE net{a} $(f_field[{a}]:%.17g)"' for a in (1, 2, 3)),
            ],
            **options,
        )
        bec = np.stack([without.columns[f"bec{k}"] for k in range(9)], axis=1).reshape(-1, 3, 3)
        expected = np.einsum("a,iab->ib", field, bec)
        net = expected.sum(axis=0)
        if name in ("two_layers", "deep"):  # the index order is put to the test
            assert np.abs(bec - bec.transpose(0, 2, 1)).max() > 1e-3
        np.testing.assert_allclose(
            [with_field.values[f"net{a}"] for a in (1, 2, 3)], net, atol=1e-9
        )
        if neutral == "yes":
            expected -= expected.mean(axis=0)
        columns = ["fx", "fy", "fz"]
        push = np.stack([with_field.columns[c] - without.columns[c] for c in columns], axis=1)
        np.testing.assert_allclose(push, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("field", ["0.3 -0.2 0.5", "0 0 0.5", "0 0 v_e"])
@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["linear", "two_layers", "deep", "wrapped"])
def test_response_along_the_field(
    name: str,
    form: str,
    field: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """`response field` moves atoms as the whole tensors do, with the same energy."""
    atoms, model = water(3), toy_model(name)
    runs = {
        (response, ranks): run(
            tmp_path / f"{response}{ranks}",
            atoms,
            model,
            ranks=ranks,
            style=f"bec {form}",
            commands=[
                "variable e equal 0.5*(step<3)+0.1",
                f"fix field all efield/bec {field} response {response}",
                "velocity all create 300.0 7",
                "timestep 0.0005",
                "fix 1 all nve",
                "run 5",
                *(f'print "VALUE net{a} $(f_field[{a}]:%.17g)"' for a in (1, 2, 3)),
                'print "VALUE work $(f_field:%.17g)"',
            ],
        )
        for response, ranks in [("full", 1), ("field", 1), ("field", 2)]
    }
    full = runs["full", 1]
    assert abs(full.values["work"]) > 1e-4
    for along in (runs["field", 1], runs["field", 2]):
        np.testing.assert_allclose(along.forces, full.forces, rtol=0, atol=1e-9)
        for value in ("net1", "net2", "net3", "work"):
            assert along.values[value] == pytest.approx(full.values[value], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["constant", "linear"])
def test_open_born_charges_are_the_dipole_derivative(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """In an open system the phase form is dP/dr of P = sum q~ r, q as LAMMPS prints them."""
    atoms = water(2)
    atoms.pbc, atoms.cell = False, None
    model = toy_model(name)
    bec = run(tmp_path / "z", atoms, model, style="bec phase").bec

    def dipole(moved: Atoms, n: str) -> np.ndarray:
        q = run(tmp_path / n, moved, model, quantities="q").columns["q0"] * np.sqrt(1.8)
        return (q - q.mean()) @ moved.positions

    for i, b in [(0, 0), (5, 1), (13, 2)]:
        plus, minus = atoms.copy(), atoms.copy()
        plus.positions[i, b] += STEP
        minus.positions[i, b] -= STEP
        slope = (dipole(plus, "+") - dipole(minus, "-")) / (2 * STEP)
        np.testing.assert_allclose(bec[i, :, b], slope, rtol=0, atol=1e-6)
