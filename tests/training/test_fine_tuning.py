"""Fine-tuning of published checkpoints."""

import json

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from training_toys import command, eager_energy, settings, teacher_labels, waters

from lammps_les.calculators import LesCalculator
from lammps_les.pretrained import load_folder
from lammps_les_export.adapters import read_checkpoint


def water_dimers(n: int) -> list[Atoms]:
    """Labelled periodic structures of two molecules."""
    return [teacher_labels(waters("triclinic", 2, seed)) for seed in range(n)]


@pytest.mark.parametrize(
    ("checkpoint", "changes"),
    [
        ("cace-lr_water_v2", {}),
        ("cace-les_water_r4.5_nu3", {}),
        ("cace-lr_water_4channels_mp1", {"charges": {"sign": [-1, -1, -1, -1]}}),
    ],
)
def test_a_published_checkpoint_ends_as_a_run_folder_like_any(
    shared, tmp_path, checkpoint, changes
):
    """Frozen parts stay as published; the model file is the trained network; it can be tuned on."""
    source = shared / "checkpoints" / f"{checkpoint}.pth"
    ase.io.write(tmp_path / "data.xyz", water_dimers(5))
    frozen = ["representation", "energy_readout.perceptron"]
    changed = settings(init_from=str(source), freeze=frozen, citation="Data, 2025", **changes)
    del changed["network"], changed["long_range"]
    changed["data"]["split"] = {"validation": 1, "test": 1}
    changed["training"] = {"epochs": 2, "batch_size": 2, "learning_rate": 1e-3}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(changed))
    command(str(tmp_path / "run.yaml"))

    run = tmp_path / "run"
    imported = read_checkpoint(source)
    network, metadata = load_folder(run)
    assert network.config == imported.network.config
    assert metadata.long_range.model_dump() == imported.metadata["long_range"]
    assert metadata.charges.unit == imported.metadata["charges"]["unit"]
    assert source.name in metadata.provenance["source"]
    assert metadata.provenance["citation"] == (
        "Data, 2025; " + imported.metadata["provenance"]["citation"]
    )
    assert json.loads((run / "config.json").read_text())["training"]["seed"] == 4
    before = imported.network.float().state_dict()
    for name, value in network.state_dict().items():
        stays = any(name.startswith(f"{part}.") for part in frozen)
        assert torch.equal(value, before[name]) is stays, name

    for kind in ("triclinic", "open"):
        atoms = waters(kind, 2, 20)
        atoms.calc = LesCalculator(run / "model.pt")
        assert atoms.get_potential_energy() == pytest.approx(eager_energy(run, atoms), abs=1e-4)
        assert np.abs(atoms.get_charges()).max() > 1e-3

    again = changed | {"init_from": "run", "freeze": []}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(again))
    command(str(tmp_path / "again.yaml"))
    assert load_folder(tmp_path / "again")[0].config == imported.network.config
