"""NequIP and Allegro checkpoints against the values of their original code.

``nequip_values.npz`` holds small models with random weights, each under its name: the arguments of
its builder, its state by names, and the energies of atoms that nequip 0.19.1 with nequip-allegro
0.8.3 gives in float64 for the edges ``vectors`` and ``index`` between atoms of ``species``. The
files of published and trained models hold a structure with the results of the original code.
"""

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from lammps_les.calculators import LesCalculator
from lammps_les.model_file import ModelFileError
from lammps_les_export.adapters import Choice, UnsupportedModelError, read_checkpoint
from lammps_les_export.convert import export_model, import_model
from lammps_les_export.unpickler import load_pickle

VALUES = np.load(Path(__file__).with_name("nequip_values.npz"))
NAMES = sorted({key.partition("|")[0] for key in VALUES if "|" in key})
ZBL = {"_target_": "nequip.nn.pair_potential.ZBL"}
LES = {"use_les": True, "les_args": {"use_atomwise": False, "sigma": 1.0, "dl": 2.0}}


def model(name: str) -> dict[str, Any]:
    """The checkpoint of one of the random models."""
    parts = {key.partition("|")[2]: VALUES[key] for key in VALUES if key.startswith(f"{name}|")}
    arguments = json.loads(str(parts.pop("arguments")))
    parts.pop("energy")
    program = "allegro" if name.startswith("allegro") else "nequip"
    versions = {"nequip": "0.19.1", "allegro": "0.8.3", "torch": "2.6.0"}
    return {
        "hyper_parameters": {"model": arguments, "info_dict": {"versions": versions}},
        "state_dict": {key: torch.from_numpy(value) for key, value in parts.items()},
        "pytorch-lightning_version": "2.5.0",
        "program": program,
    }


def save(tmp_path: Path, checkpoint: Any) -> Path:
    path = tmp_path / "best.ckpt"
    torch.save(checkpoint, path)
    return path


def energies(network: torch.nn.Module, species: np.ndarray = VALUES["species"]) -> np.ndarray:
    arguments = (torch.from_numpy(x) for x in (VALUES["vectors"], VALUES["index"], species))
    return network(*arguments, len(species))["energy"].detach().numpy()


def energies_with_constants(path: Path) -> np.ndarray:
    imported = import_model(path)
    constants = [imported.suggested["atomic_energies"][s] for s in imported.network.species]
    return energies(imported.network) + np.array(constants)[VALUES["species"]]


@pytest.mark.parametrize("name", NAMES)
def test_random_models(tmp_path, name):
    found = energies_with_constants(save(tmp_path, model(name)))
    expected = VALUES[f"{name}|energy"]
    assert expected.std() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("holding", [True, False])
@pytest.mark.parametrize("name", ["full parity", "allegro full parity"])
def test_averaged_weights_are_taken_wherever_they_are(tmp_path, name, holding):
    checkpoint = model(name)
    state = checkpoint["state_dict"]
    fixed = ("_rmax_recip", "scales", "shifts", "w3j", "atomic_numbers", "_qqr2exesquare")
    if name.startswith("allegro"):
        fixed += ("bessel_weights",)
    trained = [key for key in state if state[key].numel() and not key.endswith(fixed)]
    for index, key in enumerate(trained):
        state[f"ema.ema_weight_{index}"] = state[key] if holding else state[key] + 1.0
        if holding:
            state[key] = state[key] + 1.0
    state["ema._extra_state"] = {"decay": 0.999, "is_holding_ema_weights": holding}
    found = energies_with_constants(save(tmp_path, checkpoint))
    np.testing.assert_allclose(found, VALUES[f"{name}|energy"], rtol=0, atol=1e-13)


def test_hidden_layers_that_are_not_described_are_those_of_the_weights(tmp_path):
    checkpoint = model("full parity")
    for name in ("radial_mlp_depth", "radial_mlp_width"):
        del checkpoint["hyper_parameters"]["model"][name]
    found = energies_with_constants(save(tmp_path, checkpoint))
    np.testing.assert_allclose(found, VALUES["full parity|energy"], rtol=0, atol=1e-13)


def test_modifiers_that_only_make_it_fast_change_nothing(tmp_path):
    checkpoint = model("full parity")
    inner = checkpoint["hyper_parameters"]["model"]
    modifiers = [{"modifier": "enable_OpenEquivariance"}]
    wrapped = {"_target_": "nequip.model.modify", "modifiers": modifiers, "model": inner}
    checkpoint["hyper_parameters"]["model"] = wrapped
    found = energies_with_constants(save(tmp_path, checkpoint))
    np.testing.assert_allclose(found, VALUES["full parity|energy"], rtol=0, atol=1e-13)
    modifiers[0]["modifier"] = "twist"
    with pytest.raises(UnsupportedModelError, match="modifier 'twist'"):
        read_checkpoint(save(tmp_path, checkpoint))


@pytest.mark.parametrize("name", ["full parity", "allegro full parity"])
def test_some_elements_may_be_taken(tmp_path, name):
    path = save(tmp_path, model(name))
    whole, some = import_model(path), import_model(path, Choice(elements=("Si", "O")))
    assert some.network.species == ["Si", "O"]
    assert list(some.suggested["atomic_energies"].items()) == [("Si", 3.5), ("O", -1.0)]
    species = np.array([[2, 0][s % 2] for s in VALUES["species"]])
    found = energies(some.network, np.array([{2: 0, 0: 1}[s] for s in species]))
    np.testing.assert_allclose(found, energies(whole.network, species), rtol=0, atol=1e-14)
    with pytest.raises(UnsupportedModelError, match="elements C, expected some of O H Si"):
        import_model(path, Choice(elements=("C",)))
    with pytest.raises(UnsupportedModelError, match="--head a: such a model has one head"):
        import_model(path, Choice(head="a"))


REFERENCES = [
    "nequip-les_water_r4.5_nl3_l1__dimer",
    "nequip-les_water_r4.5_nl3_l1__liquid64_rattled",
    "nequip-les_water_r4.5_nl3_l1__liquid64_triclinic",
    "nequip-les_dipeptides_r4_nl3_l1__dipeptide0",
    "nequip-les_dipeptides_r4_nl3_l1__dipeptide17",
    "allegro-les_water_trained_here__dimer",
    "allegro-les_water_trained_here__liquid64_rattled",
]


@pytest.mark.parametrize("name", REFERENCES)
def test_exported_file_gives_the_values_of_the_original_code(shared, tmp_path, name):
    reference = np.load(shared / "reference" / "hosts" / f"{name}.npz")
    source = shared / "checkpoints" / f"{name.partition('__')[0]}.ckpt"
    path = tmp_path / "model.pt"
    epsilon_inf = float(reference["epsilon_inf"])
    export_model(source, path, dtype="float64", epsilon_inf=epsilon_inf, charge_sign=[1.0])
    periodic = bool(reference["pbc"].all())
    cell = reference["cell"] if periodic else None
    atoms = Atoms(reference["numbers"], reference["positions"], cell=cell, pbc=periodic)

    def compare(name: str, expected: np.ndarray, tolerance: float, found: Any = None) -> None:
        found = atoms.calc.get_property(name, atoms) if found is None else found
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)

    for form, key in (("local", "bec_k0"), ("phase", "bec")):
        atoms.calc = LesCalculator(path, bec=form)
        compare("born_effective_charges", reference[key], 1e-8)
    compare("energy", reference["energy_with_e0"], 1e-9)
    compare("forces", reference["forces"], 1e-9)
    compare("charges", reference["latent_charge"][:, 0], 1e-9)
    if periodic:
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress())
        compare("stress", reference["stress"], 1e-10, stress)


def test_what_the_file_does_not_say_is_noted(shared):
    imported = read_checkpoint(shared / "checkpoints" / "nequip-les_water_r4.5_nl3_l1.ckpt")
    assert imported.metadata["long_range"] == {
        "sigma": 1.0,
        "dl": 2.0,
        "norm": 90.0474,
        "remove_self": True,
        "self_factor": 1.0,
    }
    assert imported.metadata["provenance"]["version"] == "0.7.0"
    assert imported.suggested == {"atomic_energies": dict.fromkeys(["H", "O"], -4.877335431303888)}
    assert imported.notes == [
        "the tensors of this model have no parity: a molecule and its mirror image may differ in "
        "energy",
        "not said in the file, taken as that of nequip 0.7.0: norm = 90.0474",
        "not said in the file, taken as the les library has it: remove_self_interaction = True",
    ]
    imported = read_checkpoint(shared / "checkpoints" / "allegro-les_water_trained_here.ckpt")
    assert imported.metadata["long_range"]["norm"] == 90.4756
    assert imported.notes == [
        "not said in the file, taken as that of nequip 0.19.1: norm = 90.4756"
    ]


def test_a_norm_that_the_version_does_not_settle_is_warned_of_and_can_be_given(shared, tmp_path):
    checkpoint = load_pickle(shared / "checkpoints" / "allegro-les_water_trained_here.ckpt")
    checkpoint["hyper_parameters"]["info_dict"]["versions"]["nequip"] = "0.14.0"
    path = save(tmp_path, checkpoint)
    imported = read_checkpoint(path)
    (note,) = [note for note in imported.notes if note.startswith("warning: ")]
    assert "until spring 2026 had 90.0474" in note
    assert "--norm" in note
    imported = read_checkpoint(path, Choice(norm=90.0474))
    assert imported.metadata["long_range"]["norm"] == 90.0474
    assert not any("norm" in note for note in imported.notes)


def test_wrappers_that_hold_each_other_end(shared, tmp_path):
    checkpoint = load_pickle(shared / "checkpoints" / "allegro-les_water_trained_here.ckpt")
    model = checkpoint["hyper_parameters"]["model"]
    model.update(_target_="nequip.model.modify", modifiers=[], model=model)
    with pytest.raises(UnsupportedModelError, match="more than 10 wrappers"):
        read_checkpoint(save(tmp_path, checkpoint))


@pytest.mark.parametrize("name", ["use_les", "remove_self_interaction", "remove_mean"])
def test_words_are_no_flags(shared, tmp_path, name):
    checkpoint = load_pickle(shared / "checkpoints" / "nequip-les_water_r4.5_nl3_l1.ckpt")
    model = checkpoint["hyper_parameters"]["model"]
    (model if name == "use_les" else model["les_args"])[name] = "no"
    with pytest.raises(UnsupportedModelError, match=f"{name} = 'no', expected a yes or no"):
        read_checkpoint(save(tmp_path, checkpoint))


def test_averaged_weights_that_are_missing_are_not_replaced_by_others(shared, tmp_path):
    checkpoint = load_pickle(shared / "checkpoints" / "nequip-les_water_r4.5_nl3_l1.ckpt")
    for name in [name for name in checkpoint["state_dict"] if "ema_weight" in name]:
        del checkpoint["state_dict"][name]
    with pytest.raises(UnsupportedModelError, match=r"averaged weights \(ema\).* are missing"):
        read_checkpoint(save(tmp_path, checkpoint))


def test_a_version_that_was_not_compared_is_noted(tmp_path):
    checkpoint = model("full parity")
    checkpoint["hyper_parameters"]["info_dict"]["versions"]["nequip"] = "0.6.2"
    [note] = read_checkpoint(save(tmp_path, checkpoint)).notes
    assert note.startswith(
        "the model is of nequip 0.6.2, this reader was compared with 0.7.0 and 0.12"
    )


FUNC = "model.sole_model.model.func."


def arguments(**changes: Any):
    return lambda checkpoint: checkpoint["hyper_parameters"]["model"].update(changes)


def without(name: str):
    return lambda checkpoint: checkpoint["hyper_parameters"]["model"].pop(name)


def weights(name: str, value: Any):
    return lambda checkpoint: checkpoint["state_dict"].update({FUNC + name: value})


def removed(name: str):
    return lambda checkpoint: checkpoint["state_dict"].pop(FUNC + name)


def averages(checkpoint: dict[str, Any]) -> None:
    checkpoint["state_dict"]["ema.ema_weight_0"] = torch.ones(3)
    checkpoint["state_dict"]["ema._extra_state"] = {"is_holding_ema_weights": True}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("full parity", arguments(_target_="os.system"), "a model made by 'os.system'"),
        ("full parity", arguments(_target_="nequip.model.ModelFromPackage"), "export that file"),
        (
            "full parity",
            arguments(pair_potential={"_target_": "x"}),
            "pair_potential has _target_ = 'x'",
        ),
        ("no parity", arguments(pair_potential={**ZBL, "units": "real"}), "units = 'real'"),
        (
            "full parity",
            weights("pair_potential._qqr2exesquare", torch.tensor(166.0)),
            "pair_potential has the factor 166",
        ),
        ("full parity", arguments(per_edge_type_cutoff={"H": 2.0}), "per_edge_type_cutoff = {"),
        (
            "full parity",
            arguments(convnet_resnet=True),
            "convnet_resnet = True, supported is False",
        ),
        ("full parity", arguments(twist=1), "has twist = 1, which is not known here"),
        ("full parity", arguments(type_names=["A", "B", "C"]), "expected element symbols"),
        ("full parity", arguments(num_layers=10**9), "expected a whole number from 0 to 10000"),
        ("full parity", arguments(num_layers=11), "layers: expected a whole number from 1 to 10"),
        ("full parity", arguments(l_max=99), "expected a whole number from 0 to 6"),
        ("full parity", arguments(num_features="4"), "num_features = '4' with l_max = 2"),
        ("full parity", arguments(num_features=[4, 3, 3]), "has the shape"),
        ("full parity", arguments(r_max=4.0), "r_max = 4 is not the cutoff of the weights"),
        ("full parity", arguments(r_max=float("nan")), "r_max = nan, expected a number"),
        ("full parity", arguments(**LES), "0 charges of an atom in a model with a long-range sum"),
        ("full parity", arguments(use_les=True, les_args={"a": 1}), "0 charges of an atom"),
        ("full parity", without("r_max"), "has no 'r_max'"),
        ("full parity", weights("spin.weight", torch.ones(2)), "not known here: spin.weight"),
        ("full parity", removed("type_embed.embed_module.weight"), "no weights 'type_embed"),
        (
            "full parity",
            weights("layer0_convnet.conv.linear_1.weight", torch.full([25], torch.nan)),
            "linear_1.weight is not finite",
        ),
        ("full parity", averages, "averaged weights .ema. that do not belong to the weights"),
        ("full parity", lambda c: c["state_dict"].clear(), "0 models in one checkpoint"),
        ("full parity", lambda c: c.pop("state_dict"), "state_dict"),
        (
            "no parity",
            arguments(feature_irreps_hidden=["3x0e+2x1e+2x2e"] * 2 + ["3x0e+1x0o"]),
            "supported are those of NequIPGNNModel",
        ),
        ("no parity", arguments(radial_mlp_depth=[1, 2, 2]), "differ from layer to layer"),
        ("no parity", arguments(feature_irreps_hidden=["3y"] * 3), "expected irreps as in"),
        ("preset", arguments(preset="Q"), "preset 'Q', known are S, M, L, XL"),
        (
            "allegro full parity",
            arguments(radial_chemical_embed={"_target_": "allegro.nn.TwoBodySplineScalarEmbed"}),
            "supported is 'allegro.nn.TwoBodyBesselScalarEmbed'",
        ),
        ("allegro full parity", arguments(parity=False), "not the coupling of tensors|shape"),
        ("allegro full parity", arguments(num_layers=2), "shape"),
        (
            "allegro full parity",
            weights("allegro.tps.2.w3j", torch.ones(3, 9, 1)),
            "w3j is not the coupling of tensors that belongs to this model",
        ),
    ],
)
def test_what_cannot_be_reproduced_is_refused(tmp_path, name, change, message):
    checkpoint = model(name)
    change(checkpoint)
    with pytest.raises(UnsupportedModelError, match=message):
        import_model(save(tmp_path, checkpoint))


class Command:
    """Pickles as a call that leaves a trace."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("name", ["full parity", "allegro full parity"])
def test_damaged_and_hostile_files_are_refused(tmp_path, name):
    marker = tmp_path / "ran"
    hostile = model(name)
    hostile["state_dict"]["x"] = Command(marker)
    with pytest.raises(ValueError, match="nothing of it was run"):
        import_model(save(tmp_path, hostile))
    assert not marker.exists()

    content = save(tmp_path, model(name)).read_bytes()
    chance = np.random.default_rng(1)
    path = tmp_path / "damaged.ckpt"
    messages = []
    for n in range(10):
        if n % 2:
            damaged = content[: chance.integers(len(content))]
        else:
            changed = bytearray(content)
            changed[chance.integers(len(content) // 4, len(content) // 2)] ^= 0xFF
            damaged = bytes(changed)
        path.write_bytes(damaged)
        try:
            found = energies(import_model(path).network)
        except ValueError as error:
            messages.append(str(error))
            continue
        whole = import_model(tmp_path / "best.ckpt")  # what was damaged has no part in the model
        np.testing.assert_array_equal(found, energies(whole.network))
    assert len(messages) >= 8
    for message in messages:
        assert str(path) in message
        assert re.search("damaged|zip archive|not supported|no torch", message)


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ("model/package_metadata.txt", "a packaged model .nequip-package."),
        ("model/data/aotinductor/model/x.so", "a compiled model .nequip-compile."),
        ("model/extra/r_max", "a compiled model .nequip-compile."),
    ],
)
def test_files_with_code_are_refused_with_what_to_do(tmp_path, record, what):
    path = tmp_path / "water.nequip.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(record, "4.5")
    with pytest.raises(UnsupportedModelError, match=f"{what}.*export the checkpoint"):
        import_model(path)


def test_our_own_checkpoints_are_told_apart_by_what_they_hold(tmp_path):
    path = save(tmp_path, {"pytorch-lightning_version": "2.5", "state_dict": {}})
    with pytest.raises(ModelFileError, match="is a checkpoint of a training; export its run"):
        import_model(path)
