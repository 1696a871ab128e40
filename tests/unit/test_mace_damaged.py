"""MACE files that are valid archives with content that is damaged, forged or contradicts itself."""

import pytest
import torch
from test_mace_import import CONTRACTION, WATER, at, attribute, buffer, checkpoint, kind, part

from lammps_les_export import adapters
from lammps_les_export.adapters import UnsupportedModelError, read_checkpoint
from lammps_les_export.unpickler import load_pickle

FIRST = CONTRACTION[:-1] + "0"
EMBEDDING, SKIP = "node_embedding.linear", "interactions.1.skip_tp"
LINEAR = "torch.nn.modules.linear.Linear"


def more_factors(root):
    """Products of six factors, which would take minutes."""
    at(root, FIRST).state["correlation"] = 6
    lower = at(root, f"{FIRST}.weights").state["_parameters"]
    lower |= {str(index): lower["1"] for index in range(2, 5)}


TO_L_20 = "+".join(f"1x{l}{'eo'[l % 2]}" for l in range(21))
WRONG_WEIGHTS = [
    (buffer(EMBEDDING, "weight", lambda _: torch.zeros(3)), "node_embedding: .*weight of 3 num"),
    (buffer(EMBEDDING, "weight", lambda w: w[:0]), "node_embedding: .*weight of 0 numbers"),
    (buffer(EMBEDDING, "weight", lambda w: torch.cat([w, w])), "node_embedding: .*of 64 numbers"),
    (buffer(EMBEDDING, "weight", lambda w: w.long()), "node_embedding: .*weight .* int64.*real"),
    (buffer(EMBEDDING, "weight", lambda w: w > 0), "weight .* bool.* real"),
    (buffer(EMBEDDING, "weight", lambda w: w * 1j), "weight .* complex64.* real"),
    (buffer(EMBEDDING, "weight", lambda w: w.tolist()), "weight .*list.* real"),
    (buffer("interactions.0.linear", "weight", lambda w: w * float("nan")), "linear is not finite"),
    (buffer(SKIP, "weight", lambda w: w[:-1]), "interactions.1: .*weight of 511 numbers"),
    (
        buffer("interactions.0.conv_tp_weights.layer1", "weight", lambda w: w.flatten()),
        "interactions.0: .*of shape .1024.",
    ),
    (buffer(CONTRACTION, "U_matrix_2", lambda u: u[..., 0]), "products.0: U_matrix_2 .* of shape"),
    (buffer(CONTRACTION, "U_matrix_3", lambda u: u[:0]), "products.0: U_matrix_3 .* of shape"),
    (buffer(CONTRACTION, "weights_max", lambda w: w[0]), "products.0: weights_max .* of shape"),
    (buffer(CONTRACTION, "weights_max", lambda w: w[:1]), "products.0: weights_max .* of shape"),
    (buffer(f"{CONTRACTION}.weights", "1", lambda w: w[0]), "products.0: weights.1 .* of shape"),
    (
        lambda root: at(root, f"{CONTRACTION}.weights").state["_parameters"].pop("1"),
        "products.0: weights of 2 degrees, correlation 3",
    ),
    (buffer("pair_repulsion_fn", "covalent_radii", lambda r: r[:5]), "pair_repulsion_fn: coval"),
    (buffer("pair_repulsion_fn", "p", lambda p: p + 0.5), "p = 5.5, expected a whole number"),
    (buffer("radial_embedding.cutoff_fn", "p", lambda p: p + 0.5), "p = 5.5, .* whole number"),
    (buffer("radial_embedding.bessel_fn", "bessel_weights", lambda w: w[:3]), "do not fit: radial"),
    (buffer("atomic_energies_fn", "atomic_energies", lambda e: e[:1]), "atomic energies of shape"),
    (buffer("atomic_energies_fn", "atomic_energies", lambda e: e / 0), "atomic energies .*finite"),
    (buffer("scale_shift", "scale", lambda s: s.repeat(3)), "scale_shift: 3 numbers for 1 heads"),
    (buffer("scale_shift", "scale", lambda s: s * float("inf")), "scale"),
    (buffer("readouts.0.linear", "weight", lambda w: w[:7]), "readouts.0: .*weight of 7 numbers"),
]
WRONG_KINDS = [
    (kind(place, LINEAR), f"{place} is a {LINEAR}; supported")
    for place in (
        *("scale_shift", "les", "les.bec", "les.ewald", "atomic_energies_fn", "node_embedding"),
        *("spherical_harmonics", "radial_embedding.cutoff_fn", "products.0.symmetric_contractions"),
        *("readouts.1.non_linearity", "interactions", "interactions.1.reshape", CONTRACTION),
    )
]
MORE_PARTS = [
    (part(place, "more", LINEAR), rf"{place} has the part more \({LINEAR}\), which has no count")
    for place in (
        "interactions.0",
        "products.1",
        "radial_embedding",
        "les",
        "readouts.1",
        EMBEDDING,
    )
]
CONTRADICTIONS = [
    (attribute("products.0", "use_sc", False), "products.0: .* has use_sc = False"),
    (attribute("", "apply_cutoff", False), "apply_cutoff = False"),
    (attribute("", "use_edge_irreps_first", True), "use_edge_irreps_first = True"),
    (attribute("", "use_last_readout_only", True), "use_last_readout_only = True"),
    (attribute("", "pair_repulsion", False), "pair_repulsion = False"),
    (lambda root: root.state["_modules"].pop("pair_repulsion_fn"), "pair_repulsion = True"),
    (attribute("les", "remove_mean", False), "remove_mean = True, supported is False"),
    (attribute("les", "sigma", 2.0), "Ewald has sigma = 1.0, supported is 2.0"),
    (attribute("les.ewald", "remove_self_interaction", 7), "remove_self_interaction = 7"),
    (attribute("les.bec", "remove_mean", "no"), "remove_mean = 'no'"),
    (attribute("", "compute_bec", "no"), "compute_bec = 'no'"),
    (attribute("interactions.0", "avg_num_neighbors", True), "avg_num_neighbors = True"),
    (attribute("readouts.1", "num_heads", 0), "num_heads = 0"),
    (attribute("spherical_harmonics", "irreps_out", TO_L_20), "max_l: expected .* from 0 to 4"),
    (attribute("", "heads", ["a", "a"]), "heads .*'a', 'a'"),
    (attribute("", "heads", "Default"), "heads 'Default'"),
    (attribute("", "heads", ["a" * 999, "b"]), "the heads a+.*; choose one with --head"),
    (buffer("", "atomic_numbers", lambda z: z[:1]), "node_embedding: .* .2, 16., expected .1, 16"),
    (
        buffer("", "atomic_numbers", lambda _: torch.arange(1, 100)),
        "node_embedding: .*expected .99, 16",
    ),
    (buffer("", "num_interactions", lambda n: n + 1), "2 interactions"),
    (
        lambda root: at(root, "readouts.1").state["_modules"].pop("linear_2"),
        "readouts.1: .*linear_2",
    ),
    (lambda root: at(root, EMBEDDING).state.pop("instructions"), "attribute 'instructions'"),
    (attribute(EMBEDDING, "instructions", None), "node_embedding: "),
    (attribute(FIRST, "correlation", 6), "products.0: weights of 3 degrees, correlation 6"),
    (more_factors, "correlation: expected a whole number from 1 to 3"),
    (buffer("", "atomic_numbers", lambda z: z + 0.5), "atomic numbers .1.5, 8.5."),
]


@pytest.mark.parametrize(
    ("change", "message"), [*WRONG_WEIGHTS, *WRONG_KINDS, *MORE_PARTS, *CONTRADICTIONS]
)
def test_damaged_content_is_refused_in_one_line(shared, monkeypatch, change, message):
    path = checkpoint(shared, WATER)
    root = load_pickle(path)
    change(root)
    monkeypatch.setattr(adapters, "load_pickle", lambda _: root)
    with pytest.raises(UnsupportedModelError, match=message) as error:
        read_checkpoint(path)
    said = str(error.value)
    assert "\n" not in said
    assert len(said) < 500
