"""Models with dipoles, quadrupoles and response: the module of a model file, as a whole."""

import itertools
import math

import numpy as np
import pytest
import torch
from generate import toy_metadata
from multipole_network import EVERY, MultipoleNetwork
from torch import Tensor

from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import (
    Latents,
    LongRangeParameters,
    born_effective_charges,
    long_range_response,
    polarization,
    without_mean,
)
from lammps_les.model_file import Metadata, parse_metadata
from lammps_les_export.exported_model import ExportedModel, exported

CELL = torch.tensor([[4.3, 0.0, 0.0], [0.9, 5.1, 0.0], [-1.2, 0.4, 4.8]], dtype=torch.float64)
OPEN = torch.zeros(3, 3, dtype=torch.float64)
RESPONDING = ("charge", "dipole", "alpha")


def atoms(n: int = 6) -> tuple[Tensor, Tensor]:
    """Positions and species of atoms on a grid that has been shaken."""
    generator = torch.Generator().manual_seed(11)
    sites = torch.cartesian_prod(*[torch.arange(2)] * 3)[:n] / 2.0
    shaken = sites + 0.12 * torch.rand(n, 3, generator=generator, dtype=torch.float64)
    return shaken @ CELL, torch.arange(n) % 2


def model(network: MultipoleNetwork, **changes) -> tuple[ExportedModel, Metadata]:
    """Module and metadata of a model file, not scripted."""
    metadata = parse_metadata(toy_metadata(network, "float64", **changes), "test")
    return exported(network, metadata), metadata


def run(module, r: Tensor, species: Tensor, cell: Tensor, form: str | None = None):
    """Call forward; a zero cell is open; Born effective charges where a form is given."""
    periodic = bool(cell.any())
    edges = neighbor_list(r.numpy(), cell.numpy(), periodic, module.network.cutoff)
    return module(r, species, cell, torch.full((3,), periodic), *edges, form is not None, form)


def reference(shared, name: str) -> dict[str, np.ndarray]:
    with np.load(shared / "reference" / "multipoles" / f"{name}.npz") as file:
        return {key: file[key] for key in file}


@pytest.mark.parametrize(
    "name",
    [
        "chain_open_quQ_alpha9_removed",
        "chain_ortho_quQ_kappa_alpha9_kept_2layers",
        "chain_triclinic_quQ_alpha9_removed",
    ],
)
def test_total_derivatives_of_the_original_program(shared, name):
    """Latents by a network, long-range energy and polarization by the les library."""
    data = reference(shared, name)
    latents = [latent for latent in EVERY if latent != "kappa" or "latent_kappa" in data]
    network = MultipoleNetwork(
        ["H", "O"],
        latents,
        int(data["layers"]),
        float(data["cutoff"]),
        torch.from_numpy(data["w"]),
        torch.from_numpy(data["q0"]),
    )
    module, _ = model(
        network, **{key: data[key].item() for key in ("sigma", "dl", "norm", "remove_self")}
    )
    module = torch.jit.script(module)
    arguments = [torch.from_numpy(data[key]) for key in ("positions", "species", "cell")]
    found = run(module, *arguments, "phase")
    # three times: TorchScript optimises after the first
    assert all(
        torch.allclose(run(module, *arguments, "phase")[key], value, rtol=0, atol=1e-11)
        for _ in range(2)
        for key, value in found.items()
    )
    expected = {
        "energy": data["energy"],
        "forces": data["forces"],
        "bec": data["bec_charge_phase"] + data["bec_dipole"],
        "dipole_induced": data["dipole_induced"][:, None],
    }
    if "kappa" in latents:
        expected["charge_induced"] = data["charge_induced"][:, None]
    if data["cell"].any():
        expected["stress"] = -data["virial"] / abs(np.linalg.det(data["cell"]))
    for latent, key in zip(EVERY, ("q", "u", "Q", "kappa", "alpha"), strict=True):
        if latent in latents:
            expected[latent] = data[f"latent_{key}"][:, None]
    for key, value in expected.items():
        np.testing.assert_allclose(found[key].numpy(), value, rtol=0, atol=1e-9, err_msg=key)
    if "bec_charge_local" in data:
        local = run(module, *arguments, "local")["bec"].numpy()
        total = data["bec_charge_local"] + data["bec_dipole"]
        np.testing.assert_allclose(local, total, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "lefthanded_q_kappa_alpha1_kept",
        "open_quQ_kappa_alpha9_removed",
        "open_quQ_kept",
        "ortho_q_removed",
        "ortho_quQ_alpha9_kept",
        "ortho_quQ_kappa_alpha9_removed_200",
        "triclinic_quQ_alpha1_removed",
        "triclinic_quQ_kappa_alpha9_removed",
        "triclinic_quQ_kappa_removed",
    ],
)
def test_born_charges_at_fixed_latents_of_the_original_program(shared, name):
    """What comes through the smeared field alone: phase form, mean removed."""
    data = reference(shared, name)
    latents = [torch.from_numpy(data[k]) if k in data else None for k in ("q", "u", "Q", "kappa")]
    alpha = torch.from_numpy(data["alpha"]) if "alpha" in data else None
    if alpha is not None and alpha.dim() == 2:
        alpha = alpha[:, :, None, None] * torch.eye(3, dtype=alpha.dtype)
    values = [data[key].item() for key in ("sigma", "dl", "norm", "remove_self")]
    cell, periodic = torch.from_numpy(data["cell"]), bool(data["pbc"].all())
    r = torch.from_numpy(data["positions"]).requires_grad_()
    response = long_range_response(
        r, Latents(*latents, alpha), cell, periodic, LongRangeParameters(*values, 1.0)
    )
    charge, dipole = (
        latents[0][:, 0],
        torch.zeros_like(r) if latents[1] is None else latents[1][:, 0],
    )
    if response.charge_induced is not None:
        charge = charge + response.charge_induced[:, 0]
    if response.dipole_induced is not None:
        dipole = dipole + response.dipole_induced[:, 0]
    neutral = without_mean(charge.detach(), True)
    found = polarization(r.detach(), neutral, cell, periodic)
    expected = data["polarization_charge"] if periodic else [data["polarization_charge"], [0.0] * 3]
    np.testing.assert_allclose(found.numpy().T, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        dipole.detach().sum(0).numpy(), data["polarization_dipole"], rtol=0, atol=1e-9
    )
    own = torch.arange(len(r))
    plain = born_effective_charges(charge, r, own, cell, periodic, True, "phase")
    np.testing.assert_allclose(plain.numpy(), data["bec_charge"], rtol=0, atol=1e-9)
    whole = born_effective_charges(charge, r, own, cell, periodic, True, "phase", dipoles=dipole)
    expected = data["bec_charge"] + data["bec_dipole"]
    np.testing.assert_allclose(whole.numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", [CELL, CELL[[1, 0, 2]], OPEN], ids=["cell", "left_handed", "open"])
@pytest.mark.parametrize("layers", [1, 2])
def test_forces_and_stress_are_differences_of_the_energy(layers, cell):
    module, _ = model(MultipoleNetwork(["H", "O"], layers=layers))
    r, species = atoms()
    found = run(module, r, species, cell)

    def slope(moved) -> float:
        values = [float(run(module, *moved(n * 1e-4))["energy"]) for n in (-2, -1, 1, 2)]
        return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / 12e-4

    for i, b in [(0, 0), (2, 1), (5, 2)]:
        step = torch.zeros_like(r)
        step[i, b] = 1.0
        force = -slope(lambda h, step=step: (r + h * step, species, cell))
        assert float(found["forces"][i, b]) == pytest.approx(force, abs=2e-7)
    if not cell.any():
        return
    volume = float(torch.linalg.det(cell).abs())
    for a, b in itertools.product(range(3), repeat=2):
        strain = torch.zeros(3, 3, dtype=torch.float64)
        strain[a, b] = 1.0

        def strained(h, strain=strain):
            deformation = torch.eye(3, dtype=torch.float64) + h * strain.T
            return r @ deformation, species, cell @ deformation

        assert float(found["stress"][a, b]) == pytest.approx(slope(strained) / volume, abs=2e-8)


@pytest.mark.parametrize("total", [None, 0.5])
@pytest.mark.parametrize("remove_mean", [True, False])
@pytest.mark.parametrize("cell", [CELL, OPEN], ids=["cell", "open"])
def test_born_charges_are_differences_of_the_polarization(cell, remove_mean, total):
    """Of all that couples: unit sign root_epsilon_e [sum (q + dq - mean) w + sum (u + du)]."""
    epsilon = [[1.9, 0.1, 0.0], [0.1, 1.7, 0.0], [0.0, 0.0, 1.6]]
    module, _ = model(
        MultipoleNetwork(["H", "O"], layers=2),
        unit=0.7,
        sign=[-1.0],
        total=total,
        remove_mean=remove_mean,
        epsilon_inf=3.0,
        epsilon_e=epsilon,
    )
    values, vectors = np.linalg.eigh(epsilon)
    root = torch.from_numpy(vectors @ np.diag(np.sqrt(values)) @ vectors.T)
    r, species = atoms()
    found = run(module, r, species, cell, "phase")["bec"]

    def couples(x: Tensor) -> tuple[Tensor, Tensor]:
        """Charges [N] and the sum of dipoles [3]."""
        result = run(module, x, species, cell)
        charge = -0.7 * (result["charge"] + result["charge_induced"])[:, 0]
        dipole = -0.7 * (result["dipole"] + result["dipole_induced"])[:, 0].sum(0)
        return without_mean(charge, remove_mean), dipole

    if total is not None:
        assert float(-0.7 * run(module, r, species, cell)["charge"].sum()) == pytest.approx(total)
    for i, b in [(0, 0), (3, 1), (5, 2)]:
        at = []
        for h in (-2e-4, -1e-4, 1e-4, 2e-4):
            x = r.clone()
            x[i, b] += h
            charge, dipole = couples(x)
            if cell.any():
                turn = torch.exp(-2j * math.pi * (r @ torch.linalg.inv(cell))[i])
                p = polarization(x, charge, cell, True)
                of_charges = (turn * torch.complex(p[:, 0], p[:, 1])).real @ cell
            else:  # a sum that changes is seen from atom i
                of_charges = charge @ (x - r[i])
            at.append(root @ (of_charges + dipole))
        expected = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / 12e-4
        torch.testing.assert_close(found[i, :, b], expected, rtol=0, atol=1e-7)


def test_local_form_counts_charges_of_all_images_at_constant_potential():
    """Move one atom of an open cluster of cells, with dq = -kappa phi at the potentials before."""
    network = MultipoleNetwork(["H", "O"], ("charge", "kappa"), layers=2)
    module, _ = model(network)
    r, species = atoms(2)
    found = run(module, r, species, CELL, "local")
    potential = -found["charge_induced"] / found["kappa"]  # [N, 1]
    images = torch.cartesian_prod(*[torch.arange(-3, 4)] * 3)
    start = int((images == 0).all(dim=1).nonzero()) * len(r)
    cluster = ((images.double() @ CELL)[:, None, :] + r).reshape(-1, 3)

    def charges(x: Tensor) -> Tensor:
        edges, shifts = neighbor_list(x.numpy(), OPEN.numpy(), False, network.cutoff)
        kinds = species.repeat(len(images))
        latent = network(x[edges[1]] - x[edges[0]], edges, kinds, len(x))
        return (latent["charge"] - latent["kappa"] * potential.repeat(len(images), 1))[:, 0]

    q = charges(cluster)[start : start + len(r)]
    expected = (q - q.mean())[:, None, None] * torch.eye(3, dtype=torch.float64)
    for i, b in itertools.product(range(len(r)), range(3)):
        step = torch.zeros_like(cluster)
        step[start + i, b] = 1e-4
        slope = (charges(cluster + step) - charges(cluster - step)) / 2e-4
        expected[i, :, b] += slope @ (cluster - cluster[start + i])
    torch.testing.assert_close(found["bec"], expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("repeats", [(2, 1, 1), (2, 2, 2)])
def test_born_charges_with_alpha_do_not_depend_on_how_many_cells_there_are(repeats):
    module, _ = model(MultipoleNetwork(["H", "O"], ("charge", "dipole", "quadrupole", "alpha")))
    r, species = atoms(4)
    shifts = torch.cartesian_prod(*[torch.arange(n) for n in repeats]).double()
    many = (shifts @ CELL)[:, None, :] + r
    cell = torch.tensor(repeats, dtype=torch.float64)[:, None] * CELL
    found = run(module, many.reshape(-1, 3), species.repeat(len(many)), cell, "local")
    one = run(module, r, species, CELL, "local")
    torch.testing.assert_close(found["bec"], one["bec"].repeat(len(many), 1, 1))
    torch.testing.assert_close(found["energy"], one["energy"] * len(many))
    torch.testing.assert_close(found["polarizability"], one["polarizability"] * len(many))


def test_polarizability_counts_the_coupling_twice():
    """Of the dipoles to the field, and of what is seen of them; unit 0.5 e, epsilon_e 1.44."""
    network = MultipoleNetwork(["H", "O"], ("charge", "alpha"))
    module, _ = model(network, unit=0.5, sign=[-1.0], epsilon_e=1.44, epsilon_inf=1.8)
    found = run(module, *atoms(), OPEN)
    torch.testing.assert_close(found["polarizability"], 0.36 * found["alpha"].sum((0, 1)))
