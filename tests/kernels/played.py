"""Kernels on a GPU, or played on one that is not there: cases, in a process of its own.

``python played.py out.npz edges tally`` runs cases of `CASES` in both orders of threads.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lammps_les import _core

CUTOFF = 2.0


def edge_list(atoms: int = 60, centers: int = 37) -> dict[str, Tensor]:
    """A list with skin of some atoms; one center is alone, one pair is the cutoff apart."""
    rng = np.random.default_rng(3)
    x = rng.random((atoms, 3)) * 5.0
    x[4] = [50.0, 0.0, 0.0]
    x[5], x[6] = [9.0, 9.0, 9.0], [9.0, 9.0 + CUTOFF, 9.0]
    distance = np.linalg.norm(x[:centers, None] - x, axis=2)
    pairs = [
        np.flatnonzero((d < 1.5 * CUTOFF) & (np.arange(atoms) != i)) for i, d in enumerate(distance)
    ]
    first = np.concatenate([[0], np.cumsum([len(p) for p in pairs])])
    return {
        "own": torch.arange(centers, dtype=torch.int32),
        "first": torch.tensor(first),
        "atom": torch.tensor(np.concatenate(pairs), dtype=torch.int32),
        "number": torch.tensor(1000 + np.concatenate(pairs), dtype=torch.int32),
        "x": torch.tensor(x),
    }


REACH = 3.0


def neighbor_input(name: str) -> dict[str, Tensor | int | float]:
    """Atoms and ghosts by number; every seventh is not to be seen, the last ones share numbers."""
    rng = np.random.default_rng(5)
    if name == "dense":
        x = rng.random((150, 3)) * [9.0, 10.0, 14.0]
    elif name == "borders":  # of cells, with neighbors exactly at the reach
        x = np.stack(np.meshgrid(*[np.arange(4)] * 3), -1).reshape(-1, 3) * REACH / 2.0
    else:  # dilute: two far away
        x = np.concatenate([rng.random((40, 3)) * 8.0, [[5e3, 0.0, 0.0], [5e3 + 2.0, 0.0, 0.0]]])
    n, centers = len(x), len(x) // 2
    seen = np.arange(n) % 7 != 3
    number = np.where(seen, np.cumsum(seen) - 1, -1)
    number[-4:] = number[:4]
    return {
        "x": torch.tensor(x),
        "number": torch.tensor(number, dtype=torch.int32),
        "centers": centers,
        "cutoff": CUTOFF,
        "reach": REACH,
    }


LISTS = ("dense", "borders", "dilute")


def neighbors() -> dict[str, Tensor]:
    """The lists of `neighbor_input`."""
    out = {}
    for name in LISTS:
        tensors, most = _core.gpu.find_neighbors(**neighbor_input(name))
        names = [f"{name}_{part}" for part in ("own", "first", "atom", "number")]
        out |= dict(zip(names, tensors, strict=True)) | {f"{name}_most": torch.tensor(most)}
    return out


WIDTHS = {"wide": 40, "narrow": 8}


def edges() -> dict[str, Tensor]:
    """Edges of `edge_list` in rows that are long enough, and in rows that are not."""
    out = {}
    for name, width in WIDTHS.items():
        vectors, index, most = _core.gpu.select_edges(**edge_list(), cutoff=CUTOFF, width=width)
        out |= {
            f"{name}_vectors": vectors,
            f"{name}_index": index,
            f"{name}_most": torch.tensor(most),
        }
    return out


def tally_input(dtype: torch.dtype = torch.float32) -> dict[str, Tensor | int]:
    """Gradients of 37 centers with 40 places each among 60 atoms; a third is empty."""
    torch.manual_seed(2)
    n, width, n_all = 37, 40, 60
    neighbor = torch.randint(n_all, (n, width))
    empty = torch.rand(n, width) < 1.0 / 3.0
    center = torch.arange(n).unsqueeze(1).expand(n, width)
    gradient = torch.randn(n, width, 3, dtype=torch.float64) * ~empty.unsqueeze(2)
    return {
        "gradient": gradient.view(-1, 3),
        "vectors": torch.randn(n * width, 3, dtype=torch.float64),
        "index": torch.stack([center.reshape(-1), torch.where(empty, center, neighbor).view(-1)]),
        "far_force": torch.randn(n, 3, dtype=torch.float64),
        "far_virial": torch.randn(3, 3, dtype=torch.float64),
        "energy": torch.randn(n, dtype=dtype),
        "far_energy": torch.randn(n, dtype=torch.float64),
        "n_all": n_all,
    }


def tally() -> dict[str, Tensor]:
    """Sums of `tally_input`; and with an edge that is not a number, and one that is too much."""
    out = {
        str(dtype): _core.gpu.tally(**tally_input(dtype))
        for dtype in (torch.float32, torch.float64)
    }
    wild = tally_input()
    wild["gradient"][7, 1] = torch.nan
    wild["gradient"][80, 2] = 4e4
    return {**out, "wild": _core.gpu.tally(**wild)}


@dataclass(frozen=True)
class Mesh:
    """A mesh, and atoms on it."""

    cell: list[list[float]]
    atoms: int
    order: int
    spacing: float
    dtype: torch.dtype = torch.float32
    channels: int = 1
    crowded: int = 0  # atoms that share a tile
    on_points: bool = False  # some atoms, and borders of tiles
    strain: float = 0.0  # of the cell, since wave vectors were chosen

    def arguments(self) -> dict[str, Tensor | float | bool | int]:
        """Of `_core.long_range`; atoms are in neighboring cells too."""
        rng = np.random.default_rng(self.atoms)
        cell = np.array(self.cell)
        fractional = rng.random((self.atoms, 3)) * 3.0 - 1.0
        fractional[: self.crowded] = 0.2 + 0.1 * rng.random((self.crowded, 3))
        if self.on_points:
            fractional[: self.atoms // 2] = np.round(fractional[: self.atoms // 2] * 20) / 20
        setup = torch.tensor(cell)
        cell = cell @ (np.eye(3) + self.strain * rng.random((3, 3)))
        charges = torch.tensor(rng.normal(size=(self.atoms, self.channels)) * 0.4)
        return {
            "positions": torch.tensor(fractional @ cell),
            "charges": charges.to(self.dtype),
            "cell": torch.tensor(cell),
            "setup_cell": setup,
            "sigma": 1.0,
            "dl": 2.0,
            "norm": 90.475637892602,
            "remove_self": True,
            "mesh_accuracy": 1e-5,
            "mesh_spacing": self.spacing,
            "mesh_order": self.order,
        }


MESHES = {
    # 20 x 24 x 30 points: tiles at the ends of the axes are narrow
    "triclinic": Mesh(
        [[13.0, 0.0, 0.0], [4.0, 15.0, 0.0], [-3.0, 2.5, 19.0]],
        atoms=60,
        order=7,
        spacing=0.7,
        channels=2,
        crowded=40,
        strain=0.05,
    ),
    "points": Mesh(np.diag([14.0, 14.0, 14.0]).tolist(), 50, 5, 0.7, torch.float64, on_points=True),
    # all atoms meet themselves
    "small": Mesh(np.diag([6.0, 5.0, -7.0]).tolist(), 12, 10, 0.6, torch.float64),
}


def mesh(name: str) -> dict[str, Tensor]:
    """The sum of charges on a mesh of `MESHES`."""
    arguments = {
        key: _core.gpu.up(value) if key in ("positions", "charges") else value
        for key, value in MESHES[name].arguments().items()
    }
    return {key: _core.gpu.down(t) for key, t in _core.long_range(**arguments).items()}


CASES: dict[str, Callable[[], dict[str, Tensor]]] = {
    "edges": edges,
    "neighbors": neighbors,
    "tally": tally,
    **{name: partial(mesh, name) for name in MESHES},
}


def play(
    folder: Path,
    environment: Mapping[str, str],
    cases: Sequence[str],
    edit: str | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Results of some cases by order of the threads, "ascending" and "descending".

    Args:
        folder: For files.
        environment: Of the fixture `gpu`; a real one takes no order.
        cases: Of `CASES`.
        edit: A fault to be planted in the kernels: text=>what it becomes.

    Returns:
        Arrays by "case name", for each order.

    Raises:
        RuntimeError: The process has failed, with what it said.
    """
    out = folder / "played.npz"
    done = subprocess.run(
        [sys.executable, __file__, str(out), *cases],
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), **environment}
        | ({"FAKE_CUDA_EDIT": edit} if edit else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"ended with status {done.returncode}: {done.stderr}")
    results: dict[str, dict[str, np.ndarray]] = {"ascending": {}, "descending": {}}
    with np.load(out) as file:
        for name, values in file.items():
            order, rest = name.split(" ", 1)
            results[order][rest] = values
    return results


Played = dict[str, dict[str, np.ndarray]]
"""Results of `play`."""


def assert_same_bits(results: Played) -> None:
    """In both orders of the threads."""
    for name, values in results["ascending"].items():
        np.testing.assert_array_equal(values, results["descending"][name], err_msg=name)


def complaint(
    folder: Path,
    environment: Mapping[str, str],
    edit: str,
    checks: Mapping[str, Callable[[dict[str, np.ndarray]], None]],
) -> str:
    """What is said about a fault, by the device or by the first check that fails; "" if nothing.

    Args:
        folder: As of `play`.
        environment: As of `play`.
        edit: The fault, as of `play`.
        checks: A check by the case whose results it takes.
    """
    try:
        found = play(folder, environment, list(checks), edit)
        assert_same_bits(found)
        for check in checks.values():
            check(found["ascending"])
    except RuntimeError as error:
        said = str(error)
        if "do not compile" in said or not ("fake cuda:" in said or "status -" in said):
            raise
        return said
    except AssertionError as error:
        return str(error)
    return ""


def main() -> None:
    """See the module."""
    path, *cases = sys.argv[1:]
    results = {}
    for order in ("ascending", "descending"):
        os.environ["FAKE_CUDA_ORDER"] = order
        for case in cases:
            for name, values in CASES[case]().items():
                results[f"{order} {case} {name}"] = values.numpy()
    np.savez(path, **results)


if __name__ == "__main__":
    main()
