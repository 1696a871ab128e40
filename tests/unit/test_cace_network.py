"""The network against its formulas written out, and its symmetries."""

import io
import itertools
import math

import pytest
import torch
from cace_networks import (
    REPRESENTATIONS,
    SMALL,
    SPECIES,
    assert_equal,
    build,
    cluster,
    edges,
    evaluate,
)

from lammps_les.models import MessageConfig, RepresentationConfig
from lammps_les.models.environments import pad_edges, pad_rows, pad_sent, pad_vectors

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


def features_of(module, vectors, edge_index, species):
    """Invariants of all layers, [n, n_features]."""
    n = len(species)
    env = pad_edges(edge_index[0], n, 0)
    padded, row = pad_vectors(env, vectors, module.cutoff), pad_rows(env, edge_index[1])
    kept, sent = vectors.new_zeros(n, 0), vectors.new_zeros(0, 0)
    for t in range(module.layers):
        taken = sent if t == 0 else pad_sent(env, edge_index[1], sent)
        outputs, _ = module(t, kept, taken, row, padded, species, None)
        if t < module.layers - 1:
            kept, sent = outputs
            assert (kept.size(1), sent.size(1)) == (module.kept[t], module.sent[t])
    return outputs[0]


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_features_follow_the_formulas(name):
    config = REPRESENTATIONS[name]
    module = build(config).representation
    positions, edge_index, species = cluster()
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    features = features_of(module, vectors, edge_index, species)
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
        assert (out["energy"] - full["energy"]).abs().max() > 1e-9  # 1,000 times the tolerance


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
    features = features_of(network.charge_representation, vectors, edge_index, species)
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
