"""What a loss is made of agrees with the plain sums and with the model file's own module."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from generate import toy_metadata
from training_toys import CELLS, LONG_RANGE, network_of, physics_of, unlabelled, waters

from lammps_les.analysis.moments import molecular_moments
from lammps_les.data.structures import Labelled
from lammps_les.electrostatics import Latents, long_range_derivatives, wave_vector_triples
from lammps_les.model_file import ModelFileError, parse_metadata
from lammps_les.models import Chain
from lammps_les.training.frames import join, make_frame
from lammps_les.training.long_range import long_range
from lammps_les.training.losses import QUANTITIES
from lammps_les.training.physics import Physics
from lammps_les.training.prediction import predict
from lammps_les_export import write_model
from lammps_les_export.exported_model import exported

EMBEDDED_OR_EXACT = [(1, True, False), (1, False, True), (2, True, True)]


def reference(
    network: Chain, physics: Physics, atoms: Atoms, total_charge: float | None = None
) -> dict[str, torch.Tensor]:
    """Outputs of the module of a model file: forces and stress by automatic differentiation."""
    frame = make_frame(unlabelled(atoms), {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64)
    metadata = parse_metadata(metadata_of(network, physics, total_charge), "test")
    module = exported(network, metadata)
    return module(
        frame.positions,
        frame.species,
        frame.cell,
        torch.tensor(atoms.pbc),
        frame.edge_index,
        frame.edge_shifts,
        True,
        physics.bec_form,
    )


def metadata_of(network: Chain, physics: Physics, total: float | None = None) -> dict:
    return toy_metadata(
        network,
        "float64",
        long_range=physics.long_range._asdict(),
        unit=physics.charge_unit,
        sign=list(physics.charge_sign),
        total=total,
        epsilon_inf=physics.epsilon_inf,
        remove_mean=physics.remove_mean,
    )


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("remove_self", [True, False])
def test_long_range_by_matrices_is_the_plain_sum(kind, channels, remove_self):
    atoms = waters(kind, 2, 1)
    r = torch.from_numpy(atoms.positions)
    q = torch.from_numpy(np.random.default_rng(0).normal(size=(len(atoms), channels)))
    cell = torch.from_numpy(atoms.cell.array)
    periodic = kind != "open"
    parameters = LONG_RANGE._replace(remove_self=remove_self, self_factor=float(channels))
    triples = wave_vector_triples(cell, 1.5) if periodic else cell[:0]
    found = long_range(r, Latents(q), cell, triples, periodic, parameters, True)
    plain = long_range_derivatives(r, Latents(q), cell, periodic, parameters)
    assert plain.forces.abs().max() > 0.1
    torch.testing.assert_close(
        found.by_latents.charge, plain.latents.charge, rtol=1e-11, atol=1e-12
    )
    torch.testing.assert_close(found.forces, plain.forces, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(found.virial, plain.virial, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize(("channels", "layers"), [(1, 1), (2, 1), (1, 2), (2, 3)])
def test_a_mixed_batch_is_what_the_model_file_gives_for_each_frame(form, channels, layers):
    """With a dielectric tensor where there are several channels, else a number."""
    network = network_of(channels, layers)
    physics = physics_of(network, form)
    if channels > 1:
        tensor = [[1.9, 0.1, 0.0], [0.1, 1.7, 0.0], [0.0, 0.0, 1.6]]
        physics = replace(physics, epsilon_inf=tensor)
    structures = [waters(kind, n, n) for n, kind in enumerate(CELLS, 1)]
    frames = [
        make_frame(unlabelled(a), {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64) for a in structures
    ]
    batch = join(frames)
    found = predict(network, batch, physics, QUANTITIES)
    atom = 0
    for n, atoms in enumerate(structures):
        expected = reference(network, physics, atoms)
        mine = slice(atom, atom + len(atoms))
        atom += len(atoms)
        torch.testing.assert_close(found["energy"][n], expected["energy"], rtol=0, atol=1e-10)
        assert expected["forces"].abs().max() > 1e-3
        torch.testing.assert_close(found["forces"][mine], expected["forces"], rtol=0, atol=1e-10)
        stress = expected["stress"].flatten()[[0, 4, 8, 5, 2, 1]]
        torch.testing.assert_close(found["stress"][n], stress, rtol=0, atol=1e-11)
        assert expected["bec"].abs().max() > 1e-3
        torch.testing.assert_close(
            found["born_effective_charges"][mine], expected["bec"], rtol=0, atol=1e-10
        )


def test_dipole_does_not_depend_on_the_origin_and_is_that_of_the_charges():
    network = network_of()
    physics = physics_of(network)
    atoms = waters("open", 2, 1)
    moved = atoms.copy()
    moved.translate([5.0, -3.0, 1.0])
    dipoles = []
    for a in (atoms, moved):
        batch = join([make_frame(unlabelled(a), {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64)])
        found = predict(network, batch, physics, ["dipole", "total_charge"])
        q = -0.8 * found["latent_charges"][:, 0]
        assert found["total_charge"].item() == pytest.approx(q.sum().item())
        expected = ((q - q.mean())[:, None] * torch.from_numpy(a.positions)).sum(0)
        torch.testing.assert_close(found["dipole"][0], expected)
        dipoles.append(found["dipole"])
    assert dipoles[0].norm() > 1e-3
    torch.testing.assert_close(*dipoles, rtol=0, atol=1e-10)


@pytest.mark.parametrize("remove_mean", [True, False])
@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize(("layers", "embed", "exact"), EMBEDDED_OR_EXACT)
def test_charge_states_in_a_batch_are_what_their_model_files_give(
    layers, embed, exact, form, remove_mean
):
    """One batch of several structures in several charge states; one model file for each state."""
    network = network_of(layers=layers, embed_total_charge=embed)
    physics = replace(physics_of(network, form), exact_total_charge=exact, remove_mean=remove_mean)
    frames, expected = [], []
    for kind in CELLS:
        for charge in (1.0, 0.0, -2.0):
            atoms = waters(kind, 2, 1)
            structure = Labelled(atoms, {"total_charge": np.array(charge)}, 1.0, "test")
            if charge == 0.0:
                structure = unlabelled(atoms)  # counts as neutral
            energies = {"H": 0.0, "O": 0.0}
            frames.append(make_frame(structure, energies, 3.2, 1.5, torch.float64))
            fixed = network.at_total_charge(charge)
            assert not fixed.needs_total_charge
            expected.append(reference(fixed, physics, atoms, charge if exact else None))
    found = predict(network, join(frames), physics, QUANTITIES)
    for name in ("energy", "forces", "bec"):
        ours = found["born_effective_charges" if name == "bec" else name]
        theirs = [e[name].reshape(-1, *ours.shape[1:]) for e in expected]
        torch.testing.assert_close(ours, torch.cat(theirs), rtol=0, atol=1e-10)
    for first in range(0, 9, 3):
        values = found["energy"][first : first + 3]
        assert values.detach().diff().abs().min() > 1e-3  # the state matters


def test_a_network_without_its_total_charge_says_so():
    network = network_of(embed_total_charge=True)
    frame = make_frame(
        unlabelled(waters("open", 1, 1)), {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64
    )
    with pytest.raises(RuntimeError, match="needs the total charge"):
        network(frame.edge_vectors, frame.edge_index, frame.species, 3)
    with pytest.raises(ModelFileError, match=r"fix it with network\.at_total_charge"):
        write_model("never.pt", network, metadata_of(network, physics_of(network)))


def test_the_dipole_of_an_ion_is_about_the_center_of_mass_in_label_and_evaluation():
    network = network_of()
    physics = replace(physics_of(network), exact_total_charge=True)
    atoms = waters("open", 2, 1)
    atoms.translate([5.0, -3.0, 1.0])
    labels = {"total_charge": np.array(1.0), "dipole": np.zeros(3)}
    energies = {"H": 0.0, "O": 0.0}
    batch = join(
        [make_frame(Labelled(atoms, labels, 1.0, "test"), energies, 3.2, 1.5, torch.float64)]
    )
    found = predict(network, batch, physics, ["dipole"])
    charges = -0.8 * found["latent_charges"][:, 0].detach().numpy()
    about_mass = molecular_moments(atoms, charges, 1.0).dipole
    deviation = found["dipole"][0] - batch.labels["dipole"][0]
    np.testing.assert_allclose(deviation.detach().numpy(), about_mass, atol=1e-10)
    assert np.abs(batch.labels["dipole"].numpy()).max() > 0.01


def test_exact_total_charge_holds_and_enters_the_energy():
    network = network_of()
    physics = replace(physics_of(network), exact_total_charge=True)
    structure = Labelled(waters("open", 2, 1), {"total_charge": np.array(1.0)}, 1.0, "test")
    frame = make_frame(structure, {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64)
    neutral = replace(frame, labels={})
    batch = join([frame, neutral])
    found = predict(network, batch, physics, ["energy", "forces", "total_charge"])
    torch.testing.assert_close(
        found["total_charge"], torch.tensor([1.0, 0.0], dtype=torch.float64), rtol=0, atol=1e-12
    )
    step = 1e-5
    energies = []
    for sign in (1, -1):
        atoms = structure.atoms.copy()
        atoms.positions[0, 1] += sign * step
        moved = structure._replace(atoms=atoms)
        frame = make_frame(moved, {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64)
        energies.append(predict(network, join([frame]), physics, ["energy"])["energy"].item())
    slope = (energies[0] - energies[1]) / (2 * step)
    assert found["forces"][0, 1].item() == pytest.approx(-slope, rel=1e-6, abs=1e-8)


def test_without_charges_there_is_no_long_range_part():
    network = network_of(0)
    batch = join(
        [make_frame(unlabelled(waters("triclinic", 1, 1)), {"H": 0.0, "O": 0.0}, 3.2, 1.5)]
    )
    found = predict(network.float(), batch, physics_of(network), QUANTITIES)
    assert "born_effective_charges" not in found
    edges = batch.edge_vectors
    alone = network(edges, batch.edge_index, batch.species, 3)["energy"].sum()
    torch.testing.assert_close(found["energy"][0], alone)
