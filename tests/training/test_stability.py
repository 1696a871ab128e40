"""The susceptibility is kept below 1, and what is not is refused."""

import pytest
import torch
from multipole_toys import multipole_network, physics_of
from training_toys import settings, unlabelled, waters

from lammps_les.models import Chain
from lammps_les.training.config import RunConfig
from lammps_les.training.frames import join, make_frame
from lammps_les.training.module import LesTraining
from lammps_les.training.response import trained_response
from lammps_les.training.stability import (
    check_susceptibility,
    largest_susceptibility,
    mean_susceptibility,
    stability_penalty,
)


def diagonal(*values: float) -> torch.Tensor:
    return torch.diag(torch.tensor(values, dtype=torch.float64))


FRAME = make_frame(
    unlabelled(waters("triclinic", 2, 1)), {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64
)


def soft_network() -> Chain:
    """Alpha hundreds of times what it begins with."""
    network = multipole_network("cace")
    for module in network.modules():
        if hasattr(module, "alpha_scale"):
            module.alpha_scale = 1.0
    return network


def test_penalty_begins_at_nine_tenths_of_the_largest_eigenvalue() -> None:
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())
    q = turn.Q
    chi = torch.stack([q @ diagonal(0.1, 1.1, 0.3) @ q.T, diagonal(0.89, 0.2, 0.1)])
    assert float(stability_penalty(chi)) == pytest.approx(100.0 * 0.2**2 / 2.0)
    torch.testing.assert_close(largest_susceptibility(chi), torch.tensor([1.1, 0.89]).double())


def test_the_frame_that_is_unstable_is_named() -> None:
    chi = torch.stack([diagonal(0.2, 0.3, 0.9), diagonal(0.2, 1.02, 0.1)])
    check_susceptibility(chi[:1], ["a.xyz, frame 3"])
    with pytest.raises(ValueError, match=r"chi of a\.xyz, frame 4 is 1\.02"):
        check_susceptibility(chi, ["a.xyz, frame 3", "a.xyz, frame 4"])
    with pytest.raises(ValueError, match="is inf"):
        check_susceptibility(chi[:1] * float("nan"), ["a.xyz, frame 3"])


def test_open_frames_have_no_part_in_the_mean() -> None:
    chi = torch.stack([diagonal(0.2, 0.3, 0.4), diagonal(0.0, 0.0, 0.0)])
    torch.testing.assert_close(mean_susceptibility(chi, [True, False]), chi[0])
    assert mean_susceptibility(chi, [False, False]) is None


def test_a_validation_of_an_unstable_model_ends_the_training() -> None:
    network = soft_network()
    config = RunConfig.model_validate(settings())
    module = LesTraining(network, physics_of(network), config, 10)
    with pytest.raises(ValueError, match=r"chi of test is [\d.e+]+, and at 1 the model"):
        module.validation_step(join([FRAME]), 0)


def test_a_step_lowers_the_penalty_alone() -> None:
    """Labels of no weight: what moves the parameters is the stability."""
    network = soft_network()
    frame = FRAME.__class__(**{**FRAME.__dict__, "labels": {"energy": torch.zeros([]).double()}})
    config = RunConfig.model_validate(settings(loss={"weights": {"energy": 1e-12, "forces": 0.0}}))
    module = LesTraining(network, physics_of(network), config, 10)
    loss = module.training_step(join([frame]), 0)
    assert float(loss.detach()) > 10.0
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 1e-9 * parameter.grad
    assert float(module.training_step(join([frame]), 0).detach()) < float(loss.detach())


def test_an_unstable_model_is_not_written() -> None:
    network = soft_network()
    with pytest.raises(ValueError, match="chi of test is"):
        trained_response(network, physics_of(network), [FRAME])


def test_response_of_a_trained_network() -> None:
    network = multipole_network("cace")
    found = trained_response(network, physics_of(network), [FRAME])
    chi = found.fields["susceptibility"]
    assert 0.0 < chi < 1.0
    assert torch.tensor(found.physics.susceptibility).trace() / 3.0 == pytest.approx(chi, rel=1e-6)
    assert len(found.fields["epsilon_e"]) == 3  # of a tensor epsilon_inf
    only_charges = multipole_network("cace", ("charge",))
    assert trained_response(only_charges, physics_of(only_charges), [FRAME]).fields == {}
