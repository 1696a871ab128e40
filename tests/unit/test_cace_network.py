"""The network against its formulas written out, and its symmetries."""

import io
import itertools
import math

import pytest
import torch

from lammps_les import _core
from lammps_les.electrostatics import (
    EdgeResponse,
    born_effective_charges_by_layer,
    edge_response,
)
from lammps_les.models import (
    LesNetwork,
    MessageConfig,
    NetworkConfig,
    ReadoutConfig,
    RepresentationConfig,
)

SMALL = {"cutoff": 3.0, "n_bessel": 3, "n_radial": 4, "max_l": 2}
REPRESENTATIONS = {
    "one layer": RepresentationConfig(**SMALL),
    "nu 1": RepresentationConfig(**SMALL, max_nu=1),
    "no angles": RepresentationConfig(**{**SMALL, "max_l": 0}),
    "nu 4": RepresentationConfig(**{**SMALL, "max_l": 4}, max_nu=4, embedding_size=1),
    "shared mixing": RepresentationConfig(**SMALL, mixing_per_channel=False, embedding_size=3),
    "shared messages": RepresentationConfig(**SMALL, layers=2),
    "full messages": RepresentationConfig(
        **SMALL,
        layers=2,
        messages=(MessageConfig(per_l=True, per_channel=True, invariant_hidden=(5,)),),
    ),
    "per channel": RepresentationConfig(
        **SMALL, layers=2, messages=(MessageConfig(per_channel=True, memory=False),)
    ),
    "attenuated": RepresentationConfig(
        **SMALL, layers=2, messages=(MessageConfig(attenuated=True, invariant=False),)
    ),
    "three layers": RepresentationConfig(
        **SMALL, layers=3, messages=(MessageConfig(attenuated=True), MessageConfig(per_l=True))
    ),
}
SPECIES = ("H", "O", "Na")


def build(representation: RepresentationConfig, **others) -> LesNetwork:
    torch.manual_seed(1)
    config = NetworkConfig(
        species=SPECIES,
        channels=others.pop("channels", 2),
        representation=representation,
        energy=ReadoutConfig(hidden=(6, 5), scale=0.5),
        charge=ReadoutConfig(hidden=(6,), bias=False),
        **others,
    )
    return LesNetwork(config).double()


def edges(positions: torch.Tensor, cutoff: float = 3.0) -> torch.Tensor:
    distance = torch.cdist(positions, positions) + 10 * cutoff * torch.eye(len(positions))
    return torch.nonzero(distance < cutoff).t()


def cluster(n_atoms: int = 9, seed: int = 2, spread: float = 1.6) -> tuple[torch.Tensor, ...]:
    """Positions, edges, species; no two atoms closer than 0.7 A."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(1, 3, dtype=torch.float64)
    while len(chosen) < n_atoms:
        new = spread * torch.randn(1, 3, generator=generator, dtype=torch.float64)
        if torch.cdist(chosen, new).min() > 0.7:
            chosen = torch.cat([chosen, new])
    species = torch.randint(len(SPECIES), (n_atoms,), generator=generator)
    return chosen, edges(chosen), species


def evaluate(network, positions, edge_index, species, n_centers=None):
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    return network(vectors, edge_index, species, len(species) if n_centers is None else n_centers)


def assert_equal(out, expected, tolerance=1e-12):
    for key in ("energy", "charge"):
        torch.testing.assert_close(out[key], expected[key], rtol=tolerance, atol=tolerance)


# The formulas of Cheng, npj Comput. Mater. 10, 157 (2024), over all edges, without factorisation


def orders(max_l):
    indices = [i for i in itertools.product(range(max_l + 1), repeat=3) if sum(i) <= max_l]
    return sorted(indices, key=sum)


def weight(i):
    return math.factorial(sum(i)) / math.prod(math.factorial(n) for n in i)


def plus(i, j):
    return tuple(a + b for a, b in zip(i, j, strict=True))


def invariants(a, max_l, max_nu):
    """Dictionary of A, multi-index -> [n, c, m], to the list of B."""
    of = [[i for i in a if sum(i) == order] for order in range(max_l + 1)]
    ls = range(1, max_l + 1)
    out = [a[0, 0, 0]]
    if max_nu >= 2:
        out += [sum(weight(i) * a[i] ** 2 for i in of[p]) for p in ls]
    if max_nu >= 3:
        for p, q in itertools.product(ls, ls):
            if p <= q and p + q <= max_l:
                terms = itertools.product(of[p], of[q])
                out.append(
                    sum(weight(i) * weight(j) * a[i] * a[j] * a[plus(i, j)] for i, j in terms)
                )
    if max_nu >= 4:
        for p, q, s in itertools.product(ls, ls, ls):
            if p < q and q + s <= max_l:
                out.append(
                    sum(
                        weight(i)
                        * weight(j)
                        * weight(d)
                        * a[i]
                        * a[j]
                        * a[plus(i, d)]
                        * a[plus(j, d)]
                        for i, j, d in itertools.product(of[p], of[q], of[s])
                    )
                )
    return out


def slow_features(module, config, positions, edge_index, species):
    center, neighbor = edge_index
    n, k = len(positions), config.embedding_size
    vector = positions[neighbor] - positions[center]
    r = vector.norm(dim=1, keepdim=True)
    x, p = r / config.cutoff, config.cutoff_power
    step = (
        1
        - (p + 1) * (p + 2) / 2 * x**p
        + p * (p + 2) * x ** (p + 1)
        - p * (p + 1) / 2 * x ** (p + 2)
    )
    radial = math.sqrt(2 / config.cutoff) * torch.sin(module.radial.frequencies * r) / r * step
    unit = vector / r
    channel = torch.einsum(
        "ea,eb->eab", module.sender[species[neighbor]], module.receiver[species[center]]
    )
    channel = channel.reshape(len(center), k * k)

    def gather(values):
        return torch.zeros(n, *values.shape[1:], dtype=values.dtype).index_add(0, center, values)

    def mixing(order):
        return module.mixing[order].expand(k * k, -1, -1)

    def first(i, h):
        angular = (unit ** torch.tensor(i)).prod(1)
        basis = torch.einsum("eb,e,ec->ecb", radial, angular, channel * h)
        return torch.einsum("ncb,cbm->ncm", gather(basis), mixing(sum(i)))

    a = {i: first(i, torch.ones(1)) for i in orders(config.max_l)}
    features = []
    for layer in range(config.layers):
        b = torch.stack(invariants(a, config.max_l, config.max_nu), 1)  # [n, p, c, m]
        features.append(b.reshape(n, -1))
        if layer == config.layers - 1:
            break
        message = module.messages[layer]
        new = {i: 0.0 for i in a}
        if message.invariant is not None:
            h = message.invariant.perceptron(features[-1])
            h = h.view(n, message.invariant.n_orders, message.invariant.n_channels)
            for i in a:
                new[i] = new[i] + first(i, h[neighbor, min(sum(i), h.size(1) - 1)])
        if message.attenuated is not None:
            for i in a:
                kappa = message.attenuated.kappa[sum(i)].view(k * k, -1)
                factor = message.attenuated.prefactor[sum(i)].view(k * k, -1)
                decay = factor * torch.exp(-kappa * r[:, :, None]) * step[:, :, None]
                new[i] = new[i] + gather(decay * a[i][neighbor])
        for i in a:
            kept = message.memory[sum(i)][:, 0] * a[i] if message.memory is not None else 0.0
            new[i] = new[i] / math.sqrt(config.average_neighbors) + kept
        a = new
    return torch.cat(features, 1)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_features_follow_the_formulas(name):
    config = REPRESENTATIONS[name]
    module = build(config).representation
    positions, edge_index, species = cluster()
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    features = module(vectors, edge_index, species, len(species))[0]
    expected = slow_features(module, config, positions, edge_index, species)
    # the softening of unit vectors, 1e-9 A, is the one thing that the formulas do not have
    torch.testing.assert_close(features, expected, rtol=1e-7, atol=1e-9)
    assert features.shape == (len(species), module.n_features)
    assert features.abs().min() > 0


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_rotation_inversion_and_permutation(name):
    network = build(REPRESENTATIONS[name])
    positions, edge_index, species = cluster()
    expected = evaluate(network, positions, edge_index, species)
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))
    assert_equal(evaluate(network, positions @ rotation, edge_index, species), expected)
    assert_equal(evaluate(network, -positions, edge_index, species), expected)

    order = torch.randperm(len(species))
    permuted = evaluate(network, positions[order], edges(positions[order]), species[order])
    assert_equal(permuted, {key: value[order] for key, value in expected.items()})
    assert expected["energy"].std() > 1e-4
    assert expected["charge"].std() > 1e-4


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_nothing_jumps_at_the_cutoff(name):
    network = build(REPRESENTATIONS[name])
    species = torch.tensor([0, 1, 2])

    def results(distance):
        positions = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [1.0, distance, 0]]).double()
        positions.requires_grad_()
        out = evaluate(network, positions, edges(positions.detach()), species)
        total = out["energy"].sum() + out["charge"].sum()
        return total.detach(), torch.autograd.grad(total, positions)[0][2, 1]

    outside, force_outside = results(3.0 + 1e-9)
    for gap in (1e-2, 1e-3):
        inside, force_inside = results(3.0 - gap)
        # the cutoff function goes to zero as the third power, its slope as the second
        assert 0 < abs(inside - outside) < 1e2 * gap**3
        assert abs(force_inside - force_outside) < 3e2 * gap**2


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_edges_beyond_the_cutoff_count_nothing(name):
    """A neighbor list with a skin is as good as one without."""
    network = build(REPRESENTATIONS[name])
    positions, edge_index, species = cluster(40, spread=4.0)
    expected = evaluate(network, positions, edge_index, species)
    longer = edges(positions, 4.5)
    assert longer.size(1) > edge_index.size(1)
    assert_equal(evaluate(network, positions, longer, species), expected)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_empty_and_isolated(name):
    network = build(REPRESENTATIONS[name])
    none, no_vectors = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3).double()
    out = network(no_vectors, none, torch.tensor([0, 1]), 2)
    # without neighbors nothing distinguishes the elements, and readouts without constants give 0
    assert out["energy"].shape == (2,)
    assert out["energy"][0] == out["energy"][1]
    assert torch.isfinite(out["energy"]).all()
    assert torch.equal(out["charge"], torch.zeros(2, 2).double())
    for species in (torch.zeros(0, dtype=torch.int64), torch.tensor([0])):
        out = network(no_vectors, none, species, 0)
        assert out["energy"].shape == (0,)
        assert out["charge"].shape == (0, 2)

    positions, edge_index, species = cluster()
    alone = evaluate(network, positions, edge_index, species)
    far = torch.cat([positions, torch.full((1, 3), 99.0).double()])
    more = evaluate(network, far, edge_index, torch.cat([species, torch.tensor([1])]))
    assert_equal({key: value[:-1] for key, value in more.items()}, alone)
    assert torch.equal(more["charge"][-1], torch.zeros(2).double())


def rings(edge_index, n_atoms, n_centers, layers):
    """Atoms within 0, 1, ... layers edges of the centers, as masks."""
    reached = [torch.arange(n_atoms) < n_centers]
    for _ in range(layers):
        mask = reached[-1].clone()
        mask[edge_index[1][mask[edge_index[0]]]] = True
        reached.append(mask)
    return reached


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_edges_of_outer_atoms_do_not_matter(name):
    network = build(REPRESENTATIONS[name])
    positions, edge_index, species = cluster(40, spread=4.0)
    n_centers = 3
    full = evaluate(network, positions, edge_index, species, n_centers)
    everything = evaluate(network, positions, edge_index, species)
    assert_equal(full, {key: value[:n_centers] for key, value in everything.items()})

    reached = rings(edge_index, len(species), n_centers, network.layers)
    needed = reached[network.layers - 1][edge_index[0]]
    assert 0 < needed.sum() < len(needed)
    assert_equal(evaluate(network, positions, edge_index[:, needed], species, n_centers), full)

    # what is not needed is not read: vectors without meaning leave no trace
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    vectors[~needed] = torch.nan
    assert_equal(network(vectors, edge_index, species, n_centers), full)

    # and what is needed is: without the edges of one more ring the result differs
    if network.layers > 1:
        fewer = edge_index[:, reached[network.layers - 2][edge_index[0]]]
        out = evaluate(network, positions, fewer, species, n_centers)
        assert (out["energy"] - full["energy"]).abs().max() > 1e-8


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_script_gives_the_same_after_saving(name):
    network = build(REPRESENTATIONS[name])
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(network), stream)
    stream.seek(0)
    scripted = torch.jit.load(stream)
    assert list(scripted.species) == list(SPECIES)
    assert scripted.cutoff == 3.0
    assert scripted.layers == network.layers
    assert scripted.channels == 2
    positions, edge_index, species = cluster()
    vectors = (positions[edge_index[1]] - positions[edge_index[0]]).requires_grad_()
    with torch.jit.optimized_execution(False):
        results = [model(vectors, edge_index, species, 5) for model in (network, scripted)]
        assert_equal(results[1], results[0], 0.0)
        gradients = [
            torch.autograd.grad(out["energy"].sum() + out["charge"].sum(), vectors)[0]
            for out in results
        ]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=0)


def by_layer(network, vectors, edge_index, species, n_centers):
    """sum_j (r_j - r_i)_a dQ_j/dr_ib of a script of the network, from its cuts, twice."""
    scripted = torch.jit.script(network)
    with torch.jit.optimized_execution(False):
        outputs, cuts, taken = scripted.by_layer(vectors, edge_index, species, n_centers)
    charges = outputs["charge"].sum(1)
    responses = [
        edge_response(charges, cuts, taken, vectors, False),
        EdgeResponse(*_core.edge_response(charges, cuts, taken, vectors)),  # uses the graph up
    ]
    return [
        born_effective_charges_by_layer(response, vectors, edge_index, len(species))
        for response in responses
    ]


@pytest.mark.parametrize("n_centers", [9, 3])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("name", ["shared messages", "full messages", "attenuated", "three layers"])
def test_layers_one_by_one_respond_like_the_whole(name, separate, n_centers):
    """The same from positions at once; also where only some atoms are asked for, as with ghosts."""
    others = {"charge_representation": REPRESENTATIONS[name]} if separate else {}
    network = build(REPRESENTATIONS[name], **others)
    positions, edge_index, species = cluster()
    positions.requires_grad_()
    q = evaluate(network, positions, edge_index, species, n_centers)["charge"].sum(1)
    [of_all] = torch.autograd.grad([q.sum()], [positions], retain_graph=True)
    tensor = []
    for axis in range(3):
        r = positions.detach()[:, axis]
        [weighed] = torch.autograd.grad([(q * r[:n_centers]).sum()], [positions], retain_graph=True)
        tensor.append(weighed - r[:, None] * of_all)
    whole = torch.stack(tensor, 1)
    assert whole.abs().max() > 1e-3

    r = positions.detach()
    vectors = (r[edge_index[1]] - r[edge_index[0]]).requires_grad_()
    for found in by_layer(network, vectors, edge_index, species, n_centers):
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["full messages", "three layers"])
def test_layers_without_edges_do_not_respond(name):
    none = torch.zeros([2, 0], dtype=torch.int64)
    vectors = torch.zeros([0, 3], dtype=torch.float64, requires_grad=True)
    for n in (0, 3):
        species = torch.zeros(n, dtype=torch.int64)
        for found in by_layer(build(REPRESENTATIONS[name]), vectors, none, species, n):
            assert torch.equal(found, torch.zeros(n, 3, 3).double())


@pytest.mark.parametrize("name", ["one layer", "nu 4", "full messages", "three layers"])
def test_second_derivatives(name):
    network = build(REPRESENTATIONS[name])
    positions, edge_index, species = cluster(4)
    vectors = (positions[edge_index[1]] - positions[edge_index[0]]).requires_grad_()
    parameter = network.representation.mixing

    def results(vectors, _parameter):
        out = network(vectors, edge_index, species, 3)
        return out["energy"], out["charge"]

    assert torch.autograd.gradcheck(lambda v: results(v, None), vectors)
    assert torch.autograd.gradgradcheck(lambda v: results(v, None), vectors, atol=1e-4)
    # training: the derivative of forces by parameters
    energy = network(vectors, edge_index, species, 3)["energy"].sum()
    (force,) = torch.autograd.grad(energy, vectors, create_graph=True)
    (found,) = torch.autograd.grad(force.square().sum(), parameter)
    step = torch.zeros_like(parameter)
    step.view(-1)[3] = 1e-5
    losses = []
    for sign in (1, -1):
        parameter.data += sign * step
        energy = network(vectors, edge_index, species, 3)["energy"].sum()
        losses.append(torch.autograd.grad(energy, vectors)[0].square().sum())
        parameter.data -= sign * step
    expected = (losses[0] - losses[1]) / 2e-5
    torch.testing.assert_close(found.view(-1)[3], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_single_precision(name):
    positions, edge_index, species = cluster()
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    double = build(REPRESENTATIONS[name])(vectors, edge_index, species, 9)
    single = build(REPRESENTATIONS[name]).float()(vectors.float(), edge_index, species, 9)
    for key in ("energy", "charge"):
        assert single[key].dtype == torch.float32
        torch.testing.assert_close(single[key].double(), double[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_parameter_is_trained(name):
    network = build(REPRESENTATIONS[name])
    out = evaluate(network, *cluster())
    (out["energy"].square().sum() + out["charge"].square().sum()).backward()
    idle = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_separate_representation_for_charges():
    ours, theirs = REPRESENTATIONS["one layer"], REPRESENTATIONS["shared mixing"]
    network = build(ours, charge_representation=theirs)
    positions, edge_index, species = cluster()
    out = evaluate(network, positions, edge_index, species)
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    features = network.charge_representation(vectors, edge_index, species, len(species))[0]
    assert torch.equal(out["charge"], network.charge_readout(features))
    assert_equal(evaluate(torch.jit.script(network), positions, edge_index, species), out)
    with pytest.raises(ValueError, match="layers 1 and 2"):
        build(ours, charge_representation=REPRESENTATIONS["full messages"])
    with pytest.raises(ValueError, match="cutoff 3.0 and 4.0"):
        build(ours, charge_representation=RepresentationConfig(**{**SMALL, "cutoff": 4.0}))


def test_energy_only():
    network = build(REPRESENTATIONS["one layer"], channels=0)
    out = evaluate(torch.jit.script(network), *cluster())
    assert out["charge"].shape == (9, 0)
    assert out["energy"].shape == (9,)
    assert not [key for key in network.state_dict() if key.startswith("charge")]


def test_impossible_configurations_are_refused():
    with pytest.raises(ValueError, match="max_nu is 5"):
        build(RepresentationConfig(max_nu=5))
    with pytest.raises(ValueError, match="4 layers need 3 message configurations, got 2"):
        build(RepresentationConfig(layers=4, messages=(MessageConfig(), MessageConfig())))
    with pytest.raises(ValueError, match="needs 'attenuated' or 'invariant'"):
        build(RepresentationConfig(layers=2, messages=(MessageConfig(invariant=False),)))


def differentiated(network, vectors, edge_index, species, n_centers, weights, with_energy):
    """What ``pull_back`` gives, by automatic differentiation."""
    vectors = vectors.detach().clone().requires_grad_()
    out = network(vectors, edge_index, species, n_centers)
    rows = []
    for index, weight in enumerate(weights):
        total = (out["charge"] * weight).sum() + 0.0 * vectors.sum()
        if with_energy and index == 0:
            total = total + out["energy"].sum()
        rows.append(torch.autograd.grad(total, vectors, retain_graph=True)[0])
    return torch.stack(rows)


ONE_LAYER = {
    **{name: (part, None) for name, part in REPRESENTATIONS.items() if part.layers == 1},
    "separate": (REPRESENTATIONS["nu 4"], REPRESENTATIONS["shared mixing"]),
    "separate, many": (REPRESENTATIONS["one layer"], REPRESENTATIONS["nu 1"]),
}


@pytest.mark.parametrize(
    ("name", "channels"),
    [*itertools.product(ONE_LAYER, [1, 2]), ("one layer", 0), ("separate", 0)],
)
def test_written_out_derivatives(name, channels):
    """``keeping`` and ``pull_back`` against ``forward``, differentiated; scripted, as in a file."""
    representation, separate = ONE_LAYER[name]
    network = build(representation, charge_representation=separate, channels=channels)
    scripted = torch.jit.script(network)
    positions, _, species = cluster(40, spread=4.0)
    edge_index = edges(positions, 3.3)  # with some beyond the cutoff
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    generator = torch.Generator().manual_seed(3)
    for n_centers in (40, 7):
        expected = network(vectors, edge_index, species, n_centers)
        with torch.jit.optimized_execution(False):
            out, kept = scripted.keeping(vectors, edge_index, species, n_centers)
        assert_equal(out, expected)
        assert not any(tensor.requires_grad for tensor in [*out.values(), *kept])
        for k, with_energy in ((1, True), (1, False), (3, True), (2, False)):
            weights = torch.randn(k, n_centers, channels, generator=generator).double()
            with torch.jit.optimized_execution(False):
                found = scripted.pull_back(kept, weights, with_energy)
            arguments = (vectors, edge_index, species, n_centers, weights, with_energy)
            by_graph = differentiated(network, *arguments)
            assert found.shape == (k, len(vectors), 3)
            torch.testing.assert_close(found, by_graph, rtol=1e-12, atol=1e-12)
            if channels > 0 or with_energy:
                assert found[0].abs().max() > 1e-3


@pytest.mark.parametrize("name", ONE_LAYER)
def test_written_out_derivatives_in_single_precision(name):
    representation, separate = ONE_LAYER[name]
    positions, edge_index, species = cluster()
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    results = []
    for dtype in (torch.float32, torch.float64):
        network = build(representation, charge_representation=separate).to(dtype)
        _, kept = network.keeping(vectors.to(dtype), edge_index, species, 9)
        results.append(network.pull_back(kept, torch.ones(2, 9, 2, dtype=dtype), True))
    assert results[0].dtype == torch.float32
    scale = float(results[1].abs().max())
    torch.testing.assert_close(results[0].double(), results[1], rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["one layer", "separate"])
def test_written_out_derivatives_of_nothing(name):
    representation, separate = ONE_LAYER[name]
    network = build(representation, charge_representation=separate)
    none, no_vectors = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3).double()
    for species, n in ((torch.tensor([0, 1]), 2), (torch.tensor([0]), 0)):
        _, kept = network.keeping(no_vectors, none, species, n)
        assert network.pull_back(kept, torch.ones(2, n, 2).double(), True).shape == (2, 0, 3)
    # edges of atoms that nobody asks for
    positions, edge_index, species = cluster()
    outer = edge_index[:, edge_index[0] > 3]
    vectors = positions[outer[1]] - positions[outer[0]]
    for n in (0, 3):
        _, kept = network.keeping(vectors, outer, species, n)
        gradient = network.pull_back(kept, torch.ones(2, n, 2).double(), True)
        assert torch.equal(gradient, torch.zeros(2, len(vectors), 3).double())


def test_derivatives_are_written_out_for_one_layer_only():
    network = build(REPRESENTATIONS["three layers"])
    positions, edge_index, species = cluster()
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    with pytest.raises(RuntimeError, match="one layer"):
        network.keeping(vectors, edge_index, species, 9)


@pytest.mark.parametrize("kind", ["one layer", "nu 4", "separate charges", "no charges"])
def test_edges_in_rows(kind: str) -> None:
    """``keeping_in_rows`` and ``pull_back_in_rows``, scripted, against those of a list of edges."""
    others = {}
    if kind == "separate charges":
        others["charge_representation"] = REPRESENTATIONS["shared mixing"]
    if kind == "no charges":
        others["channels"] = 0
    name = kind if kind in REPRESENTATIONS else "one layer"
    network = torch.jit.script(build(REPRESENTATIONS[name], **others))
    positions, edge_index, species = cluster()
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    n, width = len(species), 12
    generator = torch.Generator().manual_seed(5)
    rows = torch.zeros(n, width, 3, dtype=torch.float64)
    rows[..., 1] = 2.0 * network.cutoff
    neighbors = torch.randint(len(SPECIES), (n, width), generator=generator)
    counts = [int((edge_index[0] == center).sum()) for center in range(n)]
    places = torch.cat(
        [
            center * width + torch.randperm(width, generator=generator)[:count]
            for center, count in enumerate(counts)
        ]
    )
    rows.view(-1, 3)[places] = vectors
    neighbors.view(-1)[places] = species[edge_index[1]]
    expected, kept = network.keeping(vectors, edge_index, species, n)
    found, kept_of_rows = network.keeping_in_rows(rows, neighbors, species)
    assert_equal(found, expected)
    weights = torch.randn(2, *expected["charge"].shape, generator=generator, dtype=torch.float64)
    for with_energy in (False, True):
        gradient = network.pull_back_in_rows(kept_of_rows, weights, with_energy)
        assert gradient.shape == (2, n, width, 3)
        flat = gradient.flatten(1, 2)
        reference = network.pull_back(kept, weights, with_energy)
        torch.testing.assert_close(flat[:, places], reference, rtol=1e-11, atol=1e-11)
        empty = torch.ones(n * width, dtype=torch.bool)
        empty[places] = False
        assert flat[:, empty].abs().max() == 0.0


def test_rows_without_places_or_atoms() -> None:
    network = build(REPRESENTATIONS["one layer"])
    for n, width in ((3, 0), (0, 5), (3, 2)):
        rows = torch.full((n, width, 3), 4.0, dtype=torch.float64)
        species = torch.zeros(n, dtype=torch.int64)
        none = torch.zeros(n, width, dtype=torch.int64)
        out, kept = network.keeping_in_rows(rows, none, species)
        lone = network(rows[0, :0] if n else rows.view(-1, 3), torch.zeros(2, 0).long(), species, n)
        assert_equal(out, lone)
        gradient = network.pull_back_in_rows(kept, torch.ones(1, n, 2).double(), True)
        assert gradient.shape == (1, n, width, 3)
        assert gradient.abs().sum() == 0.0
