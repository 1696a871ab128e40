"""What pair style, computes and fix give, against `forward` of the model file, on every device.

`forward` is the plain sums of the Python package and automatic differentiation of the whole energy.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from lmp import run

from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import Latents, LongRangeParameters, long_range_energy
from lammps_les.model_file import load_model

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def reference(path: Path, atoms: Atoms, form: str = "local") -> dict[str, np.ndarray]:
    """Energy, its parts, forces, stress, charges [e], potentials [V], Born effective charges."""
    module, about = load_model(path)
    periodic = bool(atoms.pbc.all())
    positions, cell = torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
    species = torch.tensor([about.network.species.index(s) for s in atoms.symbols])
    edges = neighbor_list(atoms.positions, atoms.cell.array, periodic, about.network.cutoff)
    result = module(positions, species, cell, torch.tensor(atoms.pbc), *edges, True, form)
    charge = result["charge"].requires_grad_(True)
    parameters = LongRangeParameters(**about.long_range.model_dump())
    far = long_range_energy(positions, Latents(charge), cell, periodic, parameters)
    (phi,) = torch.autograd.grad(far, charge)
    unit = about.charges.unit * torch.tensor(about.charges.sign, dtype=torch.float64)
    found = {**result, "q": charge * unit, "phi": phi / unit, "ecoul": far}
    found["evdwl"] = result["energy"] - far
    return {name: value.detach().numpy() for name, value in found.items()}


def moving(atoms: Atoms) -> Atoms:
    """With velocities."""
    atoms.set_velocities(np.random.default_rng(7).normal(0.0, 0.05, (len(atoms), 3)))
    return atoms


def print_all(names: Sequence[str]) -> list[str]:
    return [f'print "VALUE {name} $({name}:%.17g)"' for name in names]


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("sum_", ["direct", "mesh", "open"])
@pytest.mark.parametrize("name", ["shipped", "two_channels", "two_layers"])
@pytest.mark.parametrize("device", DEVICES)
def test_all_quantities(
    device: str,
    name: str,
    sum_: str,
    ranks: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    shipped: Callable[..., Path],
    tmp_path: Path,
) -> None:
    model = shipped("float64") if name == "shipped" else toy_model(name)
    atoms = moving(water(3))
    style = f"device {device}"
    if sum_ == "open":
        atoms.pbc, atoms.cell = False, None
    else:
        style += f" kspace {sum_} accuracy 1e-6"
    current = ["c_j[1]", "c_j[2]", "c_j[3]", "c_o[1]", "c_o[2]", "c_o[3]"]
    parts = ["c_all", "c_short", "c_long"]
    result = run(
        tmp_path,
        atoms,
        model,
        ranks=ranks,
        style=style,
        channels=2 if name == "two_channels" else 1,
        commands=[
            "group oxygen type 2",
            "compute j all les/current",
            "compute o oxygen les/current",
            "compute all all pair les",
            "compute short all pair les evdwl",
            "compute long all pair les ecoul",
            "thermo_style custom step pe evdwl ecoul c_stress[*] c_j[*] c_o[*] c_all c_short "
            "c_long",
            "run 0",
            *print_all([*current, *parts]),
        ],
    )
    expected = reference(model, atoms)
    # the mesh keeps what it was asked for; the direct sum and the network all digits
    scale = 1e-5 if sum_ == "mesh" else 1e-9

    def same(value: np.ndarray, expected: np.ndarray) -> None:
        size = np.abs(expected).max()
        np.testing.assert_allclose(value, expected, rtol=0, atol=scale * size)

    same(result.energy, expected["energy"])
    same(result.forces, expected["forces"])
    if sum_ != "open":
        same(result.stress, expected["stress"])
    channels = expected["q"].shape[1]
    for word in ("q", "phi"):
        columns = [result.columns[f"{word}{c}"] for c in range(channels)]
        same(np.stack(columns, axis=1), expected[word])
    same(result.bec, expected["bec"])
    for thermo, pair in (("evdwl", "c_short"), ("ecoul", "c_long")):
        split = [result.values[thermo], result.values[pair]]
        np.testing.assert_allclose(split, expected[thermo], rtol=scale, atol=1e-9)
    assert abs(result.values["ecoul"]) > 1e-2
    same(result.values["c_all"], expected["energy"])
    v = atoms.get_velocities() * 98.22694743  # A/ps
    share = np.einsum("iab,ib->ia", expected["bec"], v)
    same([result.values[c] for c in current[:3]], share.sum(axis=0))
    same([result.values[c] for c in current[3:]], share[atoms.numbers == 8].sum(axis=0))


@pytest.mark.parametrize("symbols", ["OH2", "OH"])
def test_numbers_that_agree(
    symbols: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Three atoms, channels and directions; or as many atoms of either species."""
    atoms, model = (
        water(1, spacing=5.0)[: 3 if symbols == "OH2" else 2],
        toy_model("three_channels"),
    )
    for form in ("local", "phase"):
        result = run(tmp_path / form, atoms, model, style=f"bec {form}", channels=3)
        expected = reference(model, atoms, form)
        for word in ("q", "phi"):
            columns = np.stack([result.columns[f"{word}{c}"] for c in range(3)], axis=1)
            np.testing.assert_allclose(columns, expected[word], rtol=0, atol=1e-9)
        np.testing.assert_allclose(result.bec, expected["bec"], rtol=0, atol=1e-9)
        np.testing.assert_allclose(result.forces, expected["forces"], rtol=0, atol=1e-9)


def test_atoms_outside_the_group_get_zeros(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    atoms, model = water(3), toy_model("linear")
    expected = reference(model, atoms)
    commands = ["uncompute les", "group oxygen type 2", "compute les oxygen les/atom bec q"]
    result = run(tmp_path, atoms, model, ranks=2, quantities="bec q", commands=[*commands, "run 0"])
    oxygen = atoms.numbers == 8
    np.testing.assert_allclose(result.bec[oxygen], expected["bec"][oxygen], rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.columns["q0"][oxygen], expected["q"][oxygen, 0], atol=1e-9)
    assert np.abs(result.bec[~oxygen]).max() == 0.0
    assert np.abs(result.columns["q0"][~oxygen]).max() == 0.0


@pytest.mark.parametrize("sum_", ["direct", "mesh"])
@pytest.mark.parametrize("device", DEVICES)
def test_float32(
    device: str,
    sum_: str,
    water: Callable[..., Atoms],
    shipped: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """The export in single precision; relative rms, and energies per atom in eV."""
    single, double = (
        run(
            tmp_path / dtype,
            water(4),
            shipped(dtype),
            style=f"device {device} kspace {sum_} accuracy 1e-6",
        )
        for dtype in ("float32", "float64")
    )
    assert abs(single.energy - double.energy) < 1e-5 * 192
    for name in ("forces", "stress", "bec"):
        one, two = getattr(single, name), getattr(double, name)
        assert 0.0 < np.linalg.norm(one - two) < 1e-5 * np.linalg.norm(two), name


FIELD = np.array([0.3, -0.2, 0.5])  # V/A
TENSOR = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]  # xx yy zz xy xz yz


def field_virial(folder: Path, atoms: Atoms, model: Path, *settings: str) -> np.ndarray:
    """Virial [eV] of the field, xx yy zz xy xz yz: the global one, which is the sum per atom."""
    components = [f"c_push[{k}]" for k in range(1, 7)]
    sums = [f"c_total[{k}]" for k in range(1, 7)]
    result = run(
        folder,
        atoms,
        model,
        ranks=2,
        style="bec phase",
        commands=[
            "fix f all efield/bec " + " ".join(map(str, FIELD)) + " neutral no",
            "fix_modify f virial yes",
            *settings,
            "compute push all pressure NULL fix",
            "compute atoms all stress/atom NULL fix",
            "compute total all reduce sum c_atoms[*]",
            "thermo_style custom step pe c_stress[*] c_push[*] c_total[*] vol",
            "run 0",
            *print_all([*components, *sums, "vol"]),
        ],
    )
    pressure = np.array([result.values[c] for c in components])  # bar
    per_atom = np.array([result.values[c] for c in sums])  # minus bar A^3
    volume = result.values["vol"]
    np.testing.assert_allclose(-per_atom, pressure * volume, rtol=1e-10, atol=1e-4)
    return pressure * volume / 1602176.5


@pytest.mark.parametrize("name", ["constant", "linear"])
def test_field_virial_is_the_strain_derivative_of_the_field_energy(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """In an open system U = -E.P is a function of the positions: W_ab = -dU/d(strain_ab)."""
    atoms, model, step = water(2), toy_model(name), 1e-4
    atoms.pbc, atoms.cell = False, None
    virial = field_virial(tmp_path / "w", atoms, model)

    def energy(a: int, b: int, strain: float) -> float:
        """x_a += strain x_b: LAMMPS's xy, xz, yz are the components F_a x_b of upper triangles."""
        moved = atoms.copy()
        moved.positions[:, a] += strain * atoms.positions[:, b]
        q = run(tmp_path / "e", moved, model, quantities="q").columns["q0"] * np.sqrt(1.8)
        return -FIELD @ ((q - q.mean()) @ moved.positions)

    slopes = [(energy(a, b, step) - energy(a, b, -step)) / (2 * step) for a, b in TENSOR]
    assert np.abs(slopes).min() > 0.1
    np.testing.assert_allclose(virial, -np.array(slopes), rtol=0, atol=1e-6)


def test_field_virial_of_a_periodic_system_takes_unwrapped_positions(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Constant charges: W_ab = sum_i q_i E_a u_ib, with positions u that cross the boundaries."""
    atoms, model = water(3), toy_model("constant")
    atoms.positions += [4.0, -7.0, 20.0]
    virial = field_virial(tmp_path, atoms, model)
    q = np.where(atoms.numbers == 8, -0.8, 0.4) * np.sqrt(1.8)
    dipole = q @ atoms.positions
    expected = [FIELD[a] * dipole[b] for a, b in TENSOR]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(virial, expected, rtol=0, atol=1e-8)


def test_field_virial_only_where_asked_for(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    virial = field_virial(tmp_path, water(2), toy_model("linear"), "fix_modify f virial no")
    assert np.abs(virial).max() == 0.0


def test_dynamic_group_is_the_region_that_defines_it(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Atoms that come and go feel the same forces, on the same paths."""
    atoms, model = water(3), toy_model("linear")
    fields = {
        "region": ["fix f all efield/bec 0.0 0.3 0.5 neutral no region left"],
        "group": [
            "group mobile dynamic all region left every 1",
            "fix f mobile efield/bec 0.0 0.3 0.5 neutral no",
        ],
    }
    results = {}
    for kind, commands in fields.items():
        results[kind] = run(
            tmp_path / kind,
            atoms,
            model,
            ranks=2,
            commands=[
                "region left block 0 4.0 INF INF INF INF",
                *commands,
                "velocity all create 600.0 5 loop all",
                "timestep 0.0005",
                "fix 1 all nve",
                "thermo 1",
                "thermo_style custom step pe etotal f_f c_stress[*]",
                "run 60",
                *print_all(["f_f", "f_f[1]", "f_f[2]", "f_f[3]"]),
            ],
        )
    region, group = results["region"], results["group"]
    moved = region.vectors("") - atoms.positions
    inside = [(p[:, 0] % 9.3) < 4.0 for p in (atoms.positions, atoms.positions + moved)]
    assert (inside[0] != inside[1]).sum() > 3
    np.testing.assert_allclose(group.forces, region.forces, rtol=0, atol=1e-9)
    net = [[r.values[f"f_f[{a}]"] for a in (1, 2, 3)] for r in (region, group)]
    assert np.abs(net).max() > 1e-2
    np.testing.assert_allclose(net[1], net[0], rtol=0, atol=1e-9)
    assert abs(region.values["f_f"]) > 1e-2
    assert group.values["f_f"] == pytest.approx(region.values["f_f"], abs=1e-9)
