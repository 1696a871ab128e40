"""Kernels of edges and tally, played or on a GPU, against plain tensor operations."""

from pathlib import Path

import numpy as np
import pytest
import torch
from played import (
    CUTOFF,
    WIDTHS,
    Played,
    assert_same_bits,
    complaint,
    edge_list,
    play,
    tally_input,
)


@pytest.fixture(scope="module")
def results(gpu: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("played"), gpu, ["edges", "tally"])


def test_order_of_threads_does_not_matter(results: Played) -> None:
    assert_same_bits(results)


def assert_edges(found: dict[str, np.ndarray]) -> None:
    """Those of the list that are near, in its order, as many as there are places."""
    given = {name: t.numpy() for name, t in edge_list().items()}
    x, first, atom = given["x"], given["first"], given["atom"]
    n = len(first) - 1
    near = [
        [e for e in range(first[i], first[i + 1]) if np.linalg.norm(x[atom[e]] - x[i]) < CUTOFF]
        for i in range(n)
    ]
    most = max(map(len, near))
    assert WIDTHS["narrow"] < most <= WIDTHS["wide"]
    assert near[4] == []
    assert 6 not in [atom[e] for e in near[5]]  # exactly the cutoff away
    for name, width in WIDTHS.items():
        assert found[f"edges {name}_most"] == most
        vectors = found[f"edges {name}_vectors"].reshape(n, width, 3)
        center, neighbor = found[f"edges {name}_index"].reshape(2, n, width)
        for i, row in enumerate(near):
            kept = row[:width]
            np.testing.assert_array_equal(vectors[i, : len(kept)], x[atom[kept]] - x[i])
            np.testing.assert_array_equal(neighbor[i, : len(kept)], given["number"][kept])
            np.testing.assert_array_equal(vectors[i, len(kept) :, 0], 2.0 * CUTOFF)
            np.testing.assert_array_equal(vectors[i, len(kept) :, 1:], 0.0)
            np.testing.assert_array_equal(neighbor[i, len(kept) :], i)
            np.testing.assert_array_equal(center[i], i)


def assert_tally(found: dict[str, np.ndarray]) -> None:
    """Sums by index_add, and forces that are not numbers where they must not be."""
    for dtype in (torch.float32, torch.float64):
        t = tally_input(dtype)
        center, neighbor = t["index"]
        n, n_all, g = len(t["energy"]), t["n_all"], t["gradient"]
        forces = torch.zeros(n_all, 3, dtype=torch.float64)
        forces.index_add_(0, center, g).index_add_(0, neighbor, -g)
        forces[:n] += t["far_force"]
        w = t["vectors"].T @ g
        energies = torch.stack([t["energy"].double(), t["far_energy"]], 1)
        virial = t["far_virial"] - 0.5 * (w + w.T)
        sums = [forces.view(-1), energies.view(-1), virial.view(-1), torch.zeros(1)]
        values = found[f"tally {dtype}"]
        # 40 gradients or so, each rounded to 2^-40 eV/A
        np.testing.assert_allclose(values, torch.cat(sums), rtol=1e-13, atol=3e-11)
    wild = found["tally wild"][: 3 * n_all].reshape(n_all, 3)
    index = tally_input()["index"]
    marked = {int(i) for i in index[:, [7, 80]].flatten()}
    assert {int(i) for i in np.flatnonzero(np.isnan(wild).all(1))} == marked
    others = [i for i in range(n_all) if i not in marked]
    np.testing.assert_array_equal(
        wild[others], found["tally torch.float32"][: 3 * n_all].reshape(n_all, 3)[others]
    )


def test_edges(results: Played) -> None:
    assert_edges(results["ascending"])


def test_tally(results: Played) -> None:
    assert_tally(results["ascending"])


CHECKS = {"edges": assert_edges, "tally": assert_tally}
FAULTS = {
    "no barrier in a sum over the block": (
        "  __syncthreads();\n  if (threadIdx.x < K) {",
        "  if (threadIdx.x < K) {",
    ),
    "a vote counted by one lane": (
        "found += __popc(votes);",
        "found += lane ? 0 : __popc(votes);",
    ),
    "places by the order of threads": (
        "const int place = found + __popc(votes & ((1u << lane) - 1u));",
        "const int place = near ? atomicAdd((unsigned long long *)a.most, 1ull) : 0;",
    ),
    "a center added by all lanes": ("if (lane == 0) add_fixed", "add_fixed"),
    "what is not finite let through": (
        "if (!(value < MOST_FORCE && value > -MOST_FORCE))",
        "if (false)",
    ),
    "rows without their empty places": (
        "place < a.width; place += WARP) {",
        "place < 0; place += WARP) {",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_noticed(fault: str, fake_cuda: dict[str, str], tmp_path: Path) -> None:
    assert complaint(tmp_path, fake_cuda, "=>".join(FAULTS[fault]), CHECKS) != ""
