"""MACE, NequIP and Allegro networks: trained, fine-tuned and exported as CACE networks are."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from training_toys import command, eager_energy, metrics, settings, teacher_labels, waters

from lammps_les.calculators import LesCalculator
from lammps_les.pretrained import load_folder
from lammps_les_export.adapters import read_checkpoint

TINY = {
    "mace": {"features": 4, "max_l": 2, "radial_hidden": [8], "readout_hidden": 4},
    "nequip": {"features": 4, "layers": 2, "radial_hidden": [8]},
    "allegro": {
        "features": 2,
        "scalars": 8,
        "embedding": 8,
        "max_l": 1,
        "radial_hidden": [8],
        "latent_hidden": [8],
        "readout_hidden": [8],
    },
}
HEADS = {
    "mace": ["embedding", "interactions", "products", "energy_readouts"],
    "nequip": ["embedding", "basis", "convolutions", "energy_readout"],
    "allegro": ["center_embedding", "neighbor_embedding", "basis", "two_body", "tensor_layers"],
}


def trained(folder: Path, name: str, content: dict) -> Path:
    """Run folder of a configuration."""
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    command(str(folder / f"{name}.yaml"))
    return folder / name


@pytest.mark.parametrize("kind", TINY)
def test_trained_resumed_tuned_and_exported(kind: str, tmp_path: Path) -> None:
    """With Born effective charges among the labels."""
    data = [teacher_labels(waters("triclinic", 2, seed)) for seed in range(8)]
    ase.io.write(tmp_path / "data.xyz", data)
    content = settings(
        network={"kind": kind, "cutoff": 3.2, "n_bessel": 4, **TINY[kind]},
        loss={"weights": {"energy": 1.0, "forces": 1.0, "stress": 1.0}},
        training={"epochs": 12, "batch_size": 1, "validate_every": 1, "learning_rate": 2e-2},
    )
    content["data"]["split"] = {"validation": 2, "test": 0}
    content["loss"]["weights"]["born_effective_charges"] = 1.0
    run = trained(tmp_path, "run", content)
    rows = metrics(run)
    for quantity in ("forces", "born_effective_charges"):
        name = f"validation/{quantity}"
        assert rows[-1][name] < 0.97 * rows[0][name]
    network, metadata = load_folder(run)
    assert metadata.network.kind == network.kind == kind
    assert list(network.species) == ["H", "O"]
    for shape in ("triclinic", "open"):
        atoms = waters(shape, 2, 20)
        atoms.calc = LesCalculator(run / "model.pt")
        assert atoms.get_potential_energy() == pytest.approx(eager_energy(run, atoms), abs=2e-4)
        assert np.abs(atoms.get_charges()).max() > 1e-4

    # the run folder's own configuration goes on where the run has ended, and ends the same
    weights = (run / "weights.pt").read_bytes()
    command(str(run / "config.yaml"), "--resume")
    assert (run / "weights.pt").read_bytes() == weights

    tuned = {k: v for k, v in content.items() if k not in ("network", "long_range")}
    tuned |= {"init_from": "run", "freeze": HEADS[kind]}
    tuned["training"] = content["training"] | {"epochs": 1}
    before = network.state_dict()
    after = load_folder(trained(tmp_path, "tuned", tuned))[0].state_dict()
    for name, value in after.items():
        if name.split(".")[0] in HEADS[kind]:
            assert torch.equal(value, before[name]), name
    heads = [name for name in after if name.startswith("charge_readout")]
    assert heads
    assert not all(torch.equal(after[name], before[name]) for name in heads)


def test_a_short_range_model_gets_charges_and_nothing_else_changes(
    shared: Path, tmp_path: Path
) -> None:
    """Heads alone: what the short range gives stays to the last bit."""
    source = shared / "checkpoints" / "mace_water_r4.5_nl2_l0.model"
    data = ase.io.read(shared / "data" / "water_rpbe-d3.xyz", ":2")
    ase.io.write(tmp_path / "data.xyz", data)
    content = settings(init_from=str(source), init={"channels": 1}, freeze=HEADS["mace"])
    del content["network"]
    content["data"]["split"] = {"validation": 1, "test": 0}
    content["loss"] = {"weights": {"forces": 1.0}}
    content["training"] = {"epochs": 1, "validate_every": 1, "learning_rate": 1e-3}
    content["long_range"] = {"sigma": 1.0, "dl": 2.0}
    network, metadata = load_folder(trained(tmp_path, "run", content))
    assert metadata.charges.channels == 1
    assert metadata.long_range.sigma == 1.0
    original = read_checkpoint(source).network.float().state_dict()
    found = network.state_dict()
    assert set(found) > set(original)
    for name, value in original.items():
        assert torch.equal(found[name], value), name
    assert {name.split(".")[0] for name in set(found) - set(original)} == {"charge_readouts"}
    atoms: Atoms = data[0].copy()
    atoms.calc = LesCalculator(tmp_path / "run" / "model.pt")
    assert np.abs(atoms.get_charges()).max() > 1e-4


@pytest.mark.parametrize("kind", TINY)
def test_dipeptides_in_vacuum(kind: str, shared: Path, tmp_path: Path) -> None:
    """Four elements in open boundaries, labels of energy and forces."""
    data = ase.io.read(shared / "data" / "dipeptides_train.xyz", ":6")
    ase.io.write(tmp_path / "data.xyz", data)
    content = settings(
        network={"kind": kind, "cutoff": 3.2, "n_bessel": 4, **TINY[kind]},
        loss={"weights": {"forces": 1.0}},
        training={"epochs": 20, "batch_size": 1, "validate_every": 1, "learning_rate": 3e-2},
    )
    content["data"]["split"] = {"validation": 1, "test": 0}
    run = trained(tmp_path, "run", content)
    rows = metrics(run)
    assert rows[-1]["validation/forces"] < 0.95 * rows[0]["validation/forces"]
    assert load_folder(run)[1].network.species == ["C", "H", "N", "O"]
