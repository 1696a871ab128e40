"""``lammps-les export``: the decisions that a checkpoint leaves open."""

import re
import zipfile

import ase.io
import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.model_file import read_metadata
from lammps_les_export.charge_sign import listed


def run(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["export", *[str(argument) for argument in arguments]])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def test_wrong_input_is_one_line(tmp_path, toy_model):
    (tmp_path / "text.pth").write_text("hello")
    with zipfile.ZipFile(tmp_path / "unsafe.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n.")
        archive.writestr("archive/version", "3\n")
    cases = {
        (tmp_path / "unsafe.pth",): "system",
        (tmp_path / "none.pth",): "none.pth does not exist",
        (toy_model("linear"),): "would overwrite the network",
        (toy_model("linear"), "-o", tmp_path / "x.pt"): "is a model file already",
        (tmp_path / "text.pth",): "text.pth",
        (tmp_path / "text.pth", "--charge-sign", "plus"): "must be auto, +1 or -1, got 'plus'",
        (tmp_path / "text.pth", "--atomic-energies", "H:1"): "must look like H=-13.6,O=-432.1",
        (tmp_path / "text.pth", "--structures", tmp_path / "none.xyz"): "cannot be read as struct",
    }
    for arguments, message in cases.items():
        code, text = run(*arguments)
        assert code == 1
        assert text.startswith("error: ")
        assert message in text
        assert "Traceback" not in text


def test_export_of_a_checkpoint(shared, tmp_path):
    source = shared / "checkpoints" / "cace-lr_water_v2.pth"
    target = tmp_path / "water.pt"
    code, text = run(source, "-o", target)
    assert code == 0
    assert "note: epsilon_inf is not known and set to 1" in text
    assert "note: charge sign +1 decided by a box of liquid water and electronegativities" in text
    assert "; mean Z H +0.35 O -0.70 e in a box of liquid water" in text
    assert "note: atomic energies are not known" in text
    assert f"wrote {target}: H O, cutoff 4.5 A, 1 layer(s), 1 charge(s) per atom, float32" in text
    metadata = read_metadata(target)
    assert metadata.provenance["source"] == "cace-lr_water_v2.pth"
    assert len(metadata.provenance["sha256"]) == 64


def test_options_reach_the_model_file(shared, tmp_path):
    source = shared / "checkpoints" / "cace-lr_water_v2.pth"
    options = ["--epsilon-inf", "1.83", "--charge-sign", "-1", "--dtype", "float64"]
    energies = ["--atomic-energies", "O=-432.5,H=-13.25"]
    code, text = run(source, "-o", tmp_path / "m.pt", *options, *energies)
    assert code == 0
    assert "note" not in text
    assert "warning: charge sign -1 as asked for; mean Z H -0.47 O +0.95 e in a box of" in text
    assert "that is against the electronegativities" in text
    metadata = read_metadata(tmp_path / "m.pt")
    assert metadata.response.epsilon_inf == 1.83
    assert metadata.charges.sign == [-1.0]
    assert metadata.network.dtype == "float64"
    assert metadata.atomic_energies == {"H": -13.25, "O": -432.5}
    molecule = Atoms("OHH", [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
    charges = LesCalculator(tmp_path / "m.pt").get_property("charges", molecule)
    assert charges[0] > 0 > charges[1]  # turned by the option

    code, text = run(source, "-o", tmp_path / "m.pt", "--atomic-energies", "H=1")
    assert code == 1
    assert "expected atomic energies of H O, got those of H" in text


SIGNS = [
    ("cace-les_dipeptides_r5.5_nu2", "dipeptides_val_bec.xyz", [-1.0]),
    ("cace-les_water_r4.5_nu3", "water_rpbe-d3.xyz", [-1.0]),
    ("cace-lr_superionic_2gcc_finetuned", "superionic_2gcc_init.xyz", [-1.0]),
    ("cace-lr_superionic_ef", "superionic_2gcc_2000K_bec.xyz", [-1.0]),
    ("cace-lr_water_4channels_mp1", "liquid-64.xyz", [1.0, 1.0, -1.0, 1.0]),
    ("cace-lr_water_v1", "liquid-64.xyz", [1.0]),
    ("cace-lr_water_v2", "liquid-64.xyz", [1.0]),
]


@pytest.mark.parametrize(("checkpoint", "structures", "signs"), SIGNS)
def test_signs_of_published_models(shared, tmp_path, checkpoint, structures, signs):
    """Structures of their own, the box of water that comes along, and labels agree."""
    source = shared / "checkpoints" / f"{checkpoint}.pth"
    target = tmp_path / "m.pt"
    code, text = run(source, "-o", target, "--structures", shared / "data" / structures)
    assert code == 0, text
    assert f"charge sign {listed(signs)}" in text
    assert "warning" not in text
    oxygen = re.search(r"mean Z .*?O ([+-][0-9.]+)", text)
    assert oxygen
    assert float(oxygen[1]) < 0.0
    assert ("decided by the labels" in text) is ("_bec" in structures)
    assert read_metadata(target).charges.sign == signs
    code, text = run(source, "-o", target)
    if "dipeptides" in checkpoint:
        assert code == 1
        assert "give --structures FILE with typical structures, or --charge-sign" in text
    else:
        assert code == 0
        assert read_metadata(target).charges.sign == signs


def test_a_dielectric_tensor_has_nine_numbers(tmp_path):
    target = tmp_path / "m.pt"
    code, text = run("water_rpbe-d3", "-o", target, "--epsilon-inf", "1.9,0.1,0,0.1,1.7,0,0,0,1.6")
    assert code == 0
    tensor = [[1.9, 0.1, 0.0], [0.1, 1.7, 0.0], [0.0, 0.0, 1.6]]
    assert read_metadata(target).response.epsilon_inf == tensor
    for value, message in (
        ("1.9,0.1", "--epsilon-inf must be a number, or nine with commas, got '1.9,0.1'"),
        ("water", "--epsilon-inf must be a number, or nine with commas, got 'water'"),
        ("-1.8", "epsilon_inf: expected a number from 0.1 to 1000 or a symmetric positive"),
        (
            "1,0.1,0,0,1,0,0,0,1",
            "such eigenvalues, got [[1.0, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]",
        ),
    ):
        code, text = run("water_rpbe-d3", "-o", target, "--epsilon-inf", value)
        assert code == 1
        assert message in text


def test_fine_tuned_model_states_its_own_dielectric_constant(shared, tmp_path):
    source = shared / "checkpoints" / "cace-lr_superionic_2gcc_finetuned.pth"
    code, text = run(source, "-o", tmp_path / "m.pt")
    assert code == 0
    assert "epsilon_inf 3.1 taken from cace-lr_superionic_2gcc_finetuned.pth" in text
    assert read_metadata(tmp_path / "m.pt").response.epsilon_inf == pytest.approx(3.1)


def test_fine_tuned_model_has_its_published_accuracy_by_default(shared, tmp_path):
    """Sign, form and epsilon_inf of the checkpoint: 0.079 e; in the local form 0.097 e."""
    source = shared / "checkpoints" / "cace-lr_superionic_2gcc_finetuned.pth"
    code, text = run(source, "-o", tmp_path / "m.pt")
    assert code == 0
    assert "Born effective charges in the phase form, as in cace-lr_superionic" in text
    assert read_metadata(tmp_path / "m.pt").response.bec_form == "phase"
    calculator = LesCalculator(tmp_path / "m.pt")
    squares = []
    for atoms in ase.io.read(shared / "data" / "superionic_2gcc_2000K_bec.xyz", ":"):
        predicted = calculator.get_property("born_effective_charges", atoms)
        squares.append(((predicted - atoms.arrays["BEC"].reshape(-1, 3, 3)) ** 2).mean())
    assert len(squares) == 40
    assert np.sqrt(np.mean(squares)) < 0.08
