"""Kernels of the mesh, played or on a GPU, against the loops of the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch
from played import MESHES, Played, assert_same_bits, complaint, play

from lammps_les import _core

# relative to the largest number, as the CPU in the same type has them
DIGITS = {torch.float32: 3e-6, torch.float64: 1e-13}


@pytest.fixture(scope="module")
def results(gpu: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("played"), gpu, list(MESHES))


def assert_mesh(name: str, found: dict[str, np.ndarray]) -> None:
    """As the CPU has it in float64 with the same mesh."""
    case = MESHES[name]
    arguments = case.arguments()
    arguments["charges"] = arguments["charges"].double()
    for key, expected in _core.long_range(**arguments).items():
        atol = DIGITS[case.dtype] * expected.abs().max().item()
        values = found[f"{name} {key}"]
        np.testing.assert_allclose(values, expected, rtol=0, atol=atol, err_msg=key)


def test_order_of_threads_does_not_matter(results: Played) -> None:
    assert_same_bits(results)


@pytest.mark.parametrize("name", MESHES)
def test_as_on_the_cpu(name: str, results: Played) -> None:
    assert_mesh(name, results["ascending"])


FAULTS = {
    "weights used before they are there": (
        "    __syncthreads();\n    for (int s = 0; s < atoms; s++) {",
        "    for (int s = 0; s < atoms; s++) {",
    ),
    "weights overwritten while they are used": (
        "    __syncthreads();\n    for (int k = thread; k < atoms * 3 * P",
        "    for (int k = thread; k < atoms * 3 * P",
    ),
    "a tile written out before it is whole": (
        "  __syncthreads();\n  Real *out = a.tiles",
        "  Real *out = a.tiles",
    ),
    "two threads own a point": (
        "ox = (x + team) % TEAMS; ox < P; ox += TEAMS",
        "ox = 0; ox < P; ox++",
    ),
    "a point that no thread owns": ("(b - y + 2 * P) % P", "(b - y + 2 * P) % (P - 1)"),
    "no wrap at the end of an axis": ("    at += size;\n", "    at += 2 * size;\n"),
    "a tile of two rows left out": ("if (tile >= 0 && local() < EDGE) return;", ""),
    "wave vectors of the strained cell": ("chosen2 <= a.most", "k2 <= a.most"),
    "no negative wave numbers": ("2 * i1 > a.size[1]", "false"),
    "a mean that is not there yet": (
        "net[warp] = sum / a.n;\n  }\n  __syncthreads();",
        "net[warp] = sum / a.n;\n  }",
    ),
    "rows beyond the last left out": (
        "from < P * P; from += WARP",
        "from < P * P - WARP; from += WARP",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_noticed(fault: str, fake_cuda: dict[str, str], tmp_path: Path) -> None:
    check = {"triclinic": lambda found: assert_mesh("triclinic", found)}
    assert complaint(tmp_path, fake_cuda, "=>".join(FAULTS[fault]), check) != ""
