"""The Allegro network of a checkpoint."""

from typing import Any

from torch import Tensor

from lammps_les.models import Chain, build_network
from lammps_les.models.allegro.config import AllegroConfig
from lammps_les.models.allegro.network import AllegroNetwork
from lammps_les.models.allegro.products import TensorProduct, harmonic_irreps
from lammps_les.models.o3.irreps import parse_irreps
from lammps_les_export.adapters.imported import checked, refuse_unless
from lammps_les_export.adapters.nequip_heads import Asked, of_edges
from lammps_les_export.adapters.nequip_state import (
    Arguments,
    Weights,
    average_neighbors,
    cutoff_of,
    pair_repulsion,
    take_what_has_no_influence,
    type_names,
)

_CHARGES = "edge_latent_charge_readout.mlp_module"


def read_allegro(
    arguments: Arguments, weights: Weights, asked: Asked
) -> tuple[Chain, dict[str, float], list[str]]:
    """The network, its atomic energies [eV], and what was decided."""
    take_what_has_no_influence(arguments)
    arguments.take("forward_normalize", None)
    for name, values in (
        ("weight_individual_irreps", (True,)),
        ("scalar_embed_mlp_nonlinearity", ("silu",)),
        ("allegro_mlp_nonlinearity", ("silu",)),
        ("readout_mlp_nonlinearity", ("silu",)),
    ):
        arguments.only(name, values)
    species = type_names(arguments)
    embed = Arguments("radial_chemical_embed", arguments.take("radial_chemical_embed"))
    embed.only("_target_", ("allegro.nn.TwoBodyBesselScalarEmbed",))
    embed.take("bessel_trainable", None)
    max_l, parity = _tensors(arguments)
    scalars = arguments.whole("num_scalar_features", 64)
    embedding = arguments.take("radial_chemical_embed_dim", None)
    scale = weights.by_species("per_type_energy_scale_shift.scales", len(species), 1.0)
    shifts = weights.by_species("per_type_energy_scale_shift.shifts", len(species), 0.0)
    config = checked(
        AllegroConfig,
        species=species,
        channels=int(f"{_CHARGES}.mlp.0.weight" in weights.tensors),
        latents=asked.latents,
        heads=asked.heads(max_l, local=True),
        cutoff=cutoff_of(arguments, weights),
        layers=arguments.whole("num_layers", 2),
        features=arguments.whole("num_tensor_features", 16),
        scalars=scalars,
        max_l=max_l,
        parity=parity,
        couple_channels=arguments.flag("tp_path_channel_coupling", True),
        embedding=scalars if embedding is None else embedding,
        n_bessel=embed.whole("num_bessels", 8),
        cutoff_power=embed.whole("polynomial_cutoff_p", 6),
        radial_hidden=arguments.hidden("scalar_embed_mlp", 64),
        latent_hidden=arguments.hidden("allegro_mlp", 64),
        readout_hidden=arguments.hidden("readout_mlp", 32),
        average_neighbors=average_neighbors(arguments, species),
        scale=tuple(scale),
        **pair_repulsion(arguments, weights, species),
    )
    embed.refuse_others()
    network: Any = build_network(config).double()
    state = _state(config, network, weights)
    if config.heads is not None:
        n_scalars, hidden = scalars * (config.layers + 1), config.readout_hidden
        refuse_unless(len(hidden) == 1, f"latents of edges with {len(hidden)} hidden layers")
        layers = of_edges(weights, asked, network.multipoles, n_scalars, hidden[0])
        state |= {f"edge_readout.layers.{k}.weight": layer for k, layer in enumerate(layers)}
    network.load_state_dict(state)
    return network.eval(), dict(zip(species, shifts, strict=True)), []


def _tensors(arguments: Arguments) -> tuple[int, str]:
    """Highest order and parity."""
    if not arguments.owner.endswith("FullAllegroModel"):
        max_l = arguments.whole("l_max", most=4)
        return max_l, "full" if arguments.flag("parity", True) else "natural"
    harmonics = arguments.take("irreps_edge_sh")
    max_l = harmonics if isinstance(harmonics, int) else len(parse_irreps(str(harmonics))) - 1
    refuse_unless(
        0 <= max_l <= 4
        and (isinstance(harmonics, int) or parse_irreps(harmonics) == harmonic_irreps(max_l)),
        f"harmonics {harmonics}, supported are 1x0e+1x1o+1x2e... up to 1x4e",
    )
    allowed = set(parse_irreps(str(arguments.take("tensor_track_allowed_irreps"))))
    natural = set(harmonic_irreps(max_l))
    full = natural | {irrep._replace(parity=-irrep.parity) for irrep in natural}
    refuse_unless(allowed in (natural, full), f"tensor_track_allowed_irreps {allowed}")
    return max_l, "full" if allowed == full else "natural"


def _state(config: AllegroConfig, network: AllegroNetwork, weights: Weights) -> dict[str, Tensor]:
    """Weights by the names of the network."""
    n_species, half = len(config.species), config.embedding // 2
    n_weights = config.features * (config.max_l + 1)
    embed = "radial_chemical_embed"
    frequencies = weights.take(f"{embed}.bessel_encode.bessel_weights", 1, config.n_bessel)
    state = {"basis.frequencies": frequencies[0]}
    for ours, theirs in (
        ("center_embedding", "center_embed"),
        ("neighbor_embedding", "neighbor_embed"),
    ):
        name = f"{embed}.type_embed.{theirs}.weight"
        state[ours] = weights.take(name, n_species, half)

    def perceptron(ours: str, theirs: str, n_in: int, hidden: tuple[int, ...], n_out: int) -> None:
        layers = weights.perceptron(theirs, n_in, hidden, n_out)
        state.update({f"{ours}.layers.{k}.weight": weight for k, weight in enumerate(layers)})

    def linear(ours: str, theirs: str, n_in: int, n_out: int) -> None:
        state[f"{ours}.weight"] = weights.perceptron(theirs, n_in, (), n_out)[0]

    s, hidden = config.scalars, config.radial_hidden
    linear("radial", f"{embed}.type_embed.basis_linear", config.n_bessel, config.embedding)
    perceptron("two_body", "scalar_embed_mlp.mlp_module", config.embedding, hidden, s)
    linear("first_tensors", "tensor_embed.env_embed_linear", s, n_weights)
    linear("first_scalars", "allegro.first_layer_env_embed_projection", s, s + n_weights)
    for t, layer in enumerate(network.tensor_layers):
        product: TensorProduct = layer.product  # type: ignore[assignment]
        n_features, n_paths = product.weights.shape
        coupled, one = n_features > 1 or config.couple_channels, n_paths == 1
        shape = [n_features] * coupled + [n_paths] * (not one)  # of one path, there is no axis
        found = weights.take(f"allegro.tps.{t}.weights", *shape)
        rounding = _rounding(product, weights, f"allegro.tps.{t}.w3j")
        state[f"tensor_layers.{t}.product.weights"] = found.view(n_features, n_paths) * rounding
        n_in = s * (t + 1) + config.features
        n_out = s + (n_weights if t < config.layers - 1 else 0)
        perceptron(
            f"tensor_layers.{t}.latent", f"allegro.latents.{t}", n_in, config.latent_hidden, n_out
        )
    n_scalars, hidden = s * (config.layers + 1), config.readout_hidden
    perceptron("energy_readout", "edge_readout.mlp_module", n_scalars, hidden, 1)
    if config.channels > 0:
        perceptron("charge_readout", _CHARGES, n_scalars, hidden, 1)
    return state


def _rounding(product: TensorProduct, weights: Weights, name: str) -> Tensor:
    """What the stored coupling of each path is, relative to the exact one: [paths].

    It is stored in the type of the training and was used so. This part of its rounding keeps the
    invariance under rotations.
    """
    n_paths = product.weights.size(1)
    exact = product.table.view(n_paths, -1, product.size_before, product.size_after)
    exact = exact.transpose(1, 2)
    stored = weights.tensors.pop(name)
    if n_paths == 1:
        stored = stored.unsqueeze(0)
    if stored.dim() == 3:  # where only products of equal components are
        exact = exact.diagonal(dim1=1, dim2=2).transpose(1, 2)
    refuse_unless(
        stored.shape == exact.shape and bool(((stored - exact).abs() < 1e-5).all()),
        f"{name} is not the coupling of tensors that belongs to this model",
    )
    stored, exact = stored.flatten(1), exact.flatten(1)
    return (stored * exact).sum(1) / (exact * exact).sum(1)
