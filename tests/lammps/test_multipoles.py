"""Models with dipoles, quadrupoles and response in LAMMPS, on 1, 2 and 4 ranks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from generate import toy_metadata
from lmp import Run, run
from multipole_network import EVERY, MultipoleNetwork

from lammps_les.calculators import LesCalculator
from lammps_les.model_file import load_model
from lammps_les_export import write_model

CHAINS = [
    "chain_open_quQ_alpha9_removed",
    "chain_ortho_quQ_kappa_alpha9_kept_2layers",
    "chain_triclinic_quQ_alpha9_removed",
]
FULL = [0, 3, 4, 3, 1, 5, 4, 5, 2]  # of xx yy zz xy xz yz
TO_A3 = 14.399645


def tensors(result: Run, word: str) -> np.ndarray:
    """Symmetric tensors [n, 3, 3] of the first channel, in ASE's frame."""
    rows = np.stack([result.columns[f"{word}{k}"] for k in range(6)], axis=1)[:, FULL]
    turn = result.prism.vector_to_ase(np.eye(3))
    return np.einsum("iab,ax,by->ixy", rows.reshape(-1, 3, 3), turn, turn)


def vectors(result: Run, word: str) -> np.ndarray:
    """Vectors [n, 3] of the first channel, in ASE's frame."""
    rows = np.stack([result.columns[f"{word}{k}"] for k in range(3)], axis=1)
    return result.prism.vector_to_ase(rows)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("name", CHAINS)
def test_values_of_the_original_program(
    name: str, ranks: int, shared: Path, tmp_path: Path
) -> None:
    with np.load(shared / "reference" / "multipoles" / f"{name}.npz") as file:
        data = {key: file[key] for key in file}
    latents = [latent for latent in EVERY if latent != "kappa" or "latent_kappa" in data]
    network = MultipoleNetwork(
        ["H", "O"],
        latents,
        int(data["layers"]),
        float(data["cutoff"]),
        torch.from_numpy(data["w"]),
        torch.from_numpy(data["q0"]),
    )
    about = {key: data[key].item() for key in ("sigma", "dl", "norm", "remove_self")}
    write_model(tmp_path / "model.pt", network, toy_metadata(network, "float64", **about))
    periodic = bool(data["cell"].any())
    atoms = Atoms(
        [("H", "O")[s] for s in data["species"]],
        data["positions"],
        cell=data["cell"] if periodic else None,
        pbc=periodic,
    )
    words = "q dipole quadrupole alpha du" + (" dq" if "kappa" in latents else "") + " bec"
    for form in ("phase", "local") if "bec_charge_local" in data else ("phase",):
        result = run(
            tmp_path / form,
            atoms,
            tmp_path / "model.pt",
            ranks=ranks,
            style=f"bec {form} unstable allow kspace " + ("direct" if periodic else "auto"),
            quantities=words,
        )
        near = {"rtol": 0, "atol": 1e-9}
        np.testing.assert_allclose(result.energy, data["energy"], **near)
        np.testing.assert_allclose(result.forces, data["forces"], **near)
        if periodic:
            volume = abs(np.linalg.det(data["cell"]))
            np.testing.assert_allclose(result.stress, -data["virial"] / volume, **near)
        np.testing.assert_allclose(result.columns["q0"], data["latent_q"], **near)
        np.testing.assert_allclose(vectors(result, "dipole"), data["latent_u"], **near)
        np.testing.assert_allclose(tensors(result, "quadrupole"), data["latent_Q"], **near)
        np.testing.assert_allclose(tensors(result, "alpha"), data["latent_alpha"], **near)
        np.testing.assert_allclose(vectors(result, "du"), data["dipole_induced"], **near)
        if "kappa" in latents:
            np.testing.assert_allclose(result.columns["dq0"], data["charge_induced"], **near)
        bec = data["bec_dipole"] + data[f"bec_charge_{form}"]
        np.testing.assert_allclose(result.bec, bec, **near)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("sum_", ["direct", "mesh", "open"])
@pytest.mark.parametrize("name", ["dipoles", "multipoles", "responding", "softened"])
def test_against_the_calculator(
    name: str,
    sum_: str,
    ranks: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """The same evaluator, without ranks, ghosts and LAMMPS; that is tested against `forward`."""
    model, atoms = toy_model(name), water(2)
    kspace = {"direct": "direct", "mesh": "mesh accuracy 1e-6", "open": "auto"}[sum_]
    if sum_ == "open":
        atoms.pbc, atoms.cell = False, None
    atoms.set_velocities(np.random.default_rng(7).normal(0.0, 0.05, (len(atoms), 3)))
    latents = load_model(model)[1].latents
    field = [0.2, -0.1, 0.3]
    names = [f"c_p[{k}]" for k in (1, 2, 3)] + [f"c_j[{k}]" for k in (1, 2, 3)]
    commands = ["compute p all les/dipole", "compute j all les/current"]
    if "alpha" in latents:
        commands.append("compute a all les/polarizability")
        names += [f"c_a[{k}]" for k in range(1, 7)]
    columns = " ".join(c for c in ("c_p[*]", "c_j[*]", "c_a[*]") if c[2] != "a" or len(names) > 6)
    show = [f'print "VALUE {n} $({n}:%.17g)"' for n in names]
    result = run(
        tmp_path,
        atoms,
        model,
        ranks=ranks,
        style=f"unstable allow kspace {kspace}",
        channels=2 if name == "multipoles" else 1,
        commands=[
            *commands,
            "fix e all efield/bec {} {} {} neutral no".format(*field),
            f"thermo_style custom step pe {columns} c_stress[*]",
            "run 0",
            *show,
        ],
    )
    atoms.calc = LesCalculator(model, field=field, neutral=False)
    energy = atoms.get_potential_energy()
    calculated = {
        key: np.asarray(atoms.calc.get_property(key, atoms))
        for key in ("forces", "born_effective_charges", "dipole")
    }

    def same(value, expected) -> None:
        tolerance = (1e-5 if sum_ == "mesh" else 1e-9) * np.abs(expected).max()
        np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance)

    same(result.energy, energy)
    same(result.forces, calculated["forces"])
    same(result.bec, calculated["born_effective_charges"])
    same([result.values[n] for n in names[:3]], calculated["dipole"])
    v = atoms.get_velocities() * 98.22694743  # A/ps
    current = np.einsum("iab,ib->a", calculated["born_effective_charges"], v)
    same([result.values[n] for n in names[3:6]], current)
    if "alpha" in latents:
        polarizability = TO_A3 * np.asarray(atoms.calc.get_property("polarizability", atoms))
        found = np.array([result.values[n] for n in names[6:]])[FULL].reshape(3, 3)
        same(found, polarizability)


@pytest.mark.parametrize("kspace", ["direct", "mesh accuracy 1e-6"])
def test_field_by_charge_is_the_force(
    kspace: str, toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Of ions that stay as they are; a model of charges alone."""
    rng = np.random.default_rng(3)
    atoms = bulk("NaCl", "rocksalt", 5.6, cubic=True)
    atoms.positions += rng.normal(0.0, 0.2, atoms.positions.shape)
    result = run(
        tmp_path,
        atoms,
        toy_model("ions"),
        ranks=2,
        style=f"kspace {kspace}",
        quantities="q field",
    )
    pushes = result.columns["q0"][:, None] * vectors(result, "field")
    scale = np.abs(result.forces).max()
    np.testing.assert_allclose(pushes, result.forces, rtol=0, atol=1e-5 * scale)
    assert scale > 0.1


@pytest.mark.parametrize("response", ["full", "field"])
def test_both_responses_push_alike(
    response: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    model, atoms = toy_model("multipoles"), water(2)
    field = [0.2, -0.1, 0.3]
    fix = "fix e all efield/bec {} {} {} response {}".format(*field, response)
    result = run(tmp_path, atoms, model, ranks=2, channels=2, commands=[fix, "run 0"])
    atoms.calc = LesCalculator(model, field=field)
    np.testing.assert_allclose(result.forces, atoms.get_forces(), rtol=0, atol=1e-9)


def test_energy_in_a_field_is_conserved(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """200 steps on 2 ranks; without the work of the field the energy is not."""
    atoms = water(2)
    rng = np.random.default_rng(5)
    atoms.set_velocities(rng.normal(0.0, 0.01, (len(atoms), 3)))
    commands = [
        "neigh_modify every 1 delay 0 check yes",
        "velocity all zero linear",
        "fix 1 all nve",
        "fix e all efield/bec 0.1 0.0 0.2",
        "timestep 0.0001",
        "variable total equal etotal+f_e",
        "variable bare equal etotal",
        "thermo_style custom step pe etotal f_e c_stress[*]",
        "run 0",
        'print "VALUE before $(v_total:%.17g)"',
        'print "VALUE bare $(v_bare:%.17g)"',
        "run 200",
        'print "VALUE after $(v_total:%.17g)"',
        'print "VALUE bare_after $(v_bare:%.17g)"',
    ]
    model = toy_model("multipoles")
    result = run(tmp_path, atoms, model, ranks=2, channels=2, commands=commands)
    drift = result.values["after"] - result.values["before"]
    work = result.values["bare_after"] - result.values["bare"]
    assert abs(work) > 1e-3
    assert abs(drift) < 0.02 * abs(work)


def test_cells_beyond_the_critical_length_are_refused(
    toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Of 25.09 A, where kappa turns the sign of the energy of a longitudinal wave."""
    model, cell = toy_model("soft_ions"), bulk("NaCl", "rocksalt", 4.0, cubic=True)
    for side, cells in (("within", 4), ("near", 6), ("beyond", 8)):
        salt = cell.repeat((1, cells, 1))
        result = run(tmp_path / side, salt, model, ranks=2, quantities="q dq", check=False)
        assert (result.returncode == 0) == (side != "beyond")
        assert ("stable in cells up to 25.09 A" in result.log) == (side == "within")
        assert ("WARNING: pair les: model file" in result.log) == (side == "near")
    assert "gives negative energies to waves of charge" in result.log
    assert "no cell wider than 25.09 A" in result.log
    allowed = run(tmp_path / "allowed", salt, model, style="unstable allow", quantities="q dq")
    assert "WARNING: pair les: model file" in allowed.log


def test_chi_is_told_and_must_be_less_than_one(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    result = run(tmp_path / "loose", water(2), toy_model("multipoles"), channels=2)
    assert "susceptibility chi 0." in result.log
    dense = water(2)
    dense.set_cell(dense.cell * 0.5, scale_atoms=True)
    result = run(tmp_path / "dense", dense, toy_model("multipoles"), channels=2, check=False)
    assert result.returncode != 0
    assert "must be less than 1" in result.log


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        (["compute x all les/atom alpha", "run 0"], "needs a model that gives alpha"),
        (["compute x all les/atom dq", "run 0"], "needs a model that gives kappa"),
        (["compute x all les/polarizability", "run 0"], "needs a model that gives alpha"),
        (
            [
                "compute s all centroid/stress/atom NULL virial",
                "compute sum all reduce sum c_s[1]",
                "thermo_style custom step c_sum",
                "run 0",
            ],
            "is not implemented for models with dipole",
        ),
    ],
)
def test_what_a_model_cannot_give_is_named(
    commands: list[str],
    message: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    result = run(tmp_path, water(2), toy_model("dipoles"), commands=commands, check=False)
    assert result.returncode != 0
    assert message in result.log
