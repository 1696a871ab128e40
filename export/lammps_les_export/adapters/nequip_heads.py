"""Heads of latent multipoles and response in NequIP and Allegro checkpoints with LES.

Arguments of the library say which there are. Numbers are kappa and alpha, vectors and tensors of
order 2 are read out of the features that enter the last layer (NequIP), or are harmonics of edges
with weights (Allegro).
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lammps_les.models.heads import Heads, PublishedMultipoles
from lammps_les.models.multipoles import Multipoles
from lammps_les.models.o3.harmonics import spherical_harmonics
from lammps_les.models.o3.irreps import parse_irreps
from lammps_les_export.adapters.imported import checked, refuse_unless
from lammps_les_export.adapters.nequip_state import Arguments, Weights

_FLAGS = {
    "dipole": "use_dipole",
    "quadrupole": "use_quadrupole",
    "kappa": "use_induced_charge",
    "alpha": "use_induced_dipole",
}


class Asked(NamedTuple):
    """What the arguments ask for.

    Attributes:
        latents: their names, charge included.
        orders_of_alpha: of the tensors that add to the numbers of alpha; empty = numbers only.
        positive: whether kappa and alpha are made positive.
        kappa_scale, alpha_scale: factors on them.
    """

    latents: tuple[str, ...] = ("charge",)
    orders_of_alpha: tuple[int, ...] = ()
    positive: bool = True
    kappa_scale: float = 0.1
    alpha_scale: float = 0.1

    def heads(self, max_l: int, local: bool) -> Heads | None:
        """How the latents come about; None for charges alone.

        Args:
            max_l: highest order of what they are read out of.
            local: edges have weights; else atoms have features.
        """
        if len(self.latents) == 1:
            return None
        orders = [l for l in (1, 2) if l <= max_l]
        of_alpha = [l for l in orders if l in self.orders_of_alpha]
        refuse_unless(
            bool(of_alpha) or not self.orders_of_alpha,
            f"alpha of tensors of the orders {self.orders_of_alpha}, features up to {max_l}",
        )
        names = {1: "tensors", 2: "tensors"} if local else {1: "dyads", 2: "tensors"}
        quadrupole = tuple(dict.fromkeys(names[l] for l in orders))
        alpha = ("numbers", *dict.fromkeys(names[l] for l in of_alpha))
        form = "linear" if not self.positive else "square" if of_alpha else "softplus"
        pieces = {
            "dipole": 1,
            "quadrupole": len(orders),
            "kappa": 1,
            "alpha": 1 + len(of_alpha),
        }
        return checked(
            Heads,
            quadrupole=quadrupole if "quadrupole" in self.latents else (),
            alpha=alpha if "alpha" in self.latents else (),
            kappa_form="softplus" if self.positive else "linear",
            alpha_form=form,
            kappa_scale=self.kappa_scale,
            alpha_scale=self.alpha_scale,
            beside=sum(pieces[name] for name in self.latents[1:]) if local else 1,
        )


def take_heads(found: dict[str, Any] | None) -> Asked:
    """What the arguments of the library ask for; takes it out of them."""
    if found is None:
        return Asked()
    les = Arguments("les_args", found)
    latents = ("charge", *(name for name, flag in _FLAGS.items() if les.flag(flag, False)))
    anisotropic = les.flag("use_anisotropic_polarizability", False)
    irreps = str(les.take("alpha_irreps", "0e+1o+2e"))
    orders = {irrep.l for irrep in parse_irreps(irreps)}
    refuse_unless(
        not anisotropic or ("alpha" in latents and bool(orders & {1, 2})),
        f"les_args has use_anisotropic_polarizability with alpha_irreps {irreps!r} and "
        f"{_FLAGS['alpha']} = {'alpha' in latents}",
    )
    asked = Asked(
        latents,
        tuple(sorted(orders & {1, 2})) if anisotropic else (),
        les.flag("kappa_alpha_positive", True),
        float(les.number("kappa_scale", 0.1)),
        float(les.number("alpha_scale", 0.1)),
    )
    found.clear()
    found |= les.values
    return asked


def of_features(weights: Weights, heads: Heads, latents: tuple[str, ...], n: list[int]) -> Any:
    """Weights of the readouts of a NequIP network, by name.

    Args:
        weights: of the checkpoint.
        heads: what they are.
        latents: names.
        n: multiplicities of scalars at the end, and of vectors and tensors before the last layer.
    """
    has = {name: name in latents for name in _FLAGS}
    numbers = ["kappa"] * has["kappa"] + ["alpha"] * has["alpha"]
    vectors = ["latent_dipole_readout"] * has["dipole"]
    vectors += ["quad_1o_readout"] * ("dyads" in heads.quadrupole)
    vectors += ["alpha_1o_readout"] * ("dyads" in heads.alpha)
    tensors = ["quad"] * ("tensors" in heads.quadrupole) + ["alpha"] * ("tensors" in heads.alpha)
    state = {
        "scalar_readout": [
            weights.perceptron(f"latent_{name}_readout.mlp_module", n[0], (), 1)[0].squeeze(1)
            for name in numbers
        ],
        "vector_readout": [weights.take(f"{name}.linear.weight", n[1]) for name in vectors],
        "tensor_readout": [
            weights.take(f"{name}_2e_readout.linear.weight", n[2])
            * _basis_factor(weights, f"{name}_2e_cart")
            for name in tensors
        ],
    }
    return {f"{name}.weight": torch.stack(columns, 1) for name, columns in state.items() if columns}


def of_edges(
    weights: Weights, asked: Asked, multipoles: PublishedMultipoles, n_scalars: int, hidden: int
) -> list[Tensor]:
    """Weights of the one perceptron of an Allegro network that gives what edges weigh.

    Dyads 3 e e^T of a unit vector e are a number and a tensor of order 2.
    """
    axis = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    tensor = spherical_harmonics(axis, 2)[:, 4:].unsqueeze(2)
    per_tensor = 3.0 / (1.5 * float(Multipoles(("charge",), 1).matrices(tensor)[0, 0, 2, 2]))
    kappa, n_numbers = int(multipoles.kappa), multipoles.n_scalars
    first_tensor = n_numbers + multipoles.n_vectors
    parts: list[tuple[str, dict[int, float]]] = []
    if multipoles.kappa:
        parts.append(("edge_latent_kappa_readout.mlp_module", {0: 1.0}))
    if multipoles.alpha:
        parts.append(("edge_latent_alpha_readout.mlp_module", {kappa: 1.0}))
    if multipoles.dipole:
        parts.append(("edge_latent_dipole_weight_readout.mlp_module", {n_numbers: 1.0}))
    for name, there, column, number in (
        ("quad", multipoles.quadrupole, first_tensor, None),
        ("alpha", multipoles.a_tensors, first_tensor + int(multipoles.quadrupole), kappa),
    ):
        if there and f"edge_{name}_1o_weight.mlp_module.mlp.0.weight" in weights.tensors:
            columns = {column: per_tensor} | ({} if number is None else {number: 1.0})
            parts.append((f"edge_{name}_1o_weight.mlp_module", columns))
        if there and f"edge_{name}_2e_weight.mlp_module.mlp.0.weight" in weights.tensors:
            factor = _basis_factor(weights, f"edge_{name}_2e_outer")
            parts.append((f"edge_{name}_2e_weight.mlp_module", {column: factor}))
    first, last = [], []
    for name, columns in parts:
        before, after = weights.perceptron(name, n_scalars, (hidden,), 1)
        first.append(before)
        row = torch.zeros(hidden, first_tensor + multipoles.n_tensors, dtype=torch.float64)
        for column, factor in columns.items():
            row[:, column] = after.squeeze(1) * factor
        last.append(row * math.sqrt(len(parts)))
    return [torch.cat(first, 1), torch.cat(last)]


def _basis_factor(weights: Weights, name: str) -> float:
    """What matrices of the stored basis of order 2 are, relative to those of this project."""
    name = f"{name}.change_of_basis_2e"
    stored, ours = weights.take(name, 5, 3, 3), Multipoles(("charge",), 1).basis.view(5, 3, 3)
    factor = float((stored * ours).sum() / (ours * ours).sum())
    refuse_unless(
        bool(((stored - factor * ours).abs() < 1e-5).all()) and abs(factor) > 0.1,
        f"{name} is not the basis of symmetric tensors without trace",
    )
    return factor
