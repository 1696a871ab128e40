"""Trained, killed, resumed, fine-tuned, exported and run in LAMMPS, on a tiny data set."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
import yaml
from lmp import run as run_lammps
from training_toys import (
    EPOCHS,
    command,
    eager_energy,
    metrics,
    settings,
    teacher_labels,
    waters,
)
from typer.testing import CliRunner

from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.pretrained import load_folder

KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from lightning.pytorch.callbacks import Callback
from lammps_les.training.config_file import read_config
from lammps_les.training.run import train

class Kill(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if trainer.current_epoch == 3 and index == 1:
            os.kill(os.getpid(), signal.SIGKILL)

train(read_config("run.yaml"), Path("."), Path("killed"), callbacks=[Kill()])
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with data, a configuration, and the run `whole` of it."""
    folder = tmp_path_factory.mktemp("training")
    kinds = ["triclinic", "open", "left-handed"]
    structures = [teacher_labels(waters(kinds[seed % 3], 1 + seed % 2, seed)) for seed in range(14)]
    ase.io.write(folder / "data.xyz", structures)
    (folder / "run.yaml").write_text(yaml.safe_dump(settings()))
    command(str(folder / "run.yaml"), "-o", str(folder / "whole"))
    return folder


def test_run_folder_is_complete_and_errors_fell(workplace):
    whole = workplace / "whole"
    names = {path.name for path in whole.iterdir()}
    assert {
        "config.yaml",
        "provenance.json",
        "metrics.csv",
        "learning-curves.png",
        "parity-test.png",
        "best.ckpt",
        "last.ckpt",
        "model.pt",
        "weights.pt",
        "config.json",
        "report.md",
        "tensorboard",
    } <= names
    rows = metrics(whole)
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    assert rows[-1]["training/forces"] < 0.9 * rows[0]["training/forces"]
    report = (whole / "report.md").read_text()
    assert "## Errors, test" in report
    assert "| forces | eV/A |" in report


def test_the_exported_model_has_the_errors_of_the_best_epoch(workplace):
    whole = workplace / "whole"
    best = min(metrics(whole), key=lambda row: row["validation/score"])
    report = (whole / "report.md").read_text().split("## Errors, validation")[1]
    stated = float(report.split("| forces | eV/A | ")[1].split(" |")[0])
    assert stated == pytest.approx(best["validation/forces"], rel=1e-3)


def test_killed_and_resumed_ends_as_the_whole_run(workplace):
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(
        [sys.executable, "-c", KILLED_RUN],
        cwd=workplace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(metrics(workplace / "killed")) == 3
    assert not (workplace / "killed" / "model.pt").exists()
    command(str(workplace / "run.yaml"), "-o", str(workplace / "killed"), "--resume")
    whole, resumed = metrics(workplace / "whole"), metrics(workplace / "killed")
    assert len(resumed) == EPOCHS
    for a, b in zip(whole, resumed, strict=True):
        assert a == pytest.approx(b, abs=1e-6, rel=1e-6)
    a, b = (load_folder(workplace / n)[0].state_dict() for n in ("whole", "killed"))
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=0, atol=1e-6)


def test_same_seed_same_result_another_seed_another(workplace):
    command(str(workplace / "run.yaml"), "-o", str(workplace / "again"))
    assert metrics(workplace / "again") == metrics(workplace / "whole")
    short = settings(seed=5) | {"training": {"epochs": 1, "batch_size": 3}}
    (workplace / "other.yaml").write_text(yaml.safe_dump(short))
    command(str(workplace / "other.yaml"))
    assert metrics(workplace / "other")[0] != metrics(workplace / "whole")[0]


def test_a_run_is_neither_overwritten_nor_resumed_as_another(workplace):
    config = str(workplace / "run.yaml")
    result = CliRunner().invoke(app, ["train", config, "-o", str(workplace / "whole")])
    assert result.exit_code == 1
    assert "holds a run already" in " ".join(result.output.split())
    (workplace / "changed.yaml").write_text(yaml.safe_dump(settings(seed=9)))
    changed = str(workplace / "changed.yaml")
    for folder, message in (
        ("whole", "seed (4 in the run, 9 now)"),
        ("nowhere", "no run that could be"),
    ):
        result = CliRunner().invoke(
            app, ["train", changed, "-o", str(workplace / folder), "--resume"]
        )
        assert result.exit_code == 1
        assert message in " ".join(result.output.split())


def test_fine_tuning_on_born_charges_leaves_frozen_parts_alone(workplace):
    changed = settings(init_from="whole", freeze=["representation", "energy_readout"])
    del changed["network"], changed["long_range"]
    changed["loss"] = {"weights": {"energy": 1e-3, "forces": 1e-3, "born_effective_charges": 1.0}}
    changed["training"]["epochs"] = 12
    (workplace / "tuned.yaml").write_text(yaml.safe_dump(changed))
    command(str(workplace / "tuned.yaml"))
    rows = metrics(workplace / "tuned")
    key = "validation/born_effective_charges"
    assert rows[-1][key] < 0.9 * rows[0][key]
    before = load_folder(workplace / "whole")[0].state_dict()
    after = load_folder(workplace / "tuned")[0].state_dict()
    for name, value in before.items():
        frozen = name.startswith(("representation.", "energy_readout."))
        assert torch.equal(value, after[name]) is frozen, name
    # the sign that export will use is the one that the labels have
    atoms = ase.io.read(workplace / "data.xyz", 0)
    atoms.calc = LesCalculator(workplace / "tuned" / "model.pt")
    eager = eager_energy(workplace / "tuned", atoms)
    assert atoms.get_potential_energy() == pytest.approx(eager, abs=2e-5)
    assert atoms.calc.metadata.response.bec_fitted
    assert not LesCalculator(workplace / "whole" / "model.pt").metadata.response.bec_fitted
    predicted = atoms.calc.get_property("born_effective_charges", atoms)
    assert (predicted * atoms.arrays["BEC"].reshape(-1, 3, 3)).sum() > 0.0


def test_an_unknown_part_cannot_be_frozen(workplace):
    changed = settings(init_from="whole", freeze=["energy_readuot"])
    del changed["network"], changed["long_range"]
    (workplace / "frozen.yaml").write_text(yaml.safe_dump(changed))
    result = CliRunner().invoke(app, ["train", str(workplace / "frozen.yaml")])
    assert result.exit_code == 1
    assert "did you mean 'energy_readout'" in " ".join(result.output.split())


def test_the_model_runs_in_lammps_on_two_ranks(workplace, tmp_path):
    model = workplace / "whole" / "model.pt"
    atoms = waters("triclinic", 2, 20)
    atoms.calc = LesCalculator(model)
    found = run_lammps(tmp_path, atoms, model, ranks=2)
    assert found.energy == pytest.approx(atoms.get_potential_energy(), abs=2e-5)
    assert np.abs(atoms.get_forces()).max() > 0.1
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=5e-5)
    born = atoms.calc.get_property("born_effective_charges", atoms)
    np.testing.assert_allclose(found.bec, born, atol=5e-5)


def test_a_network_without_charges_trains(workplace):
    changed = settings()
    changed["network"]["channels"] = 0
    changed["training"]["epochs"] = 1
    (workplace / "short.yaml").write_text(yaml.safe_dump(changed))
    command(str(workplace / "short.yaml"))
    assert load_folder(workplace / "short")[1].charges.channels == 0
    assert (workplace / "short" / "model.pt").exists()
