"""Structures as frames: what becomes of their labels, and several of them as a batch."""

import numpy as np
import pytest
import torch
from ase import Atoms
from training_toys import network_of, physics_of, unlabelled, waters

from lammps_les.analysis.moments import molecular_moments
from lammps_les.data.structures import Labelled
from lammps_les.training.frames import Frame, join, make_frame
from lammps_les.training.losses import deviations
from lammps_les.training.prediction import predict

ENERGIES = {"H": -1.5, "O": -4.0}


def frame(atoms: Atoms, weight: float = 1.0, **labels: object) -> Frame:
    found = {name: np.asarray(value, float) for name, value in labels.items()}
    return make_frame(Labelled(atoms, found, weight, "test"), ENERGIES, 3.2, 1.5, torch.float64)


def test_without_charges_there_are_no_wave_vectors():
    atoms = waters("triclinic", 1, 1)
    atoms.cell = 3000.0 * np.eye(3)
    with pytest.raises(
        ValueError, match=r"^test: the sum would need .* wave vectors with dl = 0.1"
    ):
        make_frame(Labelled(atoms, {}, 1.0, "test"), ENERGIES, 3.2, 0.1)
    assert len(make_frame(Labelled(atoms, {}, 1.0, "test"), ENERGIES, 3.2, None).triples) == 0


def test_energies_of_atoms_are_taken_off_and_weights_are_kept():
    one = frame(waters("open", 2, 1), 2.5, energy=-20.0)
    assert one.labels["energy"].item() == pytest.approx(-20.0 + 4 * 1.5 + 2 * 4.0)
    batch = join([one, frame(waters("triclinic", 1, 1), 0.5)])
    assert batch.weights.tolist() == [2.5, 0.5]
    assert batch.labelled["energy"].tolist() == [True, False]


@pytest.mark.parametrize("charge", [0.0, 1.0, -2.0, None])
def test_dipoles_of_ions_are_about_the_center_of_mass_where_they_are_labels(charge):
    """Labels made of the charges themselves leave no deviation; without a charge: a neutral one."""
    network = network_of()
    physics = physics_of(network)
    atoms = waters("open", 2, 1)
    q = -0.8 * predict(network, join([frame(atoms)]), physics, [])["latent_charges"][:, 0]
    moments = molecular_moments(atoms, q.detach().numpy(), charge or 0.0)
    labels = {} if charge is None else {"total_charge": charge}
    batch = join([frame(atoms, dipole=moments.dipole, **labels), frame(waters("open", 1, 2))])
    found = deviations(predict(network, batch, physics, ["dipole"]), batch)
    assert np.abs(moments.dipole).max() > 1e-3
    assert found.keys() == {"dipole"}
    np.testing.assert_allclose(found["dipole"].values.detach(), np.zeros((1, 3)), atol=1e-12)


def test_frames_whose_numbers_agree_do_not_mix():
    """Three frames of three atoms, and as many H as O: each is what it is alone."""
    network = network_of(channels=2)
    physics = physics_of(network)
    wanted = ["energy", "forces", "stress", "born_effective_charges", "dipole", "total_charge"]
    for symbols in ("OH2", "OH"):
        count = 3 if symbols == "OH2" else 2
        structures = [waters(kind, 1, n)[:count] for n, kind in enumerate(["open", "triclinic"])]
        structures += [waters("open", 1, 5)[:count]] * (count == 3)
        assert len(structures) == count
        frames = [make_frame(unlabelled(a), ENERGIES, 3.2, 1.5, torch.float64) for a in structures]
        whole = predict(network, join(frames), physics, wanted)
        alone = [predict(network, join([one]), physics, wanted) for one in frames]
        assert whole["energy"].detach().diff().abs().min() > 1e-6
        for name in wanted:
            expected = torch.cat([found[name] for found in alone])
            torch.testing.assert_close(whole[name], expected, rtol=0, atol=1e-12)
