"""The ASE calculator: against the exported module, differences, and closed forms."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, CalculatorSetupError
from ase.stress import full_3x3_to_voigt_6_stress

from lammps_les.calculators import LesCalculator
from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import load_model

CELL = np.array([[4.3, 0.0, 0.0], [0.9, 5.1, 0.0], [-1.2, 0.4, 4.8]])
CELLS = {"triclinic": CELL, "left_handed": CELL[[1, 0, 2]], "open": None}
TOYS = ["constant", "linear", "two_channels", "harmonic", "two_layers", "three_layers"]


def atoms(boundary: str = "triclinic") -> Atoms:
    """Six atoms in a cell shorter than twice the cutoff, or in the open."""
    positions = np.random.default_rng(5).random((6, 3)) @ CELL
    kinds = ["H", "O"] * 3
    cell = CELLS[boundary]
    return Atoms(kinds, positions, cell=cell, pbc=cell is not None)


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("boundary", CELLS)
@pytest.mark.parametrize("name", TOYS)
def test_agrees_with_forward_of_the_module(toy_model, name, boundary, form):
    """Formulas and one backward pass here, automatic differentiation of the whole energy there."""
    structure = atoms(boundary)
    calculator = LesCalculator(toy_model(name), bec=form, multichannel_bec=True)
    structure.calc = calculator
    periodic = bool(structure.pbc.all())
    edges = neighbor_list(
        structure.positions, structure.cell.array, periodic, calculator.metadata.network.cutoff
    )
    species = [
        calculator.metadata.network.species.index(s) for s in structure.get_chemical_symbols()
    ]
    result = load_model(toy_model(name))[0](
        torch.from_numpy(structure.positions),
        torch.tensor(species),
        torch.from_numpy(structure.cell.array.copy()),
        torch.from_numpy(structure.pbc.copy()),
        *edges,
        True,
        form,
    )
    tight = {"rtol": 0, "atol": 1e-10}
    np.testing.assert_allclose(structure.get_potential_energy(), result["energy"], **tight)
    np.testing.assert_allclose(structure.get_potential_energies().sum(), result["energy"], **tight)
    np.testing.assert_allclose(structure.get_forces(), result["forces"], **tight)
    about = calculator.metadata.charges
    charges = about.unit * (result["charge"].numpy() @ np.array(about.sign))  # e
    np.testing.assert_allclose(structure.get_charges(), charges, **tight)
    tensor = calculator.get_property("born_effective_charges", structure)
    np.testing.assert_allclose(tensor, result["bec"], **tight)
    if periodic:
        stress = full_3x3_to_voigt_6_stress(result["stress"].numpy())
        np.testing.assert_allclose(structure.get_stress(), stress, **tight)


@pytest.mark.parametrize("boundary", CELLS)
def test_field_force_is_field_times_born_charge(toy_model, boundary):
    """With two layers the tensor is not symmetric, so the index order shows."""
    field = np.array([0.1, -0.2, 0.05])
    path = toy_model("two_layers")
    structure = atoms(boundary)
    structure.calc = LesCalculator(path)
    force, energy = structure.get_forces(), structure.get_potential_energy()
    tensor = structure.calc.get_property("born_effective_charges", structure)
    structure.calc = LesCalculator(path, field=field, neutral=False)
    expected = np.zeros((6, 3))
    for a in range(3):
        expected += field[a] * tensor[:, a, :]
    np.testing.assert_allclose(structure.get_forces() - force, expected, atol=1e-12)
    assert np.abs(expected).max() > 0.01
    assert structure.get_potential_energy() == energy
    structure.calc = LesCalculator(path, field=field)
    net = (structure.get_forces() - force).sum(axis=0)
    np.testing.assert_allclose(net, 0, atol=1e-12)


def test_field_force_in_the_open_is_the_derivative_of_the_dipole_energy(toy_model):
    """F = -d(-E.P)/dr with P = sum_j Q_j (r_j - r_0) where the total charge stays as it is."""
    field = np.array([0.3, 0.1, -0.2])
    structure = atoms("open")
    structure.calc = LesCalculator(toy_model("linear"), field=field, bec="phase", neutral=False)
    bare = LesCalculator(toy_model("linear"))

    def work(positions):
        moved = structure.copy()
        moved.positions = positions
        q = bare.get_property("charges", moved)
        return field @ ((q - q.mean()) @ positions) * 1.8**0.5  # epsilon_inf of the toy

    forces = structure.get_forces() - bare.get_forces(structure)
    for i, b in [(0, 0), (3, 1), (5, 2)]:
        step = np.zeros((6, 3))
        step[i, b] = 1e-4
        slope = (work(structure.positions + step) - work(structure.positions - step)) / 2e-4
        assert forces[i, b] == pytest.approx(slope, abs=1e-7)


def test_stress_is_the_slope_where_wave_vectors_stay(toy_model):
    """The box grows through a shell at L = 3 dl: E jumps unless the reference cell is given."""
    positions = np.random.default_rng(5).random((6, 3)) * 6.0
    start = Atoms(["H", "O"] * 3, positions, cell=[5.99] * 3, pbc=True)

    def strained(scale, **options):
        copy = start.copy()
        copy.set_cell(start.cell * scale, scale_atoms=True)
        copy.calc = LesCalculator(toy_model("constant"), **options)
        return copy

    def jump(**options):
        """Change of energy from one side of the shell to the other, and what pressure says."""
        step = 0.004
        change = [strained(1.0 + s, **options).get_potential_energy() for s in (0.0, step)]
        middle = strained(1.0 + 0.5 * step, **options)
        slope = 3.0 * middle.get_stress()[:3].mean() * middle.get_volume() / (1.0 + 0.5 * step)
        return change[1] - change[0], slope * step

    rise, work = jump(reference_cell=start.cell)
    assert rise == pytest.approx(work, rel=1e-3)
    rise, work = jump()
    assert abs(rise - work) > 0.5 * abs(work)
    with pytest.raises(CalculatorSetupError, match="reference_cell must be three lattice vectors"):
        LesCalculator(toy_model("constant"), reference_cell=[1.0, 2.0])


def test_charges_are_in_e(toy_model):
    """0.4 and -0.8 file units of 1 e, whatever epsilon_inf is."""
    structure = atoms()
    for epsilon_inf in (None, 4.0):
        structure.calc = LesCalculator(toy_model("constant"), epsilon_inf=epsilon_inf)
        np.testing.assert_allclose(structure.get_charges()[:2], [0.4, -0.8])


def test_float32_model_gives_float64_results(toy_model):
    structure = atoms()
    structure.calc = LesCalculator(toy_model("two_layers", "float32"))
    single = structure.get_forces()
    structure.calc = LesCalculator(toy_model("two_layers"))
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, structure.get_forces(), atol=2e-5)


def test_unknown_element_is_refused(toy_model):
    structure = Atoms("HHe", [[0, 0, 0], [0, 0, 2]])
    structure.calc = LesCalculator(toy_model("linear"))
    with pytest.raises(CalculatorSetupError, match="has species H O; the structure has He"):
        structure.get_forces()


@pytest.mark.parametrize("pbc", [(True, False, True), (False, False, True)])
def test_mixed_boundaries_are_refused(toy_model, pbc):
    structure = atoms()
    structure.pbc = pbc
    structure.calc = LesCalculator(toy_model("linear"))
    with pytest.raises(CalculatorSetupError, match="in all three directions, in the first two"):
        structure.get_forces()


@pytest.mark.parametrize(
    ("positions", "cell", "message"),
    [
        ([[0, 0, 0], [0, 0, 1e20]], None, r"the position of atom 1 is 0 0 1e\+20 A"),
        ([[0, 0, 0], [0, 0, 1e20]], [8, 8, 8], r"the position of atom 1 is 0 0 1e\+20 A"),
        ([[0, 0, 0], [0, 0, 0]], [8, 8, 8], r"atom 0 \(H\) and atom 1 \(O\) are 0 A apart"),
        ([[0, 0, 0], [0, 0, 1]], [0.5, 0.5, 0.5], r"a cell of 0.125 A\^3 for 2 atoms"),
        ([[0, 0, 0], [0, 0, 1]], [1e-4, 99, 99], "opposite faces of the cell are 0.0001 99 99 A"),
        ([[0, 0, 0], [0, 0, 1]], [0.05, 99, 99], "opposite faces of the cell"),
    ],
)
def test_structures_that_cannot_be_meant_are_refused(toy_model, positions, cell, message):
    structure = Atoms("HO", positions, cell=cell, pbc=cell is not None)
    structure.calc = LesCalculator(toy_model("linear"))
    with pytest.raises(CalculatorSetupError, match=message):
        structure.get_forces()


def test_an_atom_may_leave_the_others(toy_model):
    """It costs the energy of an atom far from all others, however far it is."""
    near, far = (
        Atoms("OHH", [[0, 0, 0], [1.0, 0, 0], [0, 0, distance]]) for distance in (1e3, 5e4)
    )
    energies = [LesCalculator(toy_model("linear")).get_potential_energy(a) for a in (near, far)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bec": "finite"}, "'local' or 'phase', got 'finite'"),
        ({"born": "phase"}, "born is now bec"),
        ({"field": [0.1]}, "three numbers in V/A"),
        ({"epsilon_inf": 0.0}, "expected a number from 0.1 to 1000 or a symmetric"),
    ],
)
def test_wrong_argument_is_refused(toy_model, arguments, message):
    with pytest.raises(CalculatorSetupError, match=message):
        LesCalculator(toy_model("linear"), **arguments)


@pytest.mark.parametrize("name", ["linear", "deep", "wrapped"])
def test_what_the_caller_has_switched_on_does_not_matter(toy_model, name):
    """Gradients switched off, inference, a profiler that counts memory in the place that we do."""
    structure = atoms()
    expected = LesCalculator(toy_model(name)).get_forces(structure)
    assert np.abs(expected).max() > 0.01
    for around in (torch.no_grad, torch.inference_mode, torch.profiler.profile):
        with around():
            found = LesCalculator(toy_model(name)).get_forces(structure)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_raising_model_fails(toy_model):
    structure = atoms()
    structure.calc = LesCalculator(toy_model("raises"))
    with pytest.raises(CalculationFailed, match="raised on purpose"):
        structure.get_forces()


def test_non_finite_energy_fails(toy_model):
    structure = atoms()
    structure.calc = LesCalculator(toy_model("non_finite"))
    with pytest.raises(CalculationFailed, match=r"not finite \(the energy of atom 0 is nan\)"):
        structure.get_forces()


def test_a_sum_that_is_not_finite_fails(toy_model):
    calculator = LesCalculator(toy_model("linear"))
    energies, forces = torch.tensor([1e308, 1e308], dtype=torch.float64), torch.zeros(2, 3)
    evaluation = SimpleNamespace(energies=energies, forces=forces)
    calculator.evaluator = SimpleNamespace(evaluate=lambda *_: evaluation)
    with pytest.raises(CalculationFailed, match="the energy of all atoms is inf"):
        calculator.calculate(Atoms("HO", [[0, 0, 0], [1, 0, 0]]))
