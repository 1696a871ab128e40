"""Dipoles, quadrupoles, kappa and alpha of all kinds of networks."""

import dataclasses
import math

import pytest
import torch
from cace_networks import LATENTS, assert_equal, build, cluster, edges, evaluate, stirred
from chunks import network_of
from torch import Tensor

from lammps_les.models import RepresentationConfig, build_network, default_config
from lammps_les.models import network_of as network_described
from lammps_les.models.cace.covariants import Mixtures
from lammps_les.models.kinds import KINDS
from lammps_les.models.multipoles import Multipoles
from lammps_les.models.o3.harmonics import spherical_harmonics

NETWORKS = [
    "one layer, multipoles",
    "three layers, separate, multipoles",
    "mace, multipoles",
    "nequip, multipoles",
    "allegro, multipoles",
]


def turned(out: dict[str, Tensor], rotation: Tensor) -> dict[str, Tensor]:
    """What atoms at r R have, where those at r have ``out``."""
    found = dict(out)
    found["dipole"] = out["dipole"] @ rotation
    for name in ("quadrupole", "alpha"):
        found[name] = rotation.T @ out[name] @ rotation
    return found


def orthogonal(sign: float) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return q * torch.linalg.det(q) * sign


@pytest.mark.parametrize("name", NETWORKS)
def test_they_turn_with_the_atoms(name):
    """Rotation, reflection, translation and another order of the atoms."""
    network = network_of(name)
    positions, edge_index, species = cluster()
    out = evaluate(network, positions, edge_index, species)
    assert list(out) == ["energy", *LATENTS]
    for key in LATENTS:
        assert out[key].std(0).min() > 1e-7, key
    order = torch.randperm(9, generator=torch.Generator().manual_seed(7))
    for sign in (1.0, -1.0):
        rotation = orthogonal(sign)
        moved = positions[order] @ rotation + torch.tensor([3.0, -2.0, 5.0])
        found = evaluate(network, moved, edges(moved), species[order])
        expected = {key: value[order] for key, value in turned(out, rotation).items()}
        assert_equal(found, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_shapes_signs_and_types(name):
    network = network_of(name)
    positions, edge_index, species = cluster()
    out = evaluate(network, positions, edge_index, species)
    shapes = ([9, 2], [9, 2, 3], [9, 2, 3, 3], [9, 2], [9, 2, 3, 3])
    assert [list(out[key].shape) for key in LATENTS] == list(shapes)
    for key in ("quadrupole", "alpha"):
        torch.testing.assert_close(out[key], out[key].mT, rtol=0, atol=1e-15)
    assert out["quadrupole"].diagonal(dim1=2, dim2=3).sum(2).abs().max() < 1e-14
    assert torch.linalg.eigvalsh(out["alpha"]).min() > -1e-15
    assert (out["kappa"] > 0).all()
    assert network.latent_names == list(LATENTS)
    single = evaluate(network.float(), positions.float(), edge_index, species)
    scripted = torch.jit.script(network)
    with torch.jit.optimized_execution(False):
        again = evaluate(scripted, positions.float(), edge_index, species)
    for key, value in single.items():
        assert value.dtype == torch.float32
        scale = float(out[key].detach().abs().max())
        torch.testing.assert_close(value.double(), out[key], rtol=0, atol=1e-4 * scale)
        torch.testing.assert_close(again[key], value, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_atom_by_itself_has_no_direction(name):
    network = network_of(name)
    none = torch.zeros(2, 0, dtype=torch.int64)
    out = network(torch.zeros(0, 3).double(), none, torch.tensor([0, 1, 2]), 3)
    assert not out["dipole"].any()
    assert not out["quadrupole"].any()
    isotropic = out["alpha"][..., :1, :1] * torch.eye(3)
    torch.testing.assert_close(out["alpha"], isotropic, rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_differences(name):
    network = network_of(name)
    positions, edge_index, species = cluster()
    generator = torch.Generator().manual_seed(8)

    def total(r: Tensor) -> Tensor:
        generator.manual_seed(8)
        out = evaluate(network, r, edge_index, species)
        sums = [
            (out[key] * torch.randn(out[key].shape, generator=generator, dtype=r.dtype)).sum()
            for key in LATENTS[1:]
        ]
        weights = (1.0, 1.0, 1e3, 10.0)
        return sum(w * x for w, x in zip(weights, sums, strict=True))

    leaf = positions.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(leaf), leaf)
    for atom, axis in ((0, 0), (4, 1), (8, 2)):
        step = torch.zeros_like(positions)
        step[atom, axis] = 1e-5
        slope = (total(positions + step) - total(positions - step)).item() / 2e-5
        assert gradient[atom, axis].item() == pytest.approx(slope, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_they_train_all_weights(name):
    network = network_of(name)
    out = evaluate(network, *cluster())
    sum(value.square().sum() for value in out.values()).backward()
    idle = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_network_has_little_alpha_and_is_described_by_its_configuration(kind):
    small = {"features": 4, "max_l": 2} if kind in ("mace", "nequip") else {}
    config = default_config(kind)
    config = dataclasses.replace(config, species=("H", "O"), latents=LATENTS, **small)
    network = build_network(config).double()
    positions, _, species = cluster()
    species = species % 2
    edge_index = edges(positions, network.cutoff)
    out = evaluate(network, positions, edge_index, species)
    identity = torch.eye(3).double().expand(9, 1, 3, 3)
    torch.testing.assert_close(out["alpha"], 0.01 * identity)
    assert not out["dipole"].any()
    assert not out["quadrupole"].any()
    found = stirred(network)
    again = network_described(kind, dataclasses.asdict(config)).double()
    again.load_state_dict(found.state_dict())
    expected = evaluate(found, positions, edge_index, species)
    assert expected["dipole"].any()
    assert_equal(evaluate(again, positions, edge_index, species), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_latents_that_cannot_be_are_refused(kind):
    top = "representation" if kind == "cace" else "max_l"
    low = {"max_l": 1} if kind == "cace" else 1
    name = "the representation's max_l" if kind == "cace" else "max_l"
    for latents, others, message in (
        (("charge", "spin"), {}, "expected charge and any of dipole, quadrupole, kappa, alpha"),
        (("dipole",), {}, "expected charge and any of"),
        (("charge", "dipole", "dipole"), {}, "each once"),
        (("charge", "alpha"), {top: low}, f"alpha needs {name} of at least 2, got 1"),
        (("charge", "dipole"), {"channels": 0}, "dipole need channels of at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            network_described(kind, {"species": ("H",), "latents": latents, **others})
    fields = {"species": ("H",), "latents": ["alpha", "charge", "dipole"], "channels": 1}
    described = network_described(kind, fields | ({} if kind != "nequip" else {"max_l": 2}))
    assert described.latent_names == ["charge", "dipole", "alpha"]


def test_vectors_and_tensors_follow_their_formulas():
    """With max_l 3: A_(a), A_0 A_(a), A_b A_(ab), A_(bc) A_(abc) summed; tensors likewise."""
    generator = torch.Generator().manual_seed(4)
    unit = torch.nn.functional.normalize(torch.randn(5, 3, generator=generator).double(), dim=1)
    w = torch.rand(5, generator=generator).double()
    moments = [torch.einsum("j,ja->a", w, unit), torch.einsum("j,ja,jb->ab", w, unit, unit)]
    third = torch.einsum("j,ja,jb,jc->abc", w, unit, unit, unit)
    zero, first, second = w.sum(), *moments
    a = [zero]
    for order, tensor in ((1, first), (2, second), (3, third)):
        for x in range(order, -1, -1):
            for y in range(order - x, -1, -1):
                axes = [0] * x + [1] * y + [2] * (order - x - y)
                a.append(tensor[tuple(axes)])
    basis = torch.stack(a).view(20, 1, 1)
    vectors = [
        first,
        zero * first,
        torch.einsum("b,ab->a", first, second),
        torch.einsum("bc,abc->a", second, third),
    ]
    six = torch.tensor([0, 1, 2, 4, 5, 8])
    tensors = [
        second,
        zero * second,
        torch.einsum("c,abc->ab", first, third),
        torch.outer(first, first),
    ]
    for order, expected in ((1, vectors), (2, [t.flatten()[six] for t in tensors])):
        mixtures = Mixtures(order, 3, 1, 4).double()
        mixtures.weights.data = torch.eye(4).double().unsqueeze(2)  # each by itself
        found = mixtures(basis)[:, :, 0]
        torch.testing.assert_close(found, torch.stack(expected, 1))


def test_irreps_of_order_2_are_symmetric_matrices_of_the_same_length():
    """The dyad v v^T without its trace, from the harmonics of v."""
    v = torch.nn.functional.normalize(torch.tensor([[0.3, -1.2, 0.7]]).double(), dim=1)
    found = Multipoles(("charge", "quadrupole"), 1).matrices(
        spherical_harmonics(v, 2)[:, 4:].unsqueeze(2)
    )[0, 0]
    expected = v.T @ v - torch.eye(3) / 3.0
    torch.testing.assert_close(found, expected * math.sqrt(5.0 / (2.0 / 3.0)))


def test_charges_with_their_own_environments_have_all_latents_there():
    large, small = RepresentationConfig(max_l=2), RepresentationConfig(max_l=1)
    with pytest.raises(ValueError, match="quadrupole needs the representation's max_l"):
        build(large, latents=("charge", "quadrupole"), charge_representation=small)
    network = build(small, latents=("charge", "quadrupole"), charge_representation=large)
    assert evaluate(network, *cluster())["quadrupole"].abs().max() > 1e-6
