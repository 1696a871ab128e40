"""The sign of charges is that of Born charges: labels first, then electronegativities."""

import json

import numpy as np
import pytest
from ase import Atoms
from generate import changed, toy_metadata
from toy_networks import ConstantCharges, LayeredCharges, LinearCharges, OpposedCharges

from lammps_les import pretrained
from lammps_les.calculators import LesCalculator
from lammps_les.model_file import ModelFileError
from lammps_les.pretrained import save_folder
from lammps_les_export import write_model
from lammps_les_export.charge_sign import (
    UndecidedError,
    contradicts_electronegativity,
    mean_text,
    signs_by_electronegativity,
    signs_by_labels,
    water_box,
)
from lammps_les_export.convert import WARNING, export_model
from lammps_les_export.sign_evidence import Coupling, a_few, gather

HYDROXYL = Atoms("HO", [[0, 0, 0], [0, 0, 1.0]])
BARE = Coupling(1.0, 1.0, True, "local")
EPSILON = [[1.9, 0.1, 0.0], [0.1, 1.7, 0.0], [0.0, 0.0, 1.6]]
BOX = Atoms(
    ["H", "O"] * 3,
    np.random.default_rng(5).random((6, 3)) * 4.5,
    cell=[[4.3, 0.0, 0.0], [0.9, 5.1, 0.0], [-1.2, 0.4, 4.8]],
    pbc=True,
)


def opposed() -> OpposedCharges:
    """Latent charge of O in the molecule: 1.748 - 2 (15/16)^3 = +0.1; of H minus that."""
    return OpposedCharges(["H", "O"], [-1.748, 1.748], [2.0, -2.0])


def test_born_charges_decide_where_latent_charges_have_the_other_sign():
    """Q + q' d / 3 at d = 1 A: q' = -2 [(15/16)^3 - 6/16 (15/16)^2] = -0.989."""
    network = opposed()
    q = 1.748 - 2.0 * (15 / 16) ** 3
    slope = -2.0 * ((15 / 16) ** 3 - 6 / 16 * (15 / 16) ** 2)
    evidence = gather(network, [HYDROXYL, HYDROXYL], BARE)
    assert q > 0.09
    assert evidence.counts.tolist() == [2, 2]
    z = q + slope / 3.0
    assert z < -0.2
    assert evidence.mean[0].tolist() == pytest.approx([-z, z], rel=1e-12)
    assert signs_by_electronegativity(evidence) == [1.0]
    assert mean_text(evidence, [1.0]) == "mean Z H +0.23 O -0.23 e"
    assert not contradicts_electronegativity(evidence, [1.0])
    assert contradicts_electronegativity(evidence, [-1.0])


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("remove_mean", [True, False])
@pytest.mark.parametrize("epsilon", [1.8, EPSILON], ids=["number", "tensor"])
def test_evidence_is_what_the_calculator_gives(tmp_path, form, layers, remove_mean, epsilon):
    network = LinearCharges(["H", "O"], [[0.4, -0.8]], [0.05])
    if layers == 2:
        network = LayeredCharges(["H", "O"], [0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1)
    fields = {"bec_form": form, "epsilon_inf": epsilon, "unit": 0.7, "remove_mean": remove_mean}
    write_model(tmp_path / "m.pt", network, toy_metadata(network, "float64", **fields))
    calculator = LesCalculator(tmp_path / "m.pt")
    expected = calculator.get_property("born_effective_charges", BOX)
    labels = [{"born_effective_charges": 2.0 * expected}]
    evidence = gather(network, [BOX], Coupling(0.7, epsilon, remove_mean, form), labels)
    np.testing.assert_allclose(evidence.predicted[0], expected.ravel(), rtol=0, atol=1e-12)
    trace = np.trace(expected, axis1=1, axis2=2) / 3
    means = [trace[BOX.numbers == number].mean() for number in (1, 8)]
    assert evidence.mean[0].tolist() == pytest.approx(means)
    assert evidence.labelled_mean.tolist() == pytest.approx([2.0 * z for z in means])
    assert signs_by_labels(evidence) == [1.0]


def test_every_channel_gets_a_sign():
    network = LinearCharges(["H", "O"], [[0.4, -0.8], [-0.1, 0.3]], [0.0, 0.0])
    assert signs_by_electronegativity(gather(network, [HYDROXYL], BARE)) == [1.0, -1.0]


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_labels_decide_over_channels_together_at_any_scale(signs):
    """The channels overlap, so one alone may point the other way than in the best sum."""
    network = LinearCharges(["H", "O"], [[1.0, -1.0], [0.5, -0.8]], [0.02, 0.1])
    structures = [BOX, BOX.copy()]
    structures[1].rattle(0.1, seed=2)
    bare = gather(network, structures, BARE)
    assert signs_by_labels(bare) is None
    tensors = [
        gather(network, [s], BARE, [{"born_effective_charges": np.ones((6, 3, 3))}])
        for s in structures
    ]
    labels = [
        {"born_effective_charges": 3.0 * (np.array(signs) @ t.predicted).reshape(-1, 3, 3)}
        for t in tensors
    ]
    assert signs_by_labels(gather(network, structures, BARE, labels)) == list(signs)
    # one structure with labels is enough
    assert signs_by_labels(gather(network, structures, BARE, [{}, labels[1]])) == list(signs)


def test_dipoles_decide_where_there_are_no_born_charges():
    network = opposed()
    dipole = {"dipole": np.array([0.0, 0.0, -0.3])}  # latent charges give +0.1 e A
    assert signs_by_labels(gather(network, [HYDROXYL], BARE, [dipole])) == [-1.0]
    both = dipole | {"born_effective_charges": np.einsum("i,ab->iab", [0.2, -0.2], np.eye(3))}
    evidence = gather(network, [HYDROXYL], BARE, [both])
    assert evidence.label == "born_effective_charges"
    assert evidence.labelled_mean.tolist() == pytest.approx([0.2, -0.2])


def test_what_charges_do_not_show_is_not_guessed():
    constant = ConstantCharges(["H", "O"], [0.3, 0.3])
    with pytest.raises(UndecidedError, match="hardly tell the species apart"):
        signs_by_electronegativity(gather(constant, [HYDROXYL], BARE))
    with pytest.raises(UndecidedError, match="fewer than two species of known electronegativity"):
        signs_by_electronegativity(gather(constant, [Atoms("H2", np.eye(3)[:2])], BARE))
    with pytest.raises(ModelFileError, match="has species H O; a structure has Cl"):
        gather(constant, [Atoms("Cl")], BARE)
    broken = ConstantCharges(["H", "O"], [float("nan"), -1.0])
    with pytest.raises(UndecidedError, match="not finite"):
        signs_by_electronegativity(gather(broken, [HYDROXYL], BARE))
    equal = ConstantCharges(["C", "S"], [1.0, -1.0])
    with pytest.raises(UndecidedError, match="electronegativities of C S differ by less than 0.4"):
        signs_by_electronegativity(gather(equal, [Atoms("CS", np.eye(3)[:2])], BARE))
    noble = ConstantCharges(["He", "O"], [1.0, -1.0])
    with pytest.raises(UndecidedError, match="fewer than two species of known"):
        signs_by_electronegativity(gather(noble, [Atoms("HeO", np.eye(3)[:2])], BARE))
    for network in (constant, equal, noble):
        atoms = Atoms("".join(network.species), np.eye(3)[:2])
        assert not contradicts_electronegativity(gather(network, [atoms], BARE), [1.0])


@pytest.mark.parametrize(
    ("charges", "sign"),
    [
        ([1.0, -1.0, 0.2], None),  # O between H and C: correlation -0.03
        ([0.1, 0.9, -1.0], 1.0),
        ([-0.1, 1.1, -1.0], 1.0),  # H on the side of O, as in formyl groups
        ([0.1, -1.1, 1.0], -1.0),
    ],
)
def test_several_species_are_weighed_together(charges, sign):
    atoms = Atoms("HCO", [[0, 0, 0], [0, 0, 1.1], [0, 0, 2.3]])
    evidence = gather(ConstantCharges(["H", "C", "O"], charges), [atoms], BARE)
    if sign is None:
        with pytest.raises(UndecidedError, match="do not follow the electronegativities"):
            signs_by_electronegativity(evidence)
    else:
        assert signs_by_electronegativity(evidence) == [sign]


def test_no_structure_is_made_up_for_other_models():
    assert water_box(ConstantCharges(["Na", "Cl"], [1.0, -1.0])) == []
    (water,) = water_box(ConstantCharges(["O", "H"], [1.0, -1.0]))
    assert water.get_chemical_formula() == "H128O64"


def test_a_few_of_many():
    assert a_few([HYDROXYL] * 3) == [HYDROXYL] * 3
    assert a_few(list(range(0)), 5) == []
    numbered = [Atoms("H", tags=[n]) for n in range(100)]
    assert [atoms.get_tags()[0] for atoms in a_few(numbered, 5)] == [0, 20, 40, 60, 80]
    assert len(a_few([Atoms("H600")] * 10)) == 2


def trained(folder, sign, species=("H", "O"), **provenance):
    """Folder of the shipped model, of which -1 is the right sign, with another one or species."""
    network, metadata = pretrained.load("water_rpbe-d3")
    energies = dict.fromkeys(species, 0.0)
    config = metadata.network.config | {"species": list(species)}
    changes = {"sign": [sign], "species": list(species), "atomic_energies": energies}
    fields = changed(metadata.model_dump(), **changes, config=config, atomic_masses={})
    fields["provenance"] |= provenance
    save_folder(folder, network.state_dict(), fields, {})
    return folder


def test_a_stated_sign_against_the_electronegativities_is_refused_unless_asked_for(tmp_path):
    wrong, target = trained(tmp_path / "wrong", 1.0), tmp_path / "m.pt"
    with pytest.raises(ModelFileError, match="that is against the electronegativities; give --str"):
        export_model(wrong, target)
    with pytest.raises(ModelFileError, match=r"mean Z H -0.* O \+0.* e in 1 structure"):
        export_model(wrong, target, structures=water_box(pretrained.load("water_rpbe-d3")[0]))
    assert not target.exists()
    asked = export_model(wrong, target, charge_sign=[1.0])
    assert asked.metadata.charges.sign == [1.0]
    (warning,) = [text for text in asked.notes if text.startswith(WARNING)]
    assert "charge sign +1 as asked for; mean Z H -0.48 O +0.95 e in a box of liquid" in warning
    assert "against the electronegativities" in warning
    right = export_model(trained(tmp_path / "right", -1.0), target)
    assert right.metadata.charges.sign == [-1.0]
    assert any("as the source file states; mean Z H +0.48 O -0.95 e" in n for n in right.notes)
    assert not any(text.startswith(WARNING) for text in right.notes)


@pytest.mark.parametrize("by", ["labels", "given", "total charges", "electronegativities"])
def test_a_sign_that_the_training_settled_is_exported_again_with_a_warning(tmp_path, by):
    folder = trained(tmp_path / "model", 1.0, charge_sign=by)
    if by == "electronegativities":
        with pytest.raises(ModelFileError, match="that is against the electronegativities"):
            export_model(folder, tmp_path / "m.pt")
        return
    done = export_model(folder, tmp_path / "m.pt")
    assert done.metadata.charges.sign == [1.0]
    assert done.metadata.provenance["charge_sign"] == by
    (warning,) = [text for text in done.notes if text.startswith(WARNING)]
    assert f"against the electronegativities ({by})" in warning


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_labels_of_structures_decide_over_all_that_is_not_asked_for(tmp_path, sign):
    """Also against the electronegativities, with a warning."""
    folder = trained(tmp_path / "model", sign)
    (atoms,) = water_box(pretrained.load("water_rpbe-d3")[0])
    for oxygen in (-1.0, 1.0):
        charges = np.where(atoms.numbers == 8, oxygen, -0.5 * oxygen)
        atoms.arrays["BEC"] = (charges[:, None, None] * np.eye(3)).reshape(-1, 9)
        done = export_model(folder, tmp_path / "m.pt", structures=[atoms])
        assert done.metadata.charges.sign == [oxygen]
        (said,) = [text for text in done.notes if "charge sign" in text]
        assert f"(labels H {-0.5 * oxygen:+.2f} O {oxygen:+.2f} e)" in said
        assert said.startswith(WARNING) is (oxygen > 0)


def test_older_run_folders_have_the_form_of_their_configuration(tmp_path):
    folder = trained(tmp_path / "model", -1.0)
    content = json.loads((folder / "config.json").read_text())
    del content["metadata"]["response"]["bec_form"], content["metadata"]["response"]["bec_fitted"]
    (folder / "config.json").write_text(json.dumps(content))
    assert export_model(folder, tmp_path / "m.pt").metadata.response.bec_form == "local"
    (folder / "config.yaml").write_text("charges: {born: phase}\n")
    assert export_model(folder, tmp_path / "m.pt").metadata.response.bec_form == "phase"
    assert (
        export_model(folder, tmp_path / "m.pt", bec_form="local").metadata.response.bec_form
        == "local"
    )


def test_a_stated_sign_is_taken_where_no_structure_is_known(tmp_path):
    folder = trained(tmp_path / "salt", 1.0, ("Na", "Cl"))
    done = export_model(folder, tmp_path / "m.pt")
    assert done.metadata.charges.sign == [1.0]
    assert any("--structures would show the Born effective charges" in n for n in done.notes)
