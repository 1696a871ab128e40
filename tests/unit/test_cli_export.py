"""``lammps-les export``: the decisions that a checkpoint leaves open."""

import zipfile

import pytest
from ase import Atoms
from generate import toy_models
from toy_networks import ConstantCharges, LinearCharges
from typer.testing import CliRunner

from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.model_file import ModelFileError, read_metadata
from lammps_les_export.charge_sign import decide_charge_signs, mean_charges, water_molecule

# H and O at 1 A: with the toy "linear", q = base + 0.02 (1 - 1/16)^3
HYDROXYL = Atoms("OH", [[0, 0, 0], [0, 0, 1.0]])


def run(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["export", *[str(argument) for argument in arguments]])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def test_mean_charges_of_a_toy():
    network = toy_models()["linear"][0].double()
    means, counts = mean_charges(network, [HYDROXYL, HYDROXYL])
    added = 0.02 * (15 / 16) ** 3
    assert means[:, 0].tolist() == pytest.approx([0.4 + added, -0.8 + added], rel=1e-12)
    assert counts.tolist() == [2, 2]


def test_electronegative_species_becomes_negative_in_every_channel():
    network = LinearCharges(["H", "O"], [[0.4, -0.8], [-0.1, 0.3]], [0.02, -0.01]).double()
    assert decide_charge_signs(network, [HYDROXYL]) == [1.0, -1.0]


def test_a_sign_that_charges_do_not_show_is_not_guessed():
    network = ConstantCharges(["H", "O"], [0.3, 0.3]).double()
    with pytest.raises(ModelFileError, match="channel 1 cannot be decided: mean charges H 0.3, O"):
        decide_charge_signs(network, [HYDROXYL])
    with pytest.raises(ModelFileError, match="fewer than two species of known electronegativity"):
        decide_charge_signs(network, [Atoms("H2", [[0, 0, 0], [0, 0, 0.8]])])
    with pytest.raises(ModelFileError, match="has species H O; a structure has Cl"):
        decide_charge_signs(network, [Atoms("Cl")])


def test_charges_that_do_not_follow_the_electronegativity_decide_nothing():
    """C and H of opposite charge, O between them: correlation -0.03."""
    network = ConstantCharges(["H", "C", "O"], [1.0, -1.0, 0.2]).double()
    with pytest.raises(ModelFileError, match="do not follow the electronegativities; give --struc"):
        decide_charge_signs(network, [Atoms("HCO", [[0, 0, 0], [0, 0, 1.1], [0, 0, 2.3]])])


def test_no_structure_is_made_up_for_other_models():
    with pytest.raises(ModelFileError, match="without structures for species Na Cl and 1 channel"):
        water_molecule(toy_models()["ions"][0])
    with pytest.raises(ModelFileError, match=r"H O and 2 channel\(s\); give --structures"):
        water_molecule(toy_models()["two_channels"][0])


def test_wrong_input_is_one_line(tmp_path, toy_model):
    (tmp_path / "text.pth").write_text("hello")
    with zipfile.ZipFile(tmp_path / "unsafe.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n.")
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
    assert "note: charge sign +1 decided by the charges of a water molecule" in text
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
    metadata = read_metadata(tmp_path / "m.pt")
    assert metadata.epsilon_inf == 1.83
    assert metadata.charge_sign == [-1.0]
    assert metadata.dtype == "float64"
    assert metadata.atomic_energies == {"H": -13.25, "O": -432.5}
    molecule = Atoms("OHH", [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
    charges = LesCalculator(tmp_path / "m.pt").get_property("charges", molecule)
    assert charges[0] > 0 > charges[1]  # turned by the option

    code, text = run(source, "-o", tmp_path / "m.pt", "--atomic-energies", "H=1")
    assert code == 1
    assert "expected atomic energies of H O, got those of H" in text


@pytest.mark.parametrize(
    ("checkpoint", "structures", "signs"),
    [
        ("cace-les_dipeptides_r5.5_nu2", "dipeptides_val_bec.xyz", [-1.0]),
        ("cace-les_water_r4.5_nu3", "water_rpbe-d3.xyz", [-1.0]),
        ("cace-lr_superionic_2gcc_finetuned", "superionic_2gcc_init.xyz", [-1.0]),
        ("cace-lr_superionic_ef", "superionic_2gcc_init.xyz", [-1.0]),
        ("cace-lr_water_4channels_mp1", "liquid-64.xyz", [-1.0] * 4),
        ("cace-lr_water_v1", "liquid-64.xyz", [1.0]),
        ("cace-lr_water_v2", "liquid-64.xyz", [1.0]),
    ],
)
def test_signs_of_published_models(shared, tmp_path, checkpoint, structures, signs):
    """Where a molecule can decide, it agrees with the condensed phase."""
    source = shared / "checkpoints" / f"{checkpoint}.pth"
    target = tmp_path / "m.pt"
    code, text = run(source, "-o", target, "--structures", shared / "data" / structures)
    assert code == 0
    assert "structures and electronegativities" in text
    assert read_metadata(target).charge_sign == signs
    code, text = run(source, "-o", target)
    if "dipeptides" in checkpoint or "4channels" in checkpoint:
        assert code == 1
        assert "give --structures FILE with typical structures, or --charge-sign" in text
    else:
        assert code == 0
        assert read_metadata(target).charge_sign == signs


def test_fine_tuned_model_states_its_own_dielectric_constant(shared, tmp_path):
    source = shared / "checkpoints" / "cace-lr_superionic_2gcc_finetuned.pth"
    code, text = run(source, "-o", tmp_path / "m.pt")
    assert code == 0
    assert "epsilon_inf 3.1 taken from cace-lr_superionic_2gcc_finetuned.pth" in text
    assert read_metadata(tmp_path / "m.pt").epsilon_inf == pytest.approx(3.1)
