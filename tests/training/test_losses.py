"""Losses: their parameter gradients by finite differences, their masks, weights and stages."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_toys import CELLS, network_of, physics_of, waters

from lammps_les.data.structures import Labelled
from lammps_les.models import Chain
from lammps_les.training.config import LossConfig
from lammps_les.training.frames import Batch, Frame, join, make_frame
from lammps_les.training.losses import (
    QUANTITIES,
    Deviation,
    deviations,
    loss_of,
    used_quantities,
    weighted_mean,
    weights_at,
)
from lammps_les.training.physics import Physics
from lammps_les.training.prediction import predict

SHAPES = {
    "energy": (),
    "forces": (6, 3),
    "stress": (6,),
    "born_effective_charges": (6, 3, 3),
    "dipole": (3,),
    "total_charge": (),
}


def frame_of(kind: str, names: list[str], seed: int = 1) -> Frame:
    random = np.random.default_rng(seed)
    labels = {name: random.normal(size=SHAPES[name]) for name in names}
    structure = Labelled(waters(kind, 2, seed), labels, 1.0, "test")
    return make_frame(structure, {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64)


CASES = [
    (name, kind, 1, "phase" if kind == "triclinic" else "local")
    for name in SHAPES
    for kind in ("triclinic", "open")
    if not (name == "stress" and kind == "open") and not (name == "dipole" and kind != "open")
]


@pytest.mark.parametrize("loss", ["mse", "huber"])
@pytest.mark.parametrize(
    ("name", "kind", "layers", "form"),
    [
        *CASES,
        ("forces", "triclinic", 2, "local"),
        ("born_effective_charges", "triclinic", 2, "phase"),
        ("born_effective_charges", "triclinic", 2, "local"),
        ("born_effective_charges", "triclinic", 3, "local"),
        ("born_effective_charges", "open", 2, "local"),
    ],
)
def test_parameter_gradient_is_the_difference_quotient(name, kind, layers, form, loss):
    network = network_of(layers=layers)
    physics = physics_of(network, form)
    compare_gradients(network, join([frame_of(kind, [name])]), physics, name, loss)
    touched = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None}
    assert "charge_readout" in touched
    assert ("energy_readout" in touched) is (name in ("energy", "forces", "stress"))


def compare_gradients(network: Chain, batch: Batch, physics: Physics, name: str, loss: str) -> None:
    """Fill the gradients of a loss on one quantity, and compare them with differences."""

    def value(create_graph: bool) -> torch.Tensor:
        predicted = predict(network, batch, physics, [name], create_graph)
        return loss_of(deviations(predicted, batch), {name: 1.3}, loss, 0.4)

    value(True).backward()
    random = torch.Generator().manual_seed(0)
    moved = 0
    for part, parameter in network.named_parameters():
        gradient = parameter.grad
        if gradient is None:
            continue
        direction = torch.randn(parameter.shape, generator=random, dtype=torch.float64)
        step = 1e-5
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter += sign * step * direction
            sides.append(value(False).item())
            with torch.no_grad():
                parameter -= sign * step * direction
        slope = (sides[0] - sides[1]) / (2 * step)
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=2e-6, abs=2e-8), part
        moved += bool(gradient.abs().max() > 1e-10)
    assert moved >= 4


@pytest.mark.parametrize("name", ["forces", "born_effective_charges"])
def test_parameter_gradient_with_charge_states_is_the_difference_quotient(name):
    """Embedded and exact total charge, two charge states in a batch, mean not removed."""
    network = network_of(embed_total_charge=True)
    physics = replace(physics_of(network, "phase"), exact_total_charge=True, remove_mean=False)
    frames = [frame_of("triclinic", [name, "total_charge"], seed) for seed in (1, 2)]
    compare_gradients(network, join(frames), physics, name, "mse")
    for part in ("sender_slope", "receiver_slope"):
        assert network.get_parameter(f"representation.{part}").grad.abs().max() > 1e-4


def test_frames_without_a_label_do_not_count():
    network, names = network_of(), list(SHAPES)
    physics = physics_of(network)
    full = [frame_of(kind, names, seed) for seed, kind in enumerate(CELLS, 1)]
    bare = [replace(frame_of(kind, []), labels={}) for kind in CELLS]
    one = deviations(predict(network, join(full), physics, names), join(full))
    mixed_batch = join([bare[0], full[0], bare[2], full[1], full[2], bare[1]])
    mixed = deviations(predict(network, mixed_batch, physics, names), mixed_batch)
    assert set(one) == set(mixed) == set(names)
    for name in names:
        torch.testing.assert_close(one[name].values, mixed[name].values)


def test_energy_counts_per_atom_and_frames_by_their_weight():
    network = network_of()
    physics = physics_of(network)
    first, second = frame_of("triclinic", ["energy"], 1), frame_of("open", ["energy"], 2)
    batch = join([first, replace(second, weight=3.0)])
    predicted = predict(network, batch, physics, ["energy"])
    found = deviations(predicted, batch)["energy"]
    d = [
        (predicted["energy"][n] - frame.labels["energy"]) / 6
        for n, frame in enumerate((first, second))
    ]
    expected = (d[0] ** 2 + 3.0 * d[1] ** 2) / 4.0
    assert weighted_mean(found, "mse", 1.0).item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("name", SHAPES)
def test_every_label_counts_by_the_weight_of_its_frame(name):
    """Three frames of six atoms, the second without the label, off by 2 in the last component.

    Means are over components, of rows that are atoms or frames; the weights are 1, 5 and 3.
    """
    kind = "triclinic" if name == "stress" else "open"
    frames = [replace(frame_of(kind, [name], n), weight=float(n)) for n in (1, 5, 3)]
    frames[1] = replace(frames[1], labels={})
    batch = join(frames)
    predicted = {name: batch.labels[name].clone()}
    rows = predicted[name].reshape(len(predicted[name]), -1)
    per_atom = len(rows) == 18
    rows[: len(rows) // 3, -1] += 2.0  # the first frame
    rows[-len(rows) // 3 :, -1] -= 4.0  # the third
    found = deviations(predicted, batch)[name]
    assert len(found.values) == (12 if per_atom else 2)
    size = 6.0 if name in ("energy", "total_charge") else 1.0
    components = rows.size(1)
    expected = (1.0 * (2.0 / size) ** 2 + 3.0 * (4.0 / size) ** 2) / 4.0 / components
    value = loss_of({name: found}, {name: 1.5}, "mse", 1.0)
    assert value.item() == pytest.approx(1.5 * expected, rel=1e-12)


def test_huber_is_square_inside_and_linear_outside():
    def value(d: float) -> float:
        deviation = Deviation(torch.tensor([d]), torch.ones(1), torch.zeros(1).long())
        return weighted_mean(deviation, "huber", 0.5).item()

    assert value(0.3) == pytest.approx(0.09)
    assert value(2.0) == pytest.approx(2 * 0.5 * 2.0 - 0.25)
    assert value(3.0) - value(2.0) == pytest.approx(1.0)


def test_penalty_takes_frames_without_total_charge_for_neutral():
    network = network_of()
    batch = join([replace(frame_of("open", []), labels={}), frame_of("open", ["total_charge"])])
    predicted = predict(network, batch, physics_of(network), ["total_charge"])
    found = deviations(predicted, batch, neutral_unless_labelled=True)["total_charge"].values
    label = batch.labels["total_charge"]
    assert label[0] == 0.0
    torch.testing.assert_close(found, (predicted["total_charge"] - label) / 6)
    assert len(deviations(predicted, batch)["total_charge"].values) == 1


def test_the_loss_of_a_batch_without_anything_to_learn_is_zero():
    deviation = Deviation(torch.ones(1), torch.ones(1), torch.zeros(1).long())
    value = loss_of({"energy": deviation}, dict.fromkeys(QUANTITIES, 0.0), "mse", 1.0)
    assert value.item() == 0.0
    assert not value.requires_grad


def test_weights_move_within_their_stage():
    config = LossConfig.model_validate(
        {
            "weights": {"energy": [1.0, 100.0], "forces": 5.0},
            "stages": [
                {"from_epoch": 10, "weights": {"forces": 0.5, "dipole": [3.0, 300.0]}},
                {"from_epoch": 20, "weights": {"energy": 7.0, "stress": 2.0}},
                {"from_epoch": 30, "weights": {"dipole": 0.0}},
            ],
        }
    )
    assert weights_at(config, 0.0, 40)["energy"] == pytest.approx(1.0)
    assert weights_at(config, 10.0, 40)["energy"] == pytest.approx(10.0)
    assert weights_at(config, 9.9, 40)["forces"] == 5.0
    assert weights_at(config, 9.9, 40)["dipole"] == 0.0
    ramp = [weights_at(config, epoch, 40)["dipole"] for epoch in (10.0, 15.0, 20.0)]
    assert ramp == pytest.approx([3.0, 3.0 * 10.0**0.5, 30.0])
    assert weights_at(config, 10.0, 40)["forces"] == 0.5
    assert weights_at(config, 30.0, 40) == {
        "energy": 7.0,
        "forces": 0.5,
        "stress": 2.0,
        "born_effective_charges": 0.0,
        "dipole": 0.0,
        "total_charge": 0.0,
        "polarizability": 0.0,
    }
    assert used_quantities(config) == ["energy", "forces", "stress", "dipole"]
