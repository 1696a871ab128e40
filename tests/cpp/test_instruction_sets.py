"""Loops of the mesh are made for several instruction sets: the same results by each one here."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROGRAM = """
import sys
import numpy as np, torch
from lammps_les import _core

rng = np.random.default_rng(3)
cell = np.array([[11.0, 0.0, 0.0], [3.1, 10.0, 0.0], [-2.0, 1.5, 9.0]])
positions = torch.tensor(rng.uniform(-1, 2, (80, 3)) @ cell)
found = {}
for dtype in (torch.float32, torch.float64):
    for order in range(5, 11):
        total = _core.LongRangeSum(
            sigma=1.0, dl=2.0, norm=90.0, remove_self=True, method="mesh", order=order, spacing=0.7
        )
        total.choose([True] * 3, torch.tensor(cell), 80)
        made = {
            "charges": rng.normal(size=(80, 2)),
            "dipole": rng.normal(size=(80, 2, 3)),
            "alpha": np.broadcast_to(0.1 * np.eye(3), (80, 2, 3, 3)),
        }
        made = {name: torch.tensor(value).to(dtype) for name, value in made.items()}
        result = total.compute(positions, cell=torch.tensor(cell), **made)
        for name in ("energy", "forces", "virial"):
            found[f"{name} {order} {dtype}"] = result[name].numpy()
np.savez(sys.argv[1], **found)
"""


def results(folder: Path, instruction_set: str) -> dict[str, np.ndarray]:
    path = folder / f"{instruction_set}.npz"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, path],
        env=os.environ | {"LES_SIMD": instruction_set},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(np.load(path))


def test_the_best_as_the_least(tmp_path: Path) -> None:
    """Windows of all widths, in both types, with derivatives up to the third."""
    best, least = results(tmp_path, ""), results(tmp_path, "baseline")
    for name, value in least.items():
        rtol = 2e-5 if "float32" in name else 1e-12  # of the largest
        scale = np.abs(value).max()
        np.testing.assert_allclose(best[name], value, rtol=0, atol=rtol * scale, err_msg=name)


def test_other_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        results(tmp_path, "sse9")
    expected = "environment variable LES_SIMD: expected one of what this processor has, baseline"
    assert expected in refused.value.stderr
