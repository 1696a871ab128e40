"""Blocks of a MACE model, brought into the layout of ``MaceNetwork``."""

from dataclasses import dataclass
from typing import Any

import torch
from ase.data import chemical_symbols
from torch import Tensor

from lammps_les.models.mace.couplings import equivariant_polynomials, sum_terms
from lammps_les.models.mace.interaction import Interaction
from lammps_les.models.mace.product import Product
from lammps_les.models.mace.radial import COULOMB
from lammps_les.models.o3.activation import SILU_FACTOR
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
from lammps_les_export.adapters.imported import (
    expect,
    number,
    real,
    refuse_unless,
    weight,
    whole_number,
)
from lammps_les_export.adapters.mace_parts import BLOCKS, INTERACTIONS, RADIAL
from lammps_les_export.unpickler import Stub

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
    own, edges = irreps_of(block.get("node_feats_irreps")), block.get("edge_irreps", None)
    refuse_unless(
        edges is None or irreps_of(edges) == own,
        f"{block.kind} with edge_irreps of their own",
    )
    return INTERACTIONS[block.kind]


def read_radial(embedding: Stub, cutoff: float) -> tuple[dict[str, Any], dict[str, Tensor], float]:
    """Fields of the configuration, weights, and a factor on the radial functions."""
    expect(embedding, "apply_cutoff", True, default=True)
    basis, step = embedding.get("bessel_fn"), embedding.get("cutoff_fn")
    kind = _BASES[basis.kind.removeprefix(RADIAL)]
    expect(step, "r_max", cutoff)
    fields = {
        "radial": kind,
        "n_bessel": whole_number(embedding, "out_dim"),
        "cutoff_power": whole_number(step, "p"),
    }
    weights, factor = {}, 1.0
    if kind == "bessel":
        expect(basis, "r_max", cutoff)
        weights["basis.frequencies"] = weight(basis, "bessel_weights", -1)
        factor = number(basis, "prefactor") / (2.0 / cutoff) ** 0.5
    else:
        weights["basis.centers"] = weight(basis, "gaussian_weights")
        weights["basis.exponent"] = torch.tensor([number(basis, "coeff")], dtype=torch.float64)
    transform = embedding.get("distance_transform", None)
    if transform is not None:
        name = _TRANSFORMS[transform.kind.removeprefix(RADIAL)]
        fields["distance_transform"] = name
        shape = [number(transform, letter) for letter in _SHAPES[name]]
        weights["transform.shape"] = torch.tensor(shape, dtype=torch.float64)
        weights["transform.radii"] = _radii(transform)
    return fields, weights, factor


def _radii(module: Stub) -> Tensor:
    """Of all elements by their atomic numbers."""
    return weight(module, "covalent_radii", len(chemical_symbols))


def read_repulsion(module: Stub, cutoff_power: int, numbers: list[int]) -> dict[str, Tensor]:
    """A ``ZBLBasis``; radii of all elements."""
    power = whole_number(module, "p")
    refuse_unless(
        power == cutoff_power,
        f"pair repulsion with the cutoff power {power}, radial functions with {cutoff_power}",
    )
    screening = [number(module, name) for name in ("a_prefactor", "a_exp")]
    z = torch.tensor(numbers, dtype=module.get("c").dtype)  # the original rounds the products too
    return {
        "strengths": (COULOMB * z * z.unsqueeze(1)).double(),
        "screening": torch.tensor(screening, dtype=torch.float64),
        "shares": weight(module, "c", 4),
        "radii": _radii(module),
    }


def read_interaction(
    block: Stub, ours: Interaction, radial_factor: float, chosen: Selection
) -> dict[str, Tensor]:
    """Weights of an interaction."""
    width = ours.width
    up = linear_maps(block.get("linear_up"), len(ours.features_by_l) - 1)
    weights = {"up": torch.stack(up)}
    theirs = convolution_paths(block.get("conv_tp"))
    paths = ours.orders
    refuse_unless(
        sorted(theirs) == sorted(paths), f"{block.kind} couples {theirs}, expected {sorted(paths)}"
    )
    order = [theirs.index(path) for path in paths]
    layers = perceptron(block.get("conv_tp_weights"), SILU_FACTOR)
    layers[0] = layers[0] * radial_factor
    last = layers.pop()
    refuse_unless(
        last.size(1) == len(order) * width,
        f"{last.size(1)} radial weights for {len(order)} paths of {width} features",
    )
    weights["radial.last"] = last.view(last.size(0), len(order), width)[:, order].flatten(1)
    weights |= {f"radial.hidden.{index}": weight for index, weight in enumerate(layers)}
    linear = linear_maps(block.get("linear"), len(ours.harmonics_by_l) - 1)
    by_path: dict[tuple[int, int, int], Tensor] = {}
    for l, stacked in enumerate(linear):
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
    used = [
        real(skip.get(l), f"skip_tp of l = {l}", chosen.stored, width, width)
        for l in range(ours.skip.size(0))
    ]
    factor = (len(chosen.species) / chosen.stored) ** 0.5
    weights["skip"] = torch.stack(used)[:, chosen.species] * factor
    if ours.density is not None:
        (density,) = perceptron(block.get("density_fn"), SILU_FACTOR)
        weights["density.last"] = density * radial_factor
    return weights


def couplings_of(products: list[Stub]) -> tuple[int, list[int]]:
    """Factors of the products, and the numbers of weights of those with L = 0 by degree."""
    contractions = _contractions(products[0])
    refuse_unless(len(contractions) > 0, "products without contractions")
    weights = _product_weights(contractions[0])
    return len(weights), [of_degree.size(1) for of_degree in weights]


def _contractions(product: Stub) -> list[Stub]:
    children: list[Stub] = product.get("symmetric_contractions").get("contractions").children()
    return children


def _product_weights(contraction: Stub, *shape: int) -> list[Tensor]:
    """[species, polynomials, C] of the degrees 1, 2, ..."""
    expected = shape or (-1, -1, -1)
    weights = [weight(contraction, "weights_max", *expected)]
    for index, lower in enumerate(contraction.get("weights").parameters()):
        weights.insert(0, real(lower, f"weights.{index}", *expected))
    degree = whole_number(contraction, "correlation")
    refuse_unless(
        len(weights) == degree,
        f"weights of {len(weights)} degrees, correlation {degree}",
    )
    return weights


def read_product(block: Stub, ours: Product, chosen: Selection) -> dict[str, Tensor]:
    """Weights and tables of the products of environments."""
    expect(block, "use_agnostic_product", False, default=False)
    contractions, max_order = _contractions(block), ours.linear.size(0) - 1
    refuse_unless(
        len(contractions) > max_order,  # the last layer may have tensors that nobody reads
        f"{len(contractions)} contractions, expected {max_order + 1}",
    )
    shape = (chosen.stored, -1, ours.weights.size(2))
    by_order = [_product_weights(contraction, *shape) for contraction in contractions]
    tables, weights = [], []
    for order, degree in ours.kinds:
        contraction = contractions[order]
        expect(contraction, "correlation", ours.correlation)
        name, size = f"U_matrix_{degree}", (ours.max_l + 1) ** 2
        components = [2 * order + 1] if order > 0 else []
        stored = weight(contraction, name, *components, *[size] * degree, -1)
        stored = stored.reshape(2 * order + 1, size**degree, stored.size(-1))
        tables.append(_table(stored, ours.max_l, degree, order))
        weights.append(by_order[order][degree - 1])
    found = [tuple(table.shape) for table in tables]
    refuse_unless(found == ours.sizes, f"products with {found} terms, expected {ours.sizes}")
    return {
        "linear": torch.stack(linear_maps(block.get("linear"), max_order)),
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
    if readout.kind == f"{BLOCKS}LinearReadoutBlock":
        return 0
    width = linear_maps(readout.get("linear_1"))[0].size(1)
    return width // chosen.heads if _masked(readout, chosen) else width


def _masked(readout: Stub, chosen: Selection) -> bool:
    """Whether each head has hidden units of its own."""
    heads = 1 if readout.get("num_heads", None) is None else whole_number(readout, "num_heads")
    refuse_unless(
        heads in (1, chosen.heads),
        f"{readout.kind} has num_heads = {heads} in a model of {chosen.heads}",
    )
    return heads > 1


def read_readout(readout: Stub, chosen: Selection) -> dict[str, Tensor]:
    """Weights of the chosen head of a readout."""
    width, head = readout_width(readout, chosen), [chosen.head]
    if width == 0:
        (last,) = linear_maps(readout.get("linear"))
        return {"last": real(last, "linear", -1, chosen.heads)[:, head]}
    (activation,) = readout.get("non_linearity").get("acts").children()
    factor = silu_factor(activation) / SILU_FACTOR
    first, last = (linear_maps(readout.get(f"linear_{k}"))[0] for k in (1, 2))
    real(last, "linear_2", first.size(1), chosen.heads)
    if _masked(readout, chosen):
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
