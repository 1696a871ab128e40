"""Blocks of a MACE model, brought into the layout of ``MaceNetwork``."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lammps_les.models.mace.couplings import equivariant_polynomials, sum_terms
from lammps_les.models.mace.interaction import Interaction
from lammps_les.models.mace.product import Product
from lammps_les.models.mace.radial import COULOMB, SILU_FACTOR
from lammps_les.models.o3.coupling import wigner_3j
from lammps_les.models.o3.irreps import format_irreps
from lammps_les_export.adapters.e3nn_parts import (
    convolution_paths,
    irreps_of,
    linear_maps,
    natural_irreps,
    perceptron,
    silu_factor,
    species_maps,
)
from lammps_les_export.adapters.imported import expect, refuse_unless
from lammps_les_export.unpickler import Stub

_BLOCKS = "mace.modules.blocks."
_INTERACTIONS = {
    "RealAgnosticInteractionBlock": (False, False),
    "RealAgnosticResidualInteractionBlock": (True, False),
    "RealAgnosticDensityInteractionBlock": (False, True),
    "RealAgnosticDensityResidualInteractionBlock": (True, True),
}
"""Whether they are residual, and whether they divide by a density."""

_RADIAL = "mace.modules.radial."
_BASES = {"BesselBasis": "bessel", "GaussianBasis": "gaussian"}
_TRANSFORMS = {"AgnesiTransform": "agnesi", "SoftTransform": "soft"}
_SHAPES = {"agnesi": ("a", "q", "p"), "soft": ("alpha",)}


@dataclass(frozen=True)
class Selection:
    """What is taken of the tables of a model.

    Attributes:
        species: places of the elements among those of the file.
        stored: how many the file has.
        head: place of the head.
        heads: how many the file has.
        numbers: atomic numbers of the elements.
    """

    species: list[int]
    stored: int
    head: int
    heads: int
    numbers: list[int]


def hidden_irreps(values: list[Any]) -> tuple[int, int]:
    """Multiplicity and highest l of features, the same in all given irreps but for l."""
    widths, orders = set(), [0]
    for value in values:
        irreps = natural_irreps(value)
        refuse_unless(
            [irrep.l for irrep in irreps] == list(range(len(irreps))) and len(irreps) > 0,
            f"features {format_irreps(irreps)}, expected each l from 0 on once",
        )
        widths |= {irrep.multiplicity for irrep in irreps}
        orders.append(len(irreps) - 1)
    refuse_unless(len(widths) == 1, f"features of different multiplicities {sorted(widths)}")
    return widths.pop(), max(orders)


def interaction_kind(block: Stub) -> tuple[bool, bool]:
    """Whether an interaction is residual, and whether it divides by a density."""
    name = block.kind.removeprefix(_BLOCKS)
    refuse_unless(
        name in _INTERACTIONS,
        f"interaction {block.kind}; supported are {', '.join(_INTERACTIONS)}",
    )
    own, edges = irreps_of(block.get("node_feats_irreps")), block.get("edge_irreps", None)
    refuse_unless(
        edges is None or irreps_of(edges) == own,
        f"{name} with edge_irreps of their own",
    )
    return _INTERACTIONS[name]


def read_radial(embedding: Stub, cutoff: float) -> tuple[dict[str, Any], dict[str, Tensor], float]:
    """Fields of the configuration, weights, and a factor on the radial functions."""
    refuse_unless(
        embedding.kind == f"{_BLOCKS}RadialEmbeddingBlock", f"radial embedding {embedding.kind}"
    )
    expect(embedding, "apply_cutoff", True, default=True)
    basis, step = embedding.get("bessel_fn"), embedding.get("cutoff_fn")
    kind = _BASES.get(basis.kind.removeprefix(_RADIAL))
    refuse_unless(
        kind is not None, f"radial functions {basis.kind}; supported are {', '.join(_BASES)}"
    )
    refuse_unless(step.kind == f"{_RADIAL}PolynomialCutoff", f"cutoff function {step.kind}")
    expect(step, "r_max", cutoff)
    fields = {
        "radial": kind,
        "n_bessel": int(embedding.get("out_dim")),
        "cutoff_power": int(step.get("p")),
    }
    weights, factor = {}, 1.0
    if kind == "bessel":
        expect(basis, "r_max", cutoff)
        weights["basis.frequencies"] = basis.get("bessel_weights").double()
        factor = float(basis.get("prefactor")) / (2.0 / cutoff) ** 0.5
    elif kind == "gaussian":
        weights["basis.centers"] = basis.get("gaussian_weights").double()
        weights["basis.exponent"] = torch.tensor([float(basis.get("coeff"))], dtype=torch.float64)
    transform = embedding.get("distance_transform", None)
    if transform is not None:
        name = _TRANSFORMS.get(transform.kind.removeprefix(_RADIAL))
        refuse_unless(
            name is not None,
            f"distance transform {transform.kind}; supported are {', '.join(_TRANSFORMS)}",
        )
        fields["distance_transform"] = name
        shape = [float(transform.get(letter)) for letter in _SHAPES[str(name)]]
        weights["transform.shape"] = torch.tensor(shape, dtype=torch.float64)
        weights["transform.radii"] = transform.get("covalent_radii").double()
    return fields, weights, factor


def read_repulsion(module: Stub, cutoff_power: int, numbers: list[int]) -> dict[str, Tensor]:
    """A ``ZBLBasis``; radii of all elements."""
    refuse_unless(module.kind == f"{_RADIAL}ZBLBasis", f"pair repulsion {module.kind}")
    refuse_unless(
        int(module.get("p")) == cutoff_power,
        f"pair repulsion with the cutoff power {int(module.get('p'))}, radial functions with "
        f"{cutoff_power}",
    )
    screening = [float(module.get(name)) for name in ("a_prefactor", "a_exp")]
    z = torch.tensor(numbers, dtype=module.get("c").dtype)  # the original rounds the products too
    return {
        "strengths": (COULOMB * z * z.unsqueeze(1)).double(),
        "screening": torch.tensor(screening, dtype=torch.float64),
        "shares": module.get("c").double(),
        "radii": module.get("covalent_radii").double(),
    }


def read_interaction(
    block: Stub, ours: Interaction, radial_factor: float, chosen: Selection
) -> dict[str, Tensor]:
    """Weights of an interaction."""
    width = ours.width
    up = linear_maps(block.get("linear_up"))
    weights = {"up": torch.stack([up[l] for l in range(len(ours.features_by_l))])}
    theirs = convolution_paths(block.get("conv_tp"))
    paths = ours.orders
    refuse_unless(
        sorted(theirs) == sorted(paths), f"{block.kind} couples {theirs}, expected {sorted(paths)}"
    )
    order = [theirs.index(path) for path in paths]
    layers = perceptron(block.get("conv_tp_weights"), SILU_FACTOR)
    layers[0] = layers[0] * radial_factor
    last = layers.pop()
    weights["radial.last"] = last.view(last.size(0), len(order), width)[:, order].flatten(1)
    weights |= {f"radial.hidden.{index}": weight for index, weight in enumerate(layers)}
    linear = linear_maps(block.get("linear"))
    by_path: dict[tuple[int, int, int], Tensor] = {}
    for l, stacked in linear.items():
        of_l = [path for path in theirs if path[2] == l]
        by_path |= dict(zip(of_l, stacked.split(width), strict=True))
    weights["linear"] = torch.stack([by_path[path] for path in paths])
    precision = block.get("linear_up").get("weight").dtype
    for index, (l1, l2, l3) in enumerate(paths):
        symbol = wigner_3j(l1, l2, l3)
        if 0 not in (l1, l2, l3):  # else the original has a formula, not a table
            symbol = symbol.to(precision).double()
        weights[f"paths.{index}.coupling"] = symbol * (2 * l3 + 1) ** 0.5
    skip = species_maps(block.get("skip_tp"))
    used = [skip[l] for l in range(ours.skip.size(0))]
    factor = (len(chosen.species) / chosen.stored) ** 0.5
    weights["skip"] = torch.stack(used)[:, chosen.species] * factor
    if ours.density is not None:
        (density,) = perceptron(block.get("density_fn"), SILU_FACTOR)
        weights["density.last"] = density * radial_factor
    return weights


def couplings_of(products: list[Stub]) -> tuple[int, list[int]]:
    """Factors of the products, and the numbers of weights of those with L = 0 by degree."""
    contraction = products[0].get("symmetric_contractions").get("contractions").children()[0]
    degree = int(contraction.get("correlation"))
    return degree, [_product_weights(contraction, degree, d).size(1) for d in range(1, degree + 1)]


def _product_weights(contraction: Stub, degrees: int, degree: int) -> Tensor:
    """[species, polynomials, C] of one degree."""
    if degree == degrees:
        return contraction.get("weights_max").double()
    return contraction.get("weights").parameters()[degrees - 1 - degree].double()


def read_product(block: Stub, ours: Product, chosen: Selection) -> dict[str, Tensor]:
    """Weights and tables of the products of environments."""
    refuse_unless(block.kind == f"{_BLOCKS}EquivariantProductBasisBlock", f"product {block.kind}")
    expect(block, "use_agnostic_product", False, default=False)
    contractions = block.get("symmetric_contractions").get("contractions").children()
    linear = linear_maps(block.get("linear"))
    tables, weights = [], []
    for order, degree in ours.kinds:
        contraction = contractions[order]
        expect(contraction, "correlation", ours.correlation)
        stored = contraction.get(f"U_matrix_{degree}").double()
        stored = stored.reshape(2 * order + 1, -1, stored.size(-1))
        tables.append(_table(stored, ours.max_l, degree, order))
        weights.append(_product_weights(contraction, ours.correlation, degree))
    found = [tuple(table.shape) for table in tables]
    refuse_unless(found == ours.sizes, f"products with {found} terms, expected {ours.sizes}")
    return {
        "linear": torch.stack([linear[l] for l in range(ours.linear.size(0))]),
        "coefficients": ours.joined(tables),
        "weights": torch.cat(weights, 1)[chosen.species],
    }


def _table(stored: Tensor, max_l: int, degree: int, order: int) -> Tensor:
    """Coefficients of a stored coupling table [2 L + 1, size^degree, k] for each of our terms."""
    component, factors, _ = equivariant_polynomials(max_l, degree, order, False)
    theirs, sums = sum_terms(stored, (max_l + 1) ** 2, degree)
    rows = {tuple(row): place for place, row in enumerate(theirs.tolist())}
    places = [rows[tuple(row)] for row in factors.tolist()]
    table = sums[component, places]
    sums[component, places] = 0.0
    refuse_unless(
        float(sums.abs().max()) < 1e-6,
        f"a coupling table of degree {degree} that is not one of spherical harmonics",
    )
    return table


def readout_width(readout: Stub, chosen: Selection) -> int:
    """Width of the hidden layer that one head has; 0 = linear."""
    name = readout.kind.removeprefix(_BLOCKS)
    refuse_unless(
        name in ("LinearReadoutBlock", "NonLinearReadoutBlock"),
        f"readout {readout.kind}; LinearReadoutBlock and NonLinearReadoutBlock are supported",
    )
    if name == "LinearReadoutBlock":
        return 0
    width = linear_maps(readout.get("linear_1"))[0].size(1)
    return width // chosen.heads if _masked(readout) else width


def _masked(readout: Stub) -> bool:
    """Whether each head has hidden units of its own."""
    return int(readout.get("num_heads", 1)) > 1


def read_readout(readout: Stub, chosen: Selection) -> dict[str, Tensor]:
    """Weights of the chosen head of a readout."""
    width, head = readout_width(readout, chosen), [chosen.head]
    if width == 0:
        return {"last": linear_maps(readout.get("linear"))[0][:, head]}
    factor = silu_factor(readout.get("non_linearity").get("acts").children()[0]) / SILU_FACTOR
    first, last = (linear_maps(readout.get(f"linear_{k}"))[0] for k in (1, 2))
    if _masked(readout):
        refuse_unless(
            int(readout.get("num_heads")) == chosen.heads, f"{readout.kind} of other heads"
        )
        own = slice(chosen.head * width, (chosen.head + 1) * width)
        first, last, factor = first[:, own], last[own], factor * chosen.heads**-0.5
    return {"hidden.0": first, "last": last[:, head] * factor}


def one_number(value: Any, chosen: Selection) -> float:
    """Of the chosen head, where there may be one number for all."""
    numbers = torch.as_tensor(value).double().flatten()
    refuse_unless(
        numbers.numel() in (1, chosen.heads), f"{numbers.numel()} numbers for {chosen.heads} heads"
    )
    return float(numbers[chosen.head if numbers.numel() > 1 else 0])
