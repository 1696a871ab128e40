"""Losses of models with dipoles, quadrupoles and response are made of what their files give."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from generate import toy_metadata
from multipole_toys import CHI, EPSILON_INF, FULL, SIZES, multipole_network, physics_of
from training_toys import CELLS, LONG_RANGE, unlabelled, waters

from lammps_les.electrostatics import (
    Latents,
    coupling_dielectric,
    long_range_derivatives,
    long_range_response,
    wave_vector_triples,
)
from lammps_les.model_file import parse_metadata
from lammps_les.models import Chain
from lammps_les.training.frames import Batch, Frame, join, make_frame
from lammps_les.training.long_range import long_range
from lammps_les.training.losses import QUANTITIES
from lammps_les.training.physics import Physics
from lammps_les.training.prediction import predict
from lammps_les_export.exported_model import exported
from lammps_les_export.sign_evidence import Coupling, gather

ZERO = {"H": 0.0, "O": 0.0}
NAMES = {
    "q u": FULL[:2],
    "q Q": ("charge", "quadrupole"),
    "q alpha": ("charge", "alpha"),
    "q u Q alpha": FULL,
    "q kappa": ("charge", "kappa"),
    "all": ("charge", "dipole", "quadrupole", "kappa", "alpha"),
}


def random_latents(n: int, channels: int, names: tuple[str, ...]) -> Latents:
    rng = np.random.default_rng(1)
    m = torch.from_numpy(rng.normal(size=(n, channels, 3, 3)))
    symmetric = m + m.mT
    trace = torch.einsum("icaa->ic", symmetric)[..., None, None] * torch.eye(3).double()
    every = Latents(
        torch.from_numpy(rng.normal(size=(n, channels))),
        torch.from_numpy(0.3 * rng.normal(size=(n, channels, 3))),
        0.2 * (symmetric - trace / 3.0),
        torch.from_numpy(2e-3 * rng.random((n, channels))),
        0.01 * m @ m.mT,
    )
    return Latents(**{name: getattr(every, name) for name in names})


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("remove_self", [True, False])
def test_long_range_by_matrices_is_the_plain_sum(kind, names, remove_self):
    atoms = waters(kind, 2, 1)
    r, cell = torch.from_numpy(atoms.positions), torch.from_numpy(atoms.cell.array)
    periodic = kind != "open"
    latents = random_latents(len(atoms), 2, NAMES[names])
    parameters = LONG_RANGE._replace(remove_self=remove_self, self_factor=2.0)
    triples = wave_vector_triples(cell, 1.5) if periodic else cell[:0]
    found = long_range(r, latents, cell, triples, periodic, parameters, True)
    plain = long_range_derivatives(r, latents, cell, periodic, parameters)
    response = long_range_response(r, latents, cell, periodic, parameters)
    close = {"rtol": 1e-10, "atol": 1e-11}
    assert plain.forces.abs().max() > 0.1
    torch.testing.assert_close(found.energies, response.energies, **close)
    torch.testing.assert_close(found.forces, plain.forces, **close)
    torch.testing.assert_close(found.virial, plain.virial, **close)
    torch.testing.assert_close(found.charge_induced, response.charge_induced, **close)
    torch.testing.assert_close(found.dipole_induced, response.dipole_induced, **close)
    for name, ours in found.by_latents._asdict().items():
        theirs = getattr(plain.latents, name)
        if name in ("quadrupole", "alpha") and theirs is not None:
            theirs = 0.5 * (theirs + theirs.mT)
        torch.testing.assert_close(ours, theirs, **close, msg=name)


def frame_of(atoms: Atoms) -> Frame:
    return make_frame(unlabelled(atoms), ZERO, 3.2, 1.5, torch.float64)


def reference(network: Chain, physics: Physics, atoms: Atoms) -> dict[str, torch.Tensor]:
    """Outputs of the module of a model file."""
    frame = frame_of(atoms)
    alpha = "alpha" in network.latent_names
    epsilon_e = (
        coupling_dielectric(EPSILON_INF, torch.tensor(CHI, dtype=torch.float64)) if alpha else None
    )
    fields = toy_metadata(
        network,
        "float64",
        long_range=physics.long_range._asdict(),
        unit=physics.charge_unit,
        sign=list(physics.charge_sign),
        epsilon_inf=physics.epsilon_inf,
        epsilon_e=epsilon_e,
        remove_mean=physics.remove_mean,
    )
    return exported(network, parse_metadata(fields, "test"))(
        frame.positions,
        frame.species,
        frame.cell,
        torch.tensor(atoms.pbc),
        frame.edge_index,
        frame.edge_shifts,
        True,
        physics.bec_form,
    )


def batch_of(structures: list[Atoms]) -> Batch:
    return join([frame_of(atoms) for atoms in structures])


CASES = [
    *((kind, FULL, 1, "local") for kind in SIZES),
    ("mace", FULL, 2, "phase"),
    ("cace", FULL, 2, "phase"),
    ("cace", ("charge", "dipole"), 1, "local"),
    ("cace", ("charge", "alpha"), 2, "local"),
    ("cace", ("charge", "quadrupole"), 1, "local"),
    ("cace", ("charge", "kappa", "alpha"), 1, "local"),
    ("nequip", NAMES["all"], 2, "local"),
]


@pytest.mark.parametrize(("kind", "latents", "channels", "form"), CASES)
def test_a_mixed_batch_is_what_the_model_file_gives_for_each_frame(kind, latents, channels, form):
    network = multipole_network(kind, latents, channels)
    physics = physics_of(network, form)
    structures = [waters(cell, n, n) for n, cell in enumerate(CELLS, 1)]
    found = predict(network, batch_of(structures), physics, QUANTITIES)
    assert ("born_effective_charges" in found) is ("kappa" not in latents)
    first = 0
    for n, atoms in enumerate(structures):
        expected = reference(network, physics, atoms)
        mine = slice(first, first + len(atoms))
        first += len(atoms)
        close = {"rtol": 0, "atol": 1e-10}
        torch.testing.assert_close(found["energy"][n], expected["energy"], **close)
        assert expected["forces"].abs().max() > 1e-3
        torch.testing.assert_close(found["forces"][mine], expected["forces"], **close)
        stress = expected["stress"].flatten()[[0, 4, 8, 5, 2, 1]]
        torch.testing.assert_close(found["stress"][n], stress, **close)
        if "kappa" not in latents:
            torch.testing.assert_close(
                found["born_effective_charges"][mine], expected["bec"], **close
            )
        if "alpha" in latents and atoms.pbc.all():
            epsilon_e = torch.tensor(
                coupling_dielectric(EPSILON_INF, torch.tensor(CHI, dtype=torch.float64)),
                dtype=torch.float64,
            )
            # of vacuum: epsilon_0 = 1 / (4 pi 14.399645) e/(V A)
            empty = (epsilon_e - torch.eye(3)) * atoms.get_volume() / (4 * np.pi * 14.399645)
            torch.testing.assert_close(
                found["polarizability"][n], expected["polarizability"] + empty, **close
            )


def test_coupling_dielectric():
    chi = torch.tensor(CHI, dtype=torch.float64)
    assert coupling_dielectric(1.75, chi) == pytest.approx(1.75 / 1.25)
    as_tensor = coupling_dielectric((1.75 * np.eye(3)).tolist(), 0.25 * torch.eye(3))
    np.testing.assert_allclose(as_tensor, 1.4 * np.eye(3), atol=1e-12)
    # epsilon_inf = (1 + chi)^(1/2) epsilon_e (1 + chi)^(1/2): the square of the root is 1 + chi
    one = np.linalg.inv(np.linalg.cholesky(np.eye(3) + np.array(CHI)))
    found = np.array(coupling_dielectric(EPSILON_INF, chi))
    np.testing.assert_allclose(
        np.linalg.det(found), np.linalg.det(one) ** 2 * np.linalg.det(EPSILON_INF), rtol=1e-6
    )


def test_a_stated_susceptibility_moves_with_that_of_the_batch():
    """At its own value the stated one leaves gradients as they are."""
    network = multipole_network("cace")
    batch = batch_of([waters("triclinic", 2, 1), waters("open", 1, 3)])
    physics = replace(physics_of(network), epsilon_inf=1.9, susceptibility=None)
    own = predict(network, batch, physics, QUANTITIES, True)
    stated = replace(physics, susceptibility=own["susceptibility"][0].tolist())
    parameters = list(network.parameters())
    for name in ("polarizability", "born_effective_charges"):
        slopes = []
        for case in (physics, stated):
            value = (predict(network, batch, case, [name], True)[name] ** 2).mean()
            slopes.append(torch.autograd.grad(value, parameters, allow_unused=True))
        for one, other in zip(*slopes, strict=True):
            torch.testing.assert_close(one, other)


def test_without_a_stated_susceptibility_it_is_the_mean_of_the_batch():
    network = multipole_network("cace")
    stated = physics_of(network)
    batch = batch_of([waters("triclinic", 2, 1), waters("left-handed", 1, 2), waters("open", 1, 3)])
    own = predict(network, batch, replace(stated, susceptibility=None), QUANTITIES)
    chi = own["susceptibility"]
    assert not chi[2].any()
    mean = chi[:2].mean(0).tolist()
    same = predict(network, batch, replace(stated, susceptibility=mean), QUANTITIES)
    for name in QUANTITIES:
        torch.testing.assert_close(own[name], same[name])


@pytest.mark.parametrize("kind", SIZES)
def test_forces_and_stress_are_differences_of_the_energy(kind):
    network = multipole_network(kind)
    physics = physics_of(network)
    atoms = waters("left-handed", 2, 1)
    found = predict(network, batch_of([atoms]), physics, ["forces", "stress"])

    def energy(moved: Atoms) -> float:
        frame = replace(frame_of(moved), triples=frame_of(atoms).triples)
        return predict(network, join([frame]), physics, ["energy"])["energy"].item()

    step = 1e-4
    for atom, axis in ((0, 1), (4, 2)):
        ends = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            ends.append(energy(moved))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert found["forces"][atom, axis].item() == pytest.approx(-slope, rel=2e-6, abs=1e-7)
    for voigt, (a, b) in ((0, (0, 0)), (5, (0, 1))):
        ends = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += 0.5 * sign * step
            strain[b, a] += 0.5 * sign * step
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            ends.append(energy(moved))
        slope = (ends[0] - ends[1]) / (2 * step * atoms.get_volume())
        assert found["stress"][0, voigt].item() == pytest.approx(slope, rel=2e-6, abs=1e-7)


@pytest.mark.parametrize(
    ("kind", "quantity"),
    [
        ("cace", "forces"),
        ("cace", "born_effective_charges"),
        ("cace", "polarizability"),
        ("cace", "dipole"),
        ("mace", "born_effective_charges"),
        ("nequip", "born_effective_charges"),
        ("allegro", "born_effective_charges"),
    ],
)
def test_gradients_of_a_loss_are_differences(kind, quantity):
    network = multipole_network(kind)
    # epsilon_e is that of the batch, with which it changes
    physics = replace(physics_of(network), epsilon_inf=1.9, susceptibility=None)
    batch = batch_of([waters("open" if quantity == "dipole" else "triclinic", 2, 1)])

    def loss() -> torch.Tensor:
        return (predict(network, batch, physics, [quantity], True)[quantity] ** 2).mean()

    value = loss()
    named = [(n, p) for n, p in network.named_parameters()]
    gradients = torch.autograd.grad(value, [p for _, p in named], allow_unused=True)
    generator = torch.Generator().manual_seed(2)
    along = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for _, p in named]
    expected = sum(
        float((g * v).sum()) for g, v in zip(gradients, along, strict=True) if g is not None
    )
    step, ends = 1e-5, []
    for sign in (1.0, -2.0):
        with torch.no_grad():
            for (_, p), v in zip(named, along, strict=True):
                p += sign * step * v
        ends.append(float(loss()))
    slope = (ends[0] - ends[1]) / (2 * step)
    assert abs(slope) > 1e-6
    assert expected == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("latents", [FULL, NAMES["all"]])
def test_evidence_of_signs_is_the_whole_born_charge_of_each_channel(latents):
    network = multipole_network("cace", latents, 2)
    physics = replace(physics_of(network), charge_sign=(1.0, 1.0))
    atoms = waters("triclinic", 2, 1)
    expected = reference(network, physics, atoms)["bec"].numpy()
    chi = torch.tensor(CHI, dtype=torch.float64)
    coupling = Coupling(0.8, coupling_dielectric(EPSILON_INF, chi), True, "local", LONG_RANGE)
    found = gather(network, [atoms], coupling, [{"born_effective_charges": expected}])
    np.testing.assert_allclose(found.predicted.sum(0), expected.ravel(), atol=1e-10)
    assert np.abs(found.predicted).max(axis=1).min() > 1e-3

    molecule = waters("open", 2, 1)
    of_signs = predict(network, batch_of([molecule]), physics, ["dipole"])["dipole"][0]
    found = gather(network, [molecule], coupling, [{"dipole": np.ones(3)}])
    np.testing.assert_allclose(found.predicted.sum(0), of_signs.detach().numpy(), atol=1e-10)
