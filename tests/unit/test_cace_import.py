"""Published CACE checkpoints against the values of their original code.

Each reference file holds a structure with energy, forces and latent charges, made in float64 with
the package cace (or cace with les) that wrote the checkpoint.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase.data import chemical_symbols
from generate import imported_metadata

from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import Latents, LongRangeParameters, long_range_energy
from lammps_les_export import adapters
from lammps_les_export.adapters import UnsupportedModelError, cace, read_checkpoint
from lammps_les_export.unpickler import Stub, load_pickle

REFERENCES = [
    "cace-les_dipeptides_r5.5_nu2__dipeptide0",
    "cace-les_water_r4.5_nu3__liquid64",
    "cace-lr_pbtio3__cubic333",
    "cace-lr_random_charge_c5__ions64",
    "cace-lr_superionic_2gcc_finetuned__s2cc_0",
    "cace-lr_superionic_ef__s2cc_0",
    "cace-lr_water_4channels_mp1__liquid64",
    "cace-lr_water_v1__liquid64",
    "cace-lr_water_v2__dimer",
    "cace-lr_water_v2__liquid64",
    "cace-lr_water_v2__liquid64_triclinic",
    "cace-lr_water_v2__molecule",
]


def checkpoint(shared: Path, name: str) -> Path:
    return shared / "checkpoints" / f"{name.split('__')[0]}.pth"


@pytest.mark.parametrize("name", REFERENCES)
def test_reference(shared, name):
    reference = np.load(shared / "reference" / f"{name}.npz")
    imported = read_checkpoint(checkpoint(shared, name))
    network, metadata = imported.network, imported.metadata
    cell, periodic = reference["cell"], bool(reference["pbc"].all())
    positions = torch.tensor(reference["positions"], requires_grad=True)
    n_atoms = len(positions)
    edge_index, shifts = neighbor_list(reference["positions"], cell, periodic, network.cutoff)
    vectors = positions[edge_index[1]] - positions[edge_index[0]] + shifts @ torch.tensor(cell)
    symbols = [chemical_symbols[z] for z in reference["numbers"]]
    species = torch.tensor([network.species.index(symbol) for symbol in symbols])

    out = network(vectors, edge_index, species, n_atoms)
    parameters = LongRangeParameters(**metadata["long_range"])
    long_range = long_range_energy(
        positions, Latents(out["charge"]), torch.tensor(cell), periodic, parameters
    )
    energy = out["energy"].sum() + long_range
    (gradient,) = torch.autograd.grad(energy, positions)

    assert out["charge"].shape == (n_atoms, network.channels)
    assert abs(energy.item() - reference["energy"]) <= 1e-7 * n_atoms
    np.testing.assert_allclose(-gradient.numpy(), reference["forces"], rtol=0, atol=1e-6)
    if "energy_sr" in reference:
        short_range = out["energy"].sum().item()
        assert abs(short_range - reference["energy_sr"]) <= 1e-7 * n_atoms
        assert abs(long_range.item() - reference["energy_lr"]) <= 1e-7 * n_atoms
    if "latent_charge" in reference:
        charge = out["charge"].detach().numpy()
        np.testing.assert_allclose(charge, reference["latent_charge"], rtol=0, atol=1e-8)


COMMON = {"sigma": 1.0, "dl": 2.0, "remove_mean": True, "self_factor": 1.0, "channels": 1}
LR = {**COMMON, "norm": 1.0, "unit": 1 / 9.48933, "remove_self": False}
LES = {**COMMON, "norm": 90.0474, "unit": 1.0, "remove_self": True}
WATER = ["H", "O"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cace-les_dipeptides_r5.5_nu2", {**LES, "cutoff": 5.5, "species": ["H", "C", "N", "O"]}),
        ("cace-les_water_r4.5_nu3", {**LES, "cutoff": 4.5, "species": WATER, "layers": 1}),
        ("cace-lr_pbtio3", {**LR, "cutoff": 6.0, "species": ["O", "Pb", "Ti"], "layers": 2}),
        ("cace-lr_random_charge_c5", {**LR, "cutoff": 5.0, "species": ["H", "He"], "dl": 1.0}),
        ("cace-lr_superionic_2gcc_finetuned", {**LR, "cutoff": 3.5, "layers": 2}),
        ("cace-lr_superionic_ef", {**LR, "cutoff": 3.5, "layers": 2}),
        # the file weights its long-range energy by 0.01
        (
            "cace-lr_water_4channels_mp1",
            {**LR, "channels": 4, "norm": 0.01, "unit": 0.1 / 9.48933, "layers": 2},
        ),
        ("cace-lr_water_v1", {**LR, "cutoff": 5.5, "layers": 1}),
        ("cace-lr_water_v2", {**LR, "cutoff": 4.5, "layers": 1}),
    ],
)
def test_metadata(shared, name, expected):
    imported = read_checkpoint(checkpoint(shared, name))
    sections = imported_metadata(imported, "float64").values()
    stated = {k: v for section in sections if isinstance(section, dict) for k, v in section.items()}
    found = {key: stated[key] for key in expected}
    assert found == {**expected, "unit": pytest.approx(expected["unit"], rel=1e-12)}
    assert imported.metadata["provenance"]["source"] == f"{name}.pth"
    assert len(imported.metadata["provenance"]["sha256"]) == 64
    assert {p.dtype for p in imported.network.parameters()} == {torch.float64}
    # equal environments in the two potentials of a sum are computed once
    assert imported.network.charge_representation is None


@pytest.mark.parametrize("periodic", [True, False])
def test_form_of_a_model_that_gives_its_own_polarization(periodic):
    """exp(i k.r) of the smallest k where it is periodic, else the dipole."""
    kind = "cace.modules.polarization.Polarization"
    polarization = type("Polarization", (Stub,), {"kind": kind, "__slots__": ()})()
    attributes = {"charge_key": "q", "remove_mean": True, "pbc": periodic}
    polarization.__setstate__({**attributes, "normalization_factor": 1.0})
    readout = type("Atomwise", (Stub,), {"kind": "", "__slots__": ()})()
    readout.__setstate__({"n_out": 1})
    settings = {"charges": {"unit": 1.0}, "response": {"bec_form": "local"}}
    found = cace._LongRange(settings, readout, readout, "q", "cace-lr", {})
    assert cace._suggestions([], found) == {}
    assert settings["response"]["bec_form"] == "local"
    cace._suggestions([polarization], found)
    assert settings["response"]["bec_form"] == ("phase" if periodic else "local")


def test_only_the_fine_tuned_checkpoint_has_the_phase_form(shared):
    forms = {
        path.stem: read_checkpoint(path).metadata["response"]["bec_form"]
        for path in (shared / "checkpoints").glob("cace-*.pth")
    }
    assert [name for name, form in forms.items() if form == "phase"] == [
        "cace-lr_superionic_2gcc_finetuned"
    ]
    assert len(forms) == 9


def test_sign_and_dielectric_constant_of_a_fine_tuned_model(shared):
    imported = read_checkpoint(checkpoint(shared, "cace-lr_superionic_2gcc_finetuned"))
    assert imported.suggested["charge_sign"] == [-1.0]
    assert imported.suggested["epsilon_inf"] == pytest.approx(3.1, rel=1e-12)
    assert read_checkpoint(checkpoint(shared, "cace-lr_superionic_ef")).suggested == {}


def stub(kind: str) -> type[Stub]:
    return type(kind.rpartition(".")[2], (Stub,), {"kind": kind, "__slots__": ()})


def named(root: Stub, kind: str, index: int = 0) -> Stub:
    """One of the modules below ``root`` whose kind ends with ``kind``."""
    found = []
    waiting = [root]
    while waiting:
        module = waiting.pop(0)
        if isinstance(module, Stub):
            found += [module] if module.kind.endswith(kind) else []
            waiting += module.children()
    return found[index]


def relabel(kind: str, new: str):
    """Make a module another class."""

    def change(root):
        waiting = [root]
        while waiting:
            module = waiting.pop(0)
            children = module.state.get("_modules") or {}
            for key, child in children.items():
                if isinstance(child, Stub) and child.kind.endswith(kind):
                    replacement = stub(child.kind.rpartition(".")[0] + "." + new)()
                    replacement.__setstate__(child.state)
                    children[key] = child = replacement
                if isinstance(child, Stub):
                    waiting.append(child)

    return change


def setting(kind: str, key: str, value, index: int = 0):
    """Give an attribute of a module another value."""

    def change(root):
        named(root, kind, index).state[key] = value

    return change


def missing(kind: str, key: str):
    """Take an attribute away."""

    def change(root):
        module = named(root, kind)
        for place in (module.state, module.state["_modules"]):
            place.pop(key, None)

    return change


def short_range_only(root):
    """Leave the charges out of the energy, and everything that makes them."""
    modules = root.get("output_modules").state["_modules"]
    named(root, ".FeatureAdd").state["feature_keys"] = ["SR_energy"]
    for key in [k for k, m in modules.items() if m.kind.endswith("EwaldPotential")]:
        del modules[key]
    del modules["1"]


def without_term(root):
    named(root, ".FeatureAdd").state["feature_keys"] = ["SR_energy"]


def altered_product(root):
    table = named(root, ".Symmetrizer").state["vec_dict_allnu"]
    first, second, weight = table[2][2][1]
    table[2][2][1] = (first, second, weight + 1)


def silu_replaced(root):
    named(root, ".Dense").state["activation"] = stub("torch.nn.functional.relu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (silu_replaced, "torch.nn.functional.relu"),
        (relabel(".BesselRBF", "GaussianRBF"), "radial basis .*GaussianRBF"),
        (relabel(".PolynomialCutoff", "CosineCutoff"), "cutoff function .*CosineCutoff"),
        (relabel(".EdgeEncoder", "EdgeEncoder_InterIntra"), "edge encoder"),
        (relabel(".NodeEncoder", "ElementEncoder"), "element encoder"),
        (relabel(".AngularComponent", "AngularComponent_GPU"), "angular basis"),
        (relabel(".Symmetrizer", "Symmetrizer_Tensor"), "symmetrizer"),
        (relabel(".Cace", "Other"), "representation .*Other"),
        (relabel(".Forces", "FixedCharge"), "FixedCharge"),
        (relabel(".Atomwise", "TensorReadout"), r"output module .*\.TensorReadout"),
        (relabel(".Dense", "ResidualBlock"), "layer .*ResidualBlock"),
        (relabel(".Preprocess", "Shift"), "input module"),
        (setting(".Cace", "charge_spin_key", "charge"), "charge_spin_key = 'charge'"),
        (setting(".EdgeEncoder", "directed", False), "directed = False"),
        (setting(".PolynomialCutoff", "_buffers", {"p": 5.5, "cutoff": 4.5}), "order 5.5"),
        (setting(".Cace", "cutoff", 5.0), "another cutoff than 5.0"),
        (setting(".Cace", "zs", [8, 1]), "disagree"),
        (setting(".Atomwise", "aggregation_mode", "avg"), "aggregation_mode = 'avg'"),
        (setting(".Atomwise", "feature_key", ["node_feats", "other"]), "other features"),
        (setting(".Atomwise", "post_process", "exp"), "post_process"),
        (setting(".Atomwise", "residual", True), "residual = True"),
        (setting(".Atomwise", "n_out", 2), "n_out = 2"),
        (missing(".EwaldPotential", "norm_factor"), "no attribute 'norm_factor'"),
        (missing(".Atomwise", "outnet"), "no attribute 'outnet'"),
        (setting(".Dense", "use_batchnorm", True), "use_batchnorm = True"),
        (setting(".EwaldPotential", "exponent", 6), "exponent = 6"),
        (setting(".EwaldPotential", "external_field", 0.1), "external_field = 0.1"),
        (setting(".EwaldPotential", "charge_neutral_lambda", 1.0), "charge_neutral_lambda"),
        (setting(".EwaldPotential", "aggregation_mode", None), "aggregation_mode = None"),
        (setting(".EwaldPotential", "feature_key", "charge"), "no readout gives"),
        (setting(".EwaldPotential", "k_sq_max", 1.0), "k_sq_max"),
        (setting(".EwaldPotential", "norm_factor", 3.0), "norm 3.0"),
        (setting(".FeatureAdd", "feature_keys", ["SR_energy", "x"]), "'x', which no known module"),
        (without_term, "also computes"),
        (altered_product, "products of 2 factors"),
    ],
)
def test_what_is_not_understood_is_refused(shared, monkeypatch, change, reason):
    path = checkpoint(shared, "cace-lr_water_v2")
    root = load_pickle(path)
    change(root)
    monkeypatch.setattr(adapters, "load_pickle", lambda _: root)
    with pytest.raises(UnsupportedModelError, match=reason):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (relabel(".NodeMemory", "MessageBA"), "message .*MessageBA"),
        (setting(".MessageBchi", "residual", True), "residual = True"),
    ],
)
def test_unknown_messages_are_refused(shared, monkeypatch, change, reason):
    path = checkpoint(shared, "cace-lr_pbtio3")
    root = load_pickle(path)
    change(root)
    monkeypatch.setattr(adapters, "load_pickle", lambda _: root)
    with pytest.raises(UnsupportedModelError, match=reason):
        read_checkpoint(path)


@pytest.mark.parametrize(
    "name", ["use_fixed_atomic_charges", "use_atomic_alpha", "use_epsilon_r_scaling"]
)
def test_unknown_charges_of_les_are_refused(shared, monkeypatch, name):
    path = checkpoint(shared, "cace-les_water_r4.5_nu3")
    root = load_pickle(path)
    named(root, ".Les").state[name] = True
    monkeypatch.setattr(adapters, "load_pickle", lambda _: root)
    with pytest.raises(UnsupportedModelError, match=name):
        read_checkpoint(path)


def test_a_model_without_charges(shared, monkeypatch):
    path = checkpoint(shared, "cace-lr_water_v2")
    full = read_checkpoint(path).network
    root = load_pickle(path)
    short_range_only(root)
    monkeypatch.setattr(adapters, "load_pickle", lambda _: root)
    imported = read_checkpoint(path)
    assert imported.network.channels == 0
    assert imported_metadata(imported, "float64")["latents"] == []
    for key, weight in imported.network.state_dict().items():
        assert torch.equal(weight, full.state_dict()[key])


def test_removed_self_interaction_counts_once_per_channel_of_cace(shared, monkeypatch):
    path = checkpoint(shared, "cace-lr_water_4channels_mp1")
    root = load_pickle(path)
    named(root, ".EwaldPotential").state["remove_self_interaction"] = True
    monkeypatch.setattr(adapters, "load_pickle", lambda _: root)
    long_range = read_checkpoint(path).metadata["long_range"]
    assert long_range["remove_self"] is True
    assert long_range["self_factor"] == 4.0


def varied(module: Stub, **modules_or_weights) -> Stub:
    """A copy of a module with other children or parameters."""
    copy = stub(module.kind)()
    state = dict(module.state)
    for place in ("_modules", "_parameters"):
        state[place] = {k: modules_or_weights.get(k, v) for k, v in state[place].items()}
    copy.__setstate__(state)
    return copy


def test_different_environments_stay_two(shared, monkeypatch):
    path = checkpoint(shared, "cace-lr_random_charge_c5")
    root = load_pickle(path)
    potential = root.get("models").children()[1]
    representation = potential.get("representation")
    basis = representation.get("radial_basis")
    basis = varied(basis, bessel_weights=basis.get("bessel_weights") + 0.01)
    potential.state["_modules"]["representation"] = varied(representation, radial_basis=basis)
    one = read_checkpoint(path).network
    monkeypatch.setattr(adapters, "load_pickle", lambda _: root)
    two = read_checkpoint(path).network
    assert two.charge_representation is not None

    torch.manual_seed(0)
    vectors = torch.randn(6, 3, dtype=torch.float64)
    edges = (
        vectors,
        torch.tensor([[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]]),
        torch.tensor([0, 1, 1]),
        3,
    )
    assert torch.equal(two(*edges)["energy"], one(*edges)["energy"])
    assert (two(*edges)["charge"] - one(*edges)["charge"]).abs().min() > 1e-3
    two.charge_representation.radial.frequencies.data -= 0.01
    torch.testing.assert_close(two(*edges)["charge"], one(*edges)["charge"], rtol=1e-5, atol=1e-5)


def test_a_module_that_is_no_cace_model_is_refused(tmp_path):
    path = tmp_path / "model.pth"
    torch.save({"weights": torch.ones(2)}, path)
    with pytest.raises(UnsupportedModelError, match="holds a dict"):
        read_checkpoint(path)
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(UnsupportedModelError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(path)
