"""What a training does with a step, in numbers: rates, weights of the loss, averages, scores."""

import math
from types import SimpleNamespace

import pytest
import torch
from training_toys import network_of, physics_of, settings, unlabelled, waters

from lammps_les.training.callbacks import quoted
from lammps_les.training.config import RunConfig
from lammps_les.training.frames import Batch, join, make_frame
from lammps_les.training.module import SCORE, LesTraining
from lammps_les.training.prediction import predict

STEPS = 20
CONFIG = RunConfig.model_validate(
    settings(
        loss={"weights": {"energy": [1.0, 100.0], "forces": 2.0}},
        training={
            "epochs": 10,
            "learning_rate": 0.01,
            "warmup": 0.1,
            "final_rate": 0.02,
            "ema_decay": 0.3,
            "weight_decay": 0.5,
        },
    )
)


class Training(LesTraining):
    """At a step of one's choice; what is logged is kept."""

    step = 0
    trainer = SimpleNamespace(world_size=1)  # type: ignore[assignment]

    def __init__(self) -> None:
        network = network_of()
        super().__init__(network, physics_of(network), CONFIG, STEPS)
        self.logged: dict[str, float] = {}

    @property
    def global_step(self) -> int:
        """Optimizer steps done."""
        return self.step

    def log(self, name: str, value: float) -> None:  # type: ignore[override]
        """Keep it."""
        self.logged[name] = value


def batch() -> Batch:
    """Two frames whose labels are those of the network, energies 6 x 0.5 and forces 0.25 more."""
    network = network_of()
    physics, frames = physics_of(network), []
    for seed in (1, 2):
        energies = {"H": 0.0, "O": 0.0}
        bare = unlabelled(waters("triclinic", 2, seed))
        one = join([make_frame(bare, energies, 3.2, 1.5, torch.float64)])
        found = predict(network, one, physics, ["energy", "forces"])
        labels = {
            "energy": found["energy"][0].detach().numpy() + 3.0,
            "forces": found["forces"].detach().numpy() + 0.25,
        }
        frames.append(make_frame(bare._replace(labels=labels), energies, 3.2, 1.5, torch.float64))
    return join(frames)


def test_rate_warms_up_and_falls_by_a_cosine():
    rate = Training().configure_optimizers()["lr_scheduler"]["scheduler"].lr_lambdas[0]
    assert rate(0) == pytest.approx(0.5)  # 1/20 of the run is half of the warmup
    assert rate(5) == pytest.approx(0.02 + 0.98 * 0.5 * (1.0 + math.sqrt(0.5)))
    assert rate(10) == pytest.approx(0.51)
    assert rate(STEPS) == rate(STEPS + 1) == pytest.approx(0.02)


def test_only_weights_of_linear_layers_decay():
    training = Training()
    names = {id(p): name for name, p in training.network.named_parameters()}
    groups = training.configure_optimizers()["optimizer"].param_groups
    decay = {names[id(p)]: g["weight_decay"] for g in groups for p in g["params"]}
    assert decay.keys() == set(names.values())
    assert decay == {name: 0.5 if name.endswith(".weight") else 0.0 for name in decay}
    assert set(decay.values()) == {0.0, 0.5}


@pytest.mark.parametrize(("step", "weight"), [(0, 1.0), (10, 10.0), (15, 10.0**1.5)])
def test_loss_has_the_weights_of_the_step(step, weight):
    training = Training()
    training.step = step
    loss = training.training_step(batch(), 0)
    assert loss.item() == pytest.approx(weight * 0.5**2 + 2.0 * 0.25**2, rel=1e-9)


@pytest.mark.parametrize(("step", "kept"), [(1, 1 / 11), (1000, 0.3)])
def test_average_follows_the_network(step, kept):
    training = Training()
    training.step = step
    before = [p.clone() for p in training.average.parameters()]
    with torch.no_grad():
        for parameter in training.network.parameters():
            parameter += 1.0
    training.on_train_batch_end(None, batch(), 0)
    for average, start in zip(training.average.parameters(), before, strict=True):
        torch.testing.assert_close(average, start + 1.0 - kept)


def test_errors_and_score_are_those_of_the_average_with_the_weights_of_the_end():
    training = Training()
    with torch.no_grad():
        for parameter in training.network.parameters():
            parameter *= 2.0
    training.validation_step(batch(), 0)
    training.on_validation_epoch_end()
    assert training.logged["validation/energy"] == pytest.approx(0.5, rel=1e-9)
    assert training.logged["validation/forces"] == pytest.approx(0.25, rel=1e-9)
    assert training.logged[SCORE] == pytest.approx(100.0 * 0.5**2 + 2.0 * 0.25**2, rel=1e-9)


def test_errors_are_quoted_in_their_units():
    errors = {
        "energy": 0.012,
        "forces": 0.25,
        "stress": 0.003,
        "born_effective_charges": 0.5,
        "dipole": 0.1,
        "total_charge": 0.02,
    }
    assert quoted(errors) == (
        "12 meV/atom 250 meV/A 3 meV/A^3 0.5 e (BEC) 0.1 e A 0.02 e/atom (total charge)"
    )
