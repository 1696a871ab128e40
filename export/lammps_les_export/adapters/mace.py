"""MACE models, with and without latent charges (``torch.save`` of a whole module).

What a model consists of, its head, elements and long-range sum; the blocks are read in
:mod:`lammps_les_export.adapters.mace_network`.
"""

from typing import Any, Literal, cast

import torch
from ase.data import chemical_symbols
from torch import Tensor

from lammps_les.models import build_network
from lammps_les.models.mace.config import MaceConfig
from lammps_les.models.mace.couplings import equivariant_polynomials
from lammps_les.models.mace.interaction import Interaction
from lammps_les.models.mace.network import MaceNetwork
from lammps_les.models.mace.product import Product
from lammps_les_export.adapters.e3nn_parts import linear_maps, natural_irreps
from lammps_les_export.adapters.imported import (
    NO_CHARGES,
    Choice,
    ImportedModel,
    checked,
    expect,
    flag,
    number,
    quoted,
    reading,
    real,
    refuse_unless,
    shortened,
    whole_number,
)
from lammps_les_export.adapters.les import les_settings
from lammps_les_export.adapters.mace_network import (
    Selection,
    couplings_of,
    hidden_irreps,
    interaction_kind,
    one_number,
    read_interaction,
    read_product,
    read_radial,
    read_readout,
    read_repulsion,
    readout_width,
)
from lammps_les_export.adapters.mace_parts import MODELS, refuse_other_parts
from lammps_les_export.unpickler import Stub

EXPECTED = "a MACE, ScaleShiftMACE or MACELES"

_WITHOUT_INFLUENCE = {
    *("training", "heads", "lammps_mliap", "use_reduced_cg", "pair_repulsion", "compute_bec"),
    *("bec_output_index", "readout_input_dims", "use_last_readout_only", "apply_cutoff"),
    *("edge_irreps", "use_edge_irreps_first", "les_output_scale"),
    *("alpha_irreps", "alpha_1o_linear_w_pos", "alpha_1o_nonlinear_readout", "les_alpha_scale"),
    *("les_kappa_scale", "make_alpha_positive", "make_kappa_positive"),
}
"""Attributes that are read, that repeat what the parts of the model say, or that are settings of
readouts of other latents than charges: a model that has such parts is refused by these."""

_MACE = "Batatia et al., NeurIPS 35, 11423 (2022)"
_LES = "Kim et al., J. Chem. Theory Comput. 21, 12709 (2025)"


def knows(root: Any) -> bool:
    """Whether a stored object is a model of MACE."""
    return isinstance(root, Stub) and root.kind.startswith("mace.")


def read(root: Stub, choice: Choice) -> ImportedModel:
    """A model, of it one head and the chosen elements.

    Raises:
        UnsupportedModelError: a part of the model that has no counterpart here; nothing is dropped.
        KeyError, AttributeError: a part of the model is missing.
    """
    refuse_unless(choice.norm is None, f"--norm {choice.norm}: the file says it")
    _refuse_unknown(root)
    notes: list[str] = []
    chosen = _selection(root, choice, notes)
    network = _network(root, chosen)
    sections, citation = NO_CHARGES, _MACE
    suggested: dict[str, Any] = {}
    if network.channels > 0:
        with reading("les"):
            sections, suggested = les_settings(root.get("les"), flag(root, "compute_bec", False))
        citation = f"{_MACE}; {_LES}"
    energies = real(root.get("atomic_energies_fn").get("atomic_energies"), "atomic energies")
    refuse_unless(bool(torch.isfinite(energies).all()), "atomic energies that are not finite")
    energies = torch.atleast_2d(energies)
    refuse_unless(
        energies.shape in ((chosen.heads, chosen.stored), (1, chosen.stored)),
        f"atomic energies of shape {list(energies.shape)} for {chosen.heads} heads and "
        f"{chosen.stored} elements",
    )
    of_head = energies[chosen.head if energies.size(0) > 1 else 0, chosen.species].tolist()
    suggested["atomic_energies"] = dict(zip(network.species, of_head, strict=True))
    provenance = {
        "program": "mace-torch",
        "version": "not stated in the file",
        "citation": citation,
        "licence": "not stated in the file",
    }
    if chosen.stored > 20:
        notes.append(
            "the licence of the weights is not stated in the file; foundation models of MACE have "
            "different ones, some of which exclude commercial use"
        )
    return ImportedModel(network, {"provenance": provenance, **sections}, suggested, notes)


def _refuse_unknown(root: Stub) -> None:
    refuse_unless(
        root.kind in MODELS,
        f"the file holds a {root.kind}; supported are MACE, ScaleShiftMACE and MACELES",
    )
    refuse_other_parts(root)
    for name, value in root.state.items():
        known = name in _WITHOUT_INFLUENCE or name.startswith("_")
        refuse_unless(
            known or value is None or value is False,
            f"a model with {name} = {quoted(value)}, which has no counterpart here",
        )


def _selection(root: Stub, choice: Choice, notes: list[str]) -> Selection:
    heads = root.get("heads", None) or ["default"]
    refuse_unless(
        isinstance(heads, (list, tuple))
        and all(isinstance(name, str) for name in heads)
        and len(set(heads)) == len(heads),
        f"the heads {quoted(heads)}, expected different names",
    )
    if choice.head is None:
        refuse_unless(
            len(heads) == 1,
            f"the model has the heads {shortened(', '.join(heads))}; choose one with --head",
        )
    else:
        refuse_unless(
            choice.head in heads,
            f"the model has no head {choice.head}, but {shortened(', '.join(heads))}",
        )
        if len(heads) > 1:
            notes.append(f"head {choice.head} of {', '.join(heads)}")
    head = 0 if choice.head is None else heads.index(choice.head)
    numbers = root.get("atomic_numbers").tolist()
    refuse_unless(
        all(z in range(1, len(chemical_symbols)) for z in numbers)
        and len(set(numbers)) == len(numbers),
        f"atomic numbers {quoted(numbers)}",
    )
    stored = [chemical_symbols[z] for z in numbers]
    taken = stored if choice.elements is None else list(choice.elements)
    missing = [symbol for symbol in taken if symbol not in stored]
    refuse_unless(not missing, f"the model has no {', '.join(missing)}, but {', '.join(stored)}")
    refuse_unless(
        len(set(taken)) == len(taken) > 0,
        "a choice of elements that does not have each element once",
    )
    places = [stored.index(symbol) for symbol in taken]
    return Selection(places, len(stored), head, len(heads), [numbers[place] for place in places])


def _network(root: Stub, chosen: Selection) -> MaceNetwork:
    cutoff = number(root, "r_max")
    with reading("radial_embedding"):
        radial, radial_weights, radial_factor = read_radial(root.get("radial_embedding"), cutoff)
    config = _config(root, chosen, cutoff, radial)
    network = cast(MaceNetwork, build_network(config).to(torch.float64))
    with reading("node_embedding"):
        (embedding,) = linear_maps(root.get("node_embedding").get("linear"))
        real(embedding, "linear", chosen.stored, config.features)
    weights = {"embedding": embedding[chosen.species] / chosen.stored**0.5}
    weights |= _prefixed("radial", radial_weights)
    if config.pair_repulsion:
        with reading("pair_repulsion_fn"):
            repulsion = root.get("pair_repulsion_fn")
            read = read_repulsion(repulsion, config.cutoff_power, chosen.numbers)
        weights |= _prefixed("repulsion", read)
    for name in weights:
        if name.endswith(".radii"):
            weights[name] = weights[name][chosen.numbers]
    for t, block in enumerate(root.get("interactions").children()):
        interaction = cast(Interaction, network.interactions[t])
        with reading(f"interactions.{t}"):
            read = read_interaction(block, interaction, radial_factor, chosen)
        weights |= _prefixed(f"interactions.{t}", read)
    for t, block in enumerate(root.get("products").children()):
        product = cast(Product, network.products[t])
        with reading(f"products.{t}"):
            read = read_product(block, product, chosen)
        weights |= _prefixed(f"products.{t}", read)
    for ours, theirs in (("energy_readouts", "readouts"), ("charge_readouts", "les_readouts")):
        if theirs == "readouts" or config.channels > 0:
            for index, readout in enumerate(root.get(theirs).children()):
                with reading(f"{theirs}.{index}"):
                    weights |= _prefixed(f"{ours}.{index}", read_readout(readout, chosen))
    wrong = [
        f"{name} {list(tensor.shape)}"
        for name, tensor in network.state_dict().items()
        if name not in weights or weights[name].shape != tensor.shape
    ]
    refuse_unless(not wrong, f"weights that do not fit: {', '.join(wrong[:3])} expected")
    for name, tensor in weights.items():
        refuse_unless(bool(torch.isfinite(tensor).all()), f"{name} is not finite")
    network.load_state_dict(weights)
    return network.eval()


def _prefixed(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": weight for name, weight in weights.items()}


def _config(root: Stub, chosen: Selection, cutoff: float, radial: dict[str, Any]) -> MaceConfig:
    interactions = root.get("interactions").children()
    products = root.get("products").children()
    readouts = root.get("readouts").children()
    layers = len(interactions)
    refuse_unless(
        whole_number(root, "num_interactions") == layers == len(products) and layers > 0,
        f"{layers} interactions and {len(products)} products",
    )
    refuse_unless(len(readouts) in (1, layers), f"{len(readouts)} readouts of {layers} layers")
    kinds = [interaction_kind(block) for block in interactions]
    density = {kind[1] for kind in kinds}
    refuse_unless(
        len(density) == 1 and len({kind[0] for kind in kinds[1:]}) <= 1,
        f"interactions of kinds that differ: {', '.join(block.kind for block in interactions)}",
    )
    widths = [readout_width(readout, chosen) for readout in readouts]
    refuse_unless(not any(widths[:-1]), "a nonlinear readout of a layer before the last")
    with_charges = root.get("les", None) is not None
    if with_charges:
        charge_readouts = root.get("les_readouts").children()
        refuse_unless(
            [readout_width(readout, chosen) for readout in charge_readouts] == widths,
            "readouts of energies and charges that differ",
        )
    width, hidden_max_l = hidden_irreps([b.get("node_feats_irreps") for b in interactions])
    harmonics = root.get("spherical_harmonics")
    expect(harmonics, "normalize", True)
    expect(harmonics, "normalization", "component")
    angular = natural_irreps(harmonics.get("irreps_out"))
    max_l = len(angular) - 1
    refuse_unless(
        [(i.multiplicity, i.l) for i in angular] == [(1, l) for l in range(max_l + 1)],
        f"harmonics of l = {[i.l for i in angular]}",
    )
    average = {number(block, "avg_num_neighbors") for block in interactions}
    hidden = {tuple(int(w) for w in b.get("conv_tp_weights").get("hs")[1:-1]) for b in interactions}
    refuse_unless(
        len(average) == 1 and len(hidden) == 1,
        "interactions that differ in radial_MLP or neighbors",
    )
    with reading("products.0"):
        correlation, counts = couplings_of(products)
    checked(MaceConfig, max_l=max_l, correlation=correlation)  # couplings take time and memory
    _expect_flags(root, len(readouts) < layers, [kind[0] for kind in kinds])
    scaled, charge_scale = root.get("scale_shift", None), root.get("les_output_scale", None)
    scale, shift = 1.0, 0.0
    if scaled is not None:
        with reading("scale_shift"):
            scale, shift = (one_number(scaled.get(name), chosen) for name in ("scale", "shift"))
    return checked(
        MaceConfig,
        species=tuple(chemical_symbols[z] for z in chosen.numbers),
        channels=int(with_charges),
        cutoff=cutoff,
        layers=layers,
        features=width,
        hidden_max_l=hidden_max_l,
        max_l=max_l,
        correlation=correlation,
        couplings=_couplings(max_l, counts),
        **radial,
        radial_hidden=hidden.pop(),
        average_neighbors=average.pop(),
        density=density.pop(),
        residual_first=kinds[0][0],
        residual=kinds[-1][0] if layers > 1 else True,
        readout_hidden=widths[-1],
        last_readout_only=len(readouts) < layers,
        pair_repulsion=root.get("pair_repulsion_fn", None) is not None,
        scale=scale,
        shift=shift,
        charge_scale=1.0 if charge_scale is None else number(root, "les_output_scale"),
    )


def _expect_flags(root: Stub, last_only: bool, residual: list[bool]) -> None:
    """Refuse a model whose flags say something else than its parts."""
    expect(root, "apply_cutoff", True, default=True)
    expect(root, "use_edge_irreps_first", False, default=False)
    expect(root, "use_last_readout_only", last_only, default=last_only)
    with_repulsion = root.get("pair_repulsion_fn", None) is not None
    expect(root, "pair_repulsion", with_repulsion, default=False)
    for t, product in enumerate(root.get("products").children()):
        if residual[t]:
            with reading(f"products.{t}"):
                expect(product, "use_sc", True)


def _couplings(max_l: int, counts: list[int]) -> Literal["paths", "independent"]:
    """Which set of polynomials has the given numbers of weights by degree."""
    paths, independent = (
        [
            equivariant_polynomials(max_l, degree, 0, kind).coefficients.size(1)
            for degree in range(1, len(counts) + 1)
        ]
        for kind in (False, True)
    )
    refuse_unless(
        counts in (paths, independent),
        f"products with {counts} weights of degree 1, 2, ...; expected {paths} or {independent}",
    )
    return "paths" if counts == paths else "independent"
