"""Results do not depend on how many ranks share the atoms, nor on how the cell is given."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from generate import changed, toy_models
from lmp import Run, run
from torch import Tensor

from lammps_les import pretrained
from lammps_les.models import CaceNetwork
from lammps_les_export import write_model

# toy model, channels, and what evaluates it
MODELS = [
    ("linear", 1, "auto"),
    ("two_channels", 2, "auto"),
    ("two_layers", 1, "auto"),
    ("three_layers", 1, "auto"),
    ("deep", 1, "auto"),
    ("wrapped", 1, "auto"),
    ("by_hand", 1, "auto"),
    ("cace", 1, "native"),
    ("cace", 1, "script"),
]


def cubic(water: Callable[..., Atoms]) -> Atoms:
    return water(4)


def triclinic(water: Callable[..., Atoms]) -> Atoms:
    atoms = water(4)
    strain = np.array([[0.02, 0.05, -0.04], [0.0, -0.01, 0.06], [0.03, 0.0, 0.01]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def small(water: Callable[..., Atoms]) -> Atoms:
    """Box shorter than twice, for the deep models than once, the reach of the network."""
    return water(2)


SHAPES = {"cubic": cubic, "triclinic": triclinic, "small": small}


def assert_same(result: Run, one: Run) -> None:
    assert abs(result.energy - one.energy) < 1e-9 * abs(one.energy)
    for name in ("forces", "stress", "bec"):
        value, reference = getattr(result, name), getattr(one, name)
        np.testing.assert_allclose(value, reference, rtol=0, atol=1e-9 * np.abs(reference).max())
    for name, column in one.columns.items():
        if name.startswith(("q", "phi")):
            scale = np.abs(column).max()
            np.testing.assert_allclose(result.columns[name], column, rtol=0, atol=1e-9 * scale)


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "channels", "network"), MODELS)
def test_ranks(
    name: str,
    channels: int,
    network: str,
    shape: str,
    form: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms = SHAPES[shape](water)
    model = toy_model(name)

    def on(ranks: int, *before: str) -> Run:
        return run(
            tmp_path / f"{ranks}",
            atoms,
            model,
            ranks=ranks,
            before=before,
            style=f"bec {form} network {network}",
            channels=channels,
        )

    one = on(1)
    for ranks in (2, 4):
        assert_same(on(ranks), one)


@pytest.mark.parametrize("network", ["native", "script"])
@pytest.mark.parametrize("name", ["cace-lr_water_v2", "cace-lr_superionic_ef"])
def test_ranks_published(
    name: str,
    network: str,
    water: Callable[..., Atoms],
    published: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms, style = triclinic(water), f"network {network}"
    one = run(tmp_path / "1", atoms, published(name), style="network script")
    for ranks in (1, 2, 4):
        result = run(
            tmp_path / f"{ranks}{network}", atoms, published(name), ranks=ranks, style=style
        )
        assert_same(result, one)
        assert ("kernels for CACE" if network == "native" else "TorchScript") in result.log


class Differentiated(torch.nn.Module):
    """A network without the derivatives that it brings, so that they are those of torch."""

    def __init__(self, network: CaceNetwork) -> None:
        super().__init__()
        self.network = network
        self.species, self.cutoff = network.species, network.cutoff
        self.layers, self.channels = network.layers, network.channels
        self.kept, self.sent = network.kept, network.sent
        self.kind, self.config = network.kind, network.config

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """Those of the network."""
        return self.network(edge_vectors, edge_index, species, n_centers)

    def piece(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
    ) -> list[Tensor]:
        """That of the network."""
        return self.network.piece(t, kept, sent, source, edge_vectors, edge_index, species, n)


@pytest.mark.parametrize("form", ["local", "phase"])
def test_chunks_and_derivatives(
    form: str, water: Callable[..., Atoms], shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """Many atoms, evaluated in chunks, on 1 and 4 ranks; derivatives by torch and written out."""
    network, metadata = pretrained.load("water_rpbe-d3")
    by_torch = tmp_path / "by_torch.pt"
    write_model(by_torch, Differentiated(network), changed(metadata.model_dump(), dtype="float64"))
    assert not hasattr(torch.jit.load(by_torch), "piece_backward")
    assert hasattr(torch.jit.load(shipped()), "piece_backward")
    atoms = water(8)
    assert len(atoms) == 1536
    one = run(tmp_path / "by_torch", atoms, by_torch, style=f"bec {form} network script")
    for ranks, network in ((1, "script"), (4, "script"), (1, "native"), (4, "native")):
        style = f"bec {form} network {network}"
        assert_same(
            run(tmp_path / f"{ranks}{network}", atoms, shipped(), ranks=ranks, style=style), one
        )


class Halfway(torch.nn.Module):
    """A network and one of the two methods by which a model brings its derivatives."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Not used."""
        return x

    @torch.jit.export
    def piece(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
    ) -> list[Tensor]:
        """That of the network."""
        return self.network.piece(t, kept, sent, source, edge_vectors, edge_index, species, n)


class Storing(Halfway):
    """With `piece_store` alone."""

    @torch.jit.export
    def piece_store(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Nothing that could be differentiated."""
        zeros = torch.zeros(n, 1, dtype=edge_vectors.dtype)
        return [zeros[:, 0], zeros], [zeros]


class Backward(Halfway):
    """With `piece_backward` alone."""

    @torch.jit.export
    def piece_backward(
        self, t: int, stored: list[Tensor], cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Nothing."""
        return cotangents


@pytest.mark.parametrize("kind", [Storing, Backward])
def test_one_of_two_methods_is_none(
    kind: type[Halfway],
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Such a model is differentiated by torch."""
    atoms, good = water(2), toy_model("linear")
    text = {"lammps_les.json": ""}
    torch.jit.load(good, _extra_files=text)
    network = toy_models()["linear"][0]
    model = tmp_path / "model.pt"
    torch.jit.save(torch.jit.script(kind(network)), model, _extra_files=text)
    field = ["fix f all efield/bec 0.1 -0.2 0.3", "run 0"]
    found, expected = (
        run(tmp_path / name, atoms, path, commands=field)
        for name, path in {"found": model, "expected": good}.items()
    )
    assert_same(found, expected)


@pytest.mark.parametrize("threads", [None, "2"])
def test_threads(
    threads: str | None,
    water: Callable[..., Atoms],
    shipped: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """OMP_NUM_THREADS, which the other runs of these tests set to 1."""
    atoms, model = water(4), shipped()
    one = run(tmp_path / "one", atoms, model)
    other = run(tmp_path / "other", atoms, model, environment={"OMP_NUM_THREADS": threads})
    assert f"using {threads or 1} OpenMP thread(s) per MPI task" in other.log
    assert_same(other, one)


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["linear", "two_layers"])
@pytest.mark.parametrize("periodic", [True, False])
def test_empty_rank(
    periodic: bool,
    name: str,
    form: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """A slice of vacuum leaves two of four ranks without atoms."""
    atoms = water(2)
    if periodic:
        atoms.set_cell(atoms.cell.array * np.array([[1.0], [1.0], [8.0]]))
        before = ["processors 1 1 4"]
    else:
        atoms.pbc = False
        atoms.cell = None
        atoms.positions[:3, 2] += 60.0  # one molecule far away
        before = ["processors 1 1 4"]

    def on(ranks: int, before: list[str]) -> Run:
        return run(
            tmp_path / f"{ranks}",
            atoms,
            toy_model(name),
            ranks=ranks,
            before=before,
            style=f"bec {form}",
        )

    one, four = on(1, []), on(4, before)
    assert "Nlocal:" in four.log
    assert "0 min" in next(line for line in four.log.splitlines() if line.startswith("Nlocal:"))
    assert_same(four, one)


def test_tiled_and_rebalanced(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    atoms = triclinic(water)
    one = run(tmp_path / "1", atoms, toy_model("two_layers"))
    four = run(
        tmp_path / "4",
        atoms,
        toy_model("two_layers"),
        ranks=4,
        before=["comm_style tiled"],
        commands=["run 0", "balance 1.0 rcb", "run 0"],
    )
    assert_same(four, one)


@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_left_handed_cell(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Swapping two lattice vectors makes a left-handed cell of the same crystal."""
    atoms = triclinic(water)
    swapped = atoms.copy()
    swapped.set_cell(atoms.cell.array[[1, 0, 2]])
    assert np.linalg.det(swapped.cell.array) < 0
    one = run(tmp_path / "right", atoms, toy_model(name))
    assert_same(run(tmp_path / "left", swapped, toy_model(name)), one)


@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_skin_and_sorting_do_not_matter(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    atoms = water(4)
    one = run(tmp_path / "a", atoms, toy_model(name))
    other = run(
        tmp_path / "b",
        atoms,
        toy_model(name),
        ranks=2,
        before=["neighbor 0.3 bin", "atom_modify sort 1 2.0"],
    )
    assert_same(other, one)
