"""MACE models as checkpoints, against the values of their original code."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from lammps_les.calculators import LesCalculator
from lammps_les_export.adapters import EVERYTHING, Choice, UnsupportedModelError, mace
from lammps_les_export.convert import export_model, import_model
from lammps_les_export.unpickler import Stub, load_pickle

REFERENCES = [
    "mace-les_dipeptides_r4_nl2_l0__dimer",
    "mace-les_dipeptides_r4_nl2_l0__dipeptide0",
    "mace-les_dipeptides_r4_nl2_l0__dipeptide17",
    "mace-les_water_l1_zbl_trained_here__dimer",
    "mace-les_water_l1_zbl_trained_here__liquid64_rattled",
    "mace-les_water_r4.5_nl1__dimer",
    "mace-les_water_r4.5_nl1__liquid64_rattled",
    "mace-les_water_r4.5_nl2_l0__dimer",
    "mace-les_water_r4.5_nl2_l0__liquid64_rattled",
    "mace-les_water_r4.5_nl2_l0__liquid64_triclinic",
    "mace_water_r4.5_nl2_l0__liquid64_rattled",
]
WATER, DIPEPTIDES = "mace-les_water_l1_zbl_trained_here", "mace-les_dipeptides_r4_nl2_l0"


def checkpoint(shared: Path, name: str) -> Path:
    return shared / "checkpoints" / f"{name.partition('__')[0]}.model"


@pytest.mark.parametrize("name", REFERENCES)
def test_exported_file_gives_the_values_of_the_original_code(shared, tmp_path, name):
    reference = np.load(shared / "reference" / "hosts" / f"{name}.npz")
    path = tmp_path / "model.pt"
    charged = "latent_charge" in reference
    decided: dict[str, Any] = {}
    if charged:
        decided = {"charge_sign": [1.0], "epsilon_inf": float(reference["epsilon_inf"])}
    export_model(checkpoint(shared, name), path, dtype="float64", **decided)
    periodic = bool(reference["pbc"].all())
    cell = reference["cell"] if periodic else None
    atoms = Atoms(reference["numbers"], reference["positions"], cell=cell, pbc=periodic)
    # tables of couplings are rounded in the file, which makes them depend on the axes
    loose = 1e2 if name.endswith("triclinic") else 1.0

    def compare(name: str, expected: np.ndarray, tolerance: float, found: Any = None) -> None:
        found = atoms.calc.get_property(name, atoms) if found is None else found
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)

    for form, key in (("local", "bec_k0"), ("phase", "bec")):
        atoms.calc = LesCalculator(path, bec=form)
        if charged:
            compare("born_effective_charges", reference[key], 1e-8 * loose)
    compare("energy", reference["energy_with_e0"], 1e-9 * loose)
    compare("forces", reference["forces"], 1e-9 * loose)
    if charged:
        compare("charges", reference["latent_charge"][:, 0], 1e-9 * loose)
    if periodic:
        stress = voigt_6_to_full_3x3_stress(atoms.get_stress())
        compare("stress", reference["stress"], 1e-10 * loose, stress)


def test_what_the_file_says_of_the_long_range_sum(shared):
    published, present = (import_model(checkpoint(shared, n)) for n in (DIPEPTIDES, WATER))
    common = {"sigma": 1.0, "dl": 2.0, "self_factor": 1.0, "open_shift": 0.0}
    old, new = {"norm": 90.0474, "remove_self": False}, {"norm": 90.4756, "remove_self": True}
    assert published.metadata["long_range"] == {**common, **old}
    assert present.metadata["long_range"] == {**common, **new}
    for imported in (published, present):
        assert imported.metadata["charges"] == {"unit": 1.0}
        assert imported.metadata["response"] == {"remove_mean": True, "bec_form": "local"}
        assert imported.metadata["provenance"]["program"] == "mace-torch"
        assert imported.notes == []
    assert published.network.species == ["H", "C", "N", "O"]
    short_range = import_model(checkpoint(shared, "mace_water_r4.5_nl2_l0"))
    assert short_range.network.channels == 0


def test_chosen_elements_are_as_in_the_whole(shared):
    path = checkpoint(shared, DIPEPTIDES)
    whole, part = import_model(path), import_model(path, Choice(elements=("O", "H")))
    assert part.network.species == ["O", "H"]
    energies = [imported.suggested["atomic_energies"] for imported in (whole, part)]
    assert energies[1] == {symbol: energies[0][symbol] for symbol in ("O", "H")}
    vectors = torch.tensor([[0.9, 0.2, 0.1], [-0.9, -0.2, -0.1]], dtype=torch.float64)
    edge_index = torch.tensor([[0, 1], [1, 0]])
    found = [
        imported.network(
            vectors, edge_index, torch.tensor([imported.network.species.index(s) for s in "OH"]), 2
        )
        for imported in (whole, part)
    ]
    for key in ("energy", "charge"):
        torch.testing.assert_close(found[1][key], found[0][key], rtol=0, atol=1e-13)


def at(root: Stub, path: str) -> Any:
    """A part of a stored model."""
    for name in path.split(".") if path else []:
        root = root.state["_modules"][name]
    return root


def attribute(path: str, name: str, value: Any):
    return lambda root: at(root, path).state.update({name: value})


def buffer(path: str, name: str, change: Any):
    def apply(root: Stub) -> None:
        kinds = [at(root, path).state[kind] for kind in ("_buffers", "_parameters")]
        for place in kinds:
            if name in place:
                place[name] = change(place[name].detach())

    return apply


def kind(path: str, full_name: str):
    def apply(root: Stub) -> None:
        members = {"kind": full_name, "__slots__": ()}
        at(root, path).__class__ = type("Renamed", (Stub,), members)

    return apply


def part(path: str, name: str, full_name: str):
    def apply(root: Stub) -> None:
        members = {"kind": full_name, "__slots__": ()}
        at(root, path).state["_modules"][name] = type("Added", (Stub,), members)()

    return apply


BLOCKS, RADIAL = "mace.modules.blocks.", "mace.modules.radial."
NONLINEAR = f"{BLOCKS}RealAgnosticResidualNonLinearInteractionBlock"
CONTRACTION = "products.0.symmetric_contractions.contractions.1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (kind("", "mace.modules.extensions.PolarMACE"), "holds a mace.modules.extensions.PolarM"),
        (kind("interactions.1", NONLINEAR), f"interactions.1 is a {NONLINEAR}; supported: RealAg"),
        (kind("interactions.1", f"{BLOCKS}RealAgnosticDensityResidualInteractionBlock"), "differ"),
        (attribute("interactions.1", "edge_irreps", "8x0e"), "edge_irreps of their own"),
        (attribute("interactions.1", "avg_num_neighbors", 3.0), "differ in radial_MLP or neigh"),
        (part("", "joint_embedding", "mace.modules.embeddings.X"), "the part joint_embedding .mac"),
        (attribute("", "use_dipoles", True), "a model with use_dipoles = True, which has no"),
        (attribute("", "use_so3", True), "use_so3 = True"),
        (attribute("products.0", "use_agnostic_product", True), "use_agnostic_product = True"),
        (attribute("les", "use_atomic_alpha", True), "use_atomic_alpha = True, supported is False"),
        (
            kind("readouts.1", f"{BLOCKS}NonLinearBiasReadoutBlock"),
            "readouts.1 .*BiasReadoutBlock; .*: L",
        ),
        (
            lambda root: at(root, "les_readouts").state["_modules"].pop("1"),
            "readouts .* that differ",
        ),
        (
            kind("radial_embedding.bessel_fn", f"{RADIAL}ChebychevBasis"),
            "bessel_fn is a mace.modules.radial.ChebychevBasis; supported: BesselBasis, Gaussian",
        ),
        (
            part("radial_embedding", "distance_transform", f"{RADIAL}TanhTransform"),
            "distance_transform is a .*TanhTransform; supported: AgnesiTransform, SoftTransform",
        ),
        (attribute("radial_embedding", "apply_cutoff", False), "apply_cutoff = False, supported"),
        (attribute("spherical_harmonics", "normalization", "norm"), "normalization = 'norm'"),
        (
            kind("pair_repulsion_fn", f"{RADIAL}Morse"),
            "pair_repulsion_fn is a mace.modules.radial.Morse",
        ),
        (buffer("pair_repulsion_fn", "p", lambda p: p + 1), "the cutoff power 6, .* with 5"),
        (
            kind("interactions.0.conv_tp_weights.layer0.act", "e3nn.nn._activation.Other"),
            "layer0.act is a e3nn.nn._activation.Other; supported: normalize2mom",
        ),
        (
            kind("interactions.0.linear_up", "cuequivariance.Linear"),
            "linear_up is a cuequivariance",
        ),
        (buffer(CONTRACTION, "U_matrix_2", lambda u: u + 0.1), "coupling table of degree 2"),
        (buffer(CONTRACTION, "weights_max", lambda w: w[:, 1:]), "weights that do not fit"),
        (buffer("node_embedding.linear", "weight", lambda w: w / 0.0), "embedding is not finite"),
        (buffer("", "r_max", lambda r: r * 1e3), "r_max = .*, supported is 4500"),
        (attribute("", "heads", ["a", "b"]), "the model has the heads a, b; choose one with --he"),
        (lambda root: root.state["_modules"].pop("interactions"), "interactions"),
    ],
)
def test_what_cannot_be_reproduced_is_refused_by_name(shared, change, message):
    root = load_pickle(checkpoint(shared, WATER))
    change(root)
    with pytest.raises((UnsupportedModelError, KeyError), match=message):
        mace.read(root, EVERYTHING)


@pytest.mark.parametrize(
    "head", ["u", "quad_2e", "quad_1o", "kappa", "alpha", "alpha_1o", "alpha_2e"]
)
def test_heads_of_other_latents_than_charges_are_refused_by_name(shared, head):
    root = load_pickle(checkpoint(shared, WATER))
    name = f"les_{head}_readouts"
    part("", name, "torch.nn.modules.container.ModuleList")(root)
    at(root, name).state["_modules"] = {"0": at(root, "readouts.0")}
    with pytest.raises(UnsupportedModelError, match=f"has the part {name} "):
        mace.read(root, EVERYTHING)


def test_settings_of_heads_that_are_not_there(shared):
    """As newer files of charges alone have them: lists without a readout, and scales."""
    root = load_pickle(checkpoint(shared, WATER))
    expected = mace.read(root, EVERYTHING).network.state_dict()
    for head in ("u", "quad_2e", "quad_1o", "kappa", "alpha", "alpha_1o", "alpha_2e"):
        part("", f"les_{head}_readouts", "torch.nn.modules.container.ModuleList")(root)
    settings = {"alpha_irreps": "0e+1o+2e", "alpha_1o_linear_w_pos": True, "les_kappa_scale": 0.01}
    settings |= {"les_alpha_scale": 0.01, "make_alpha_positive": True, "use_dipoles": False}
    for name, value in settings.items():
        attribute("", name, value)(root)
    found = mace.read(root, EVERYTHING).network.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(head="pbe"), "the model has no head pbe, but Default"),
        (Choice(elements=("H", "Fe", "Au")), "the model has no Fe, Au, but H, O"),
        (Choice(elements=()), "elements"),
        (Choice(elements=("H", "H")), "each element once"),
    ],
)
def test_a_choice_that_a_file_does_not_have_is_refused(shared, choice, message):
    with pytest.raises(UnsupportedModelError, match=message):
        import_model(checkpoint(shared, WATER), choice)


class Command:
    """Pickles as a call that leaves a trace."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def test_damaged_and_hostile_files_are_refused_and_nothing_of_them_runs(shared, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "hostile.model"
    torch.save({"model": Command(marker)}, path)
    with pytest.raises(ValueError, match="nothing of it was run"):
        import_model(path)
    assert not marker.exists()

    content = checkpoint(shared, DIPEPTIDES).read_bytes()
    chance = np.random.default_rng(1)
    for n in range(10):
        if n % 2:
            damaged = content[: chance.integers(len(content))]
        else:
            changed = bytearray(content)
            changed[chance.integers(len(content) // 4, len(content) // 2)] ^= 0xFF
            damaged = bytes(changed)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged|zip archive|holds no torch") as error:
            import_model(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("file", "model", "licence"),
    [
        ("2023-12-03-mace-128-L1_epoch-199.model", "MACE-MP-0a", "MIT"),
        ("mace-mpa-0-medium.model", "MACE-MPA-0", "MIT"),
        ("mace-omat-0-medium.model", "MACE-OMAT-0", "ASL"),
        ("MACE-OFF23_small.model", "MACE-OFF", "ASL"),
        ("maceomat0mediummodel", "MACE-OMAT-0", "ASL"),
        ("MACEOFF23_mediummodelrawtrue", "MACE-OFF", "ASL"),
        ("20231203mace128L1_epoch199model", "MACE-MP-0a", "MIT"),
        ("macemp0b3mediummodel", "MACE-MP-0b3", "MIT"),
        ("mace_agnesi_mediummodel", "MACE-MP-0b", "MIT"),
        ("mace-les_water_r4.5_nl1.model", None, None),
    ],
)
def test_foundation_models_are_known_by_their_file_names(shared, tmp_path, file, model, licence):
    path = tmp_path / file
    path.write_bytes((shared / "checkpoints" / "mace_water_r4.5_nl2_l0.model").read_bytes())
    provenance = import_model(path).metadata["provenance"]
    assert provenance["source"] == file
    assert provenance.get("model") == model
    if licence is not None:
        assert licence in provenance["licence"]
    else:
        assert provenance["licence"] == "not stated in the file"
