"""Native kernels of CACE networks: pieces and their derivatives, against the network in float64."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.data import chemical_symbols
from cace_networks import REPRESENTATIONS, build, cluster, edges
from chunks import CACE, Edges, chunk, network_of
from generate import imported_metadata, toy_metadata
from torch import Tensor

from lammps_les import _core
from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import load_model
from lammps_les.models import CaceConfig, CaceNetwork, ReadoutConfig, RepresentationConfig
from lammps_les_export import write_model
from lammps_les_export.adapters import ImportedModel, read_checkpoint

SETS = ((1, 1), (0, 1), (1, 3), (3, 3), (0, 2))
"""k_e and k: sums in which the energies have a weight, and all."""
LIMITS = {"float64": 1e-12, "float32": 3e-6}
"""2-norm of the difference over 2-norm, of outputs and gradients by edges."""
CANCELLING = {"float64": 1e-12, "float32": 6e-6}
"""Likewise of charges alone, and of gradients by what passes between layers."""
UNCOVERED = {
    "one layer, multipoles": "they do not know the latent 'dipole'",
    "three layers, separate, multipoles": "they do not know the latent 'dipole'",
    "one layer, kappa alpha": "they do not know the latent 'kappa'",
}
COVERED = [name for name in CACE if name not in UNCOVERED]
# max_l, max_nu, Bessel functions, radial functions, embedding, species, charges
SIZES = (
    (1, 1, 3, 5, 1, 2, 1),
    (2, 2, 8, 12, 3, 3, 1),
    (2, 3, 5, 7, 2, 4, 2),
    (3, 2, 4, 6, 1, 118, 1),
    (3, 3, 6, 12, 2, 2, 1),
    (3, 4, 7, 9, 3, 90, 3),
    (4, 3, 6, 12, 4, 8, 1),
    (4, 4, 8, 12, 2, 6, 1),
)
PUBLISHED = (
    "cace-les_dipeptides_r5.5_nu2",
    "cace-les_water_r4.5_nu3",
    "cace-lr_pbtio3",
    "cace-lr_random_charge_c5",
    "cace-lr_superionic_2gcc_finetuned",
    "cace-lr_superionic_ef",
    "cace-lr_water_4channels_mp1",
    "cace-lr_water_v1",
    "cace-lr_water_v2",
)
INSTRUCTIONS = ("baseline", "avx2", "avx512")


def distance(found: Tensor, expected: Tensor) -> float:
    """2-norm of the difference over that of what is expected; its own where nothing is."""
    assert found.shape == expected.shape
    size = float(expected.double().norm())
    return float((found.double() - expected.double()).norm()) / (size if size > 0.0 else 1.0)


def written(
    path: Path,
    network: torch.nn.Module,
    dtype: str = "float64",
    imported: ImportedModel | None = None,
) -> Path:
    """A model file of the network."""
    about = imported_metadata(imported, dtype) if imported else toy_metadata(network, dtype)
    write_model(path, network, about)
    return path


def use(instructions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take kernels for these; skips where the processor does not have them."""
    flags = {"baseline": "", "avx2": "avx2", "avx512": "avx512dq"}[instructions]
    with open("/proc/cpuinfo") as info:
        if not re.search(rf"\b{flags}\b", info.read()):
            pytest.skip(f"this processor does not have {flags}")
    monkeypatch.setenv("LES_SIMD", instructions)


class Comparison:
    """Pieces of a model file by kernels, and by the network in float64."""

    def __init__(self, path: Path, dtype: str) -> None:
        self.native = _core.Network(str(path), network="native")
        self.network, self.metadata = load_model(path)
        self.network.double()
        self.dtype = dtype
        self.generator = torch.Generator().manual_seed(3)

    def random(self, *shape: int) -> Tensor:
        """Normal numbers."""
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def check(self, t: int, part: Edges, kept: Tensor, sent: Tensor, source: Tensor) -> None:
        """Outputs of a piece, and their gradients for every number of sets."""
        about, limit = self.metadata, LIMITS[self.dtype]
        given = (t, kept, sent, source, part.vectors, part.index, part.species, part.n)
        outputs = self.native.evaluate(*given)
        with torch.jit.optimized_execution(False):
            expected, stored = self.network.piece_store(*given)
        for one, other in zip(outputs, expected, strict=True):
            assert one.dtype == getattr(torch, self.dtype)
            assert distance(one, other) < limit
        last = t == about.network.layers - 1
        for k_e, k in SETS:
            if about.charges.channels == 0 and last and k_e < k:
                continue
            counts = [k_e if last else k] + [k] * (len(outputs) - 1)
            weights = [self.random(n, *o.shape) for n, o in zip(counts, expected, strict=True)]
            with torch.jit.optimized_execution(False):
                theirs = self.network.piece_backward(t, stored, weights)
            by_kept, by_sent, by_edges = self.native.backward(weights)
            for mine, right in ((by_kept, theirs[0]), (by_sent, theirs[1])):
                assert distance(mine, right) < CANCELLING[self.dtype]
            for set_ in range(k):
                bound = CANCELLING[self.dtype] if last and set_ >= k_e else limit
                assert distance(by_edges[set_], theirs[2][set_]) < bound


def inputs(comparison: Comparison, t: int, n: int, rows: int) -> tuple[Tensor, Tensor]:
    """``kept`` and ``sent`` of random numbers for piece t."""
    about = comparison.metadata.network
    kept, sent = (about.kept[t - 1], about.sent[t - 1]) if t > 0 else (0, 0)
    return comparison.random(n, kept), comparison.random(rows if t > 0 else 0, sent)


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", COVERED)
def test_pieces(name: str, channels: int, dtype: str, tmp_path: Path) -> None:
    """All kinds; some edges are beyond the cutoff, and one atom has none within it."""
    network = network_of(name, channels)
    comparison = Comparison(written(tmp_path / "model.pt", network, dtype), dtype)
    positions, _, species = cluster(40, spread=4.0)
    positions[30] += 50.0
    edge_index = edges(positions, 3.3)
    chunks = [torch.arange(40)]
    if dtype == "float64":  # in the other, a few atoms may be all cancellation
        chunks += [torch.tensor([5, 2, 30]), torch.tensor([30])]
    for atoms, t, own_rows in itertools.product(chunks, range(network.layers), (False, True)):
        part = chunk(network, positions, edge_index, species, atoms)
        source = torch.arange(len(part.vectors)) if own_rows else part.source
        kept, sent = inputs(comparison, t, part.n, len(part.vectors) if own_rows else 40)
        comparison.check(t, part, kept, sent, source if t > 0 else source[:0])


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(
    sizes: tuple[int, ...],
    instructions: str,
    dtype: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Orders that are unrolled and others, for every instruction set."""
    use(instructions, monkeypatch)
    max_l, max_nu, n_bessel, n_radial, embedding, species, channels = sizes
    torch.manual_seed(max_l + max_nu)
    network = CaceNetwork(
        CaceConfig(
            species=tuple(chemical_symbols[1 : species + 1]),
            channels=channels,
            representation=RepresentationConfig(
                cutoff=4.5,
                embedding_size=embedding,
                n_bessel=n_bessel,
                n_radial=n_radial,
                max_l=max_l,
                max_nu=max_nu,
                cutoff_power=5,
            ),
            charge=ReadoutConfig(hidden=(24, 12, 7), bias=False, linear=channels > 1),
        )
    ).double()
    comparison = Comparison(written(tmp_path / "model.pt", network, dtype), dtype)
    assert instructions in comparison.native.description
    positions, _, _ = cluster(70, spread=3.5)
    generator = torch.Generator().manual_seed(1)
    kinds = torch.randint(species, (70,), generator=generator)
    part = chunk(network, positions, edges(positions, 4.6), kinds, torch.arange(70))
    counts = torch.bincount(part.index[0], minlength=70)
    assert counts.min() < 10
    assert counts.max() > 20
    comparison.check(0, part, *inputs(comparison, 0, 70, 0), part.source[:0])


@pytest.mark.parametrize("name", COVERED)
def test_no_edges_and_no_atoms(name: str, tmp_path: Path) -> None:
    network = network_of(name)
    comparison = Comparison(written(tmp_path / "model.pt", network), "float64")
    none, vectors = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3).double()
    for n, t, rows in itertools.product((0, 3), range(network.layers), (0, 2)):
        kinds = torch.zeros(n + 1, dtype=torch.int64)
        part = Edges(vectors, none, kinds, n, none[0])
        comparison.check(t, part, *inputs(comparison, t, n, rows), none[0])


def test_bits_do_not_depend_on_threads(tmp_path: Path) -> None:
    network = build(REPRESENTATIONS["full messages"])
    native = _core.Network(str(written(tmp_path / "model.pt", network)))
    positions, edge_index, species = cluster(900, spread=12.0)
    part = chunk(network, positions, edge_index, species, torch.arange(900))
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            now, kept, sent = [], torch.zeros(900, 0).double(), torch.zeros(0, 0).double()
            for t in range(2):
                source = part.source if t > 0 else part.source[:0]
                out = native.evaluate(t, kept, sent, source, *part[:4])
                weights = [torch.ones(2, *o.shape).double() for o in out]
                now += [*out, *native.backward(weights)]
                kept, sent = out[0], out[1]
            results.append(now)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", UNCOVERED)
def test_what_kernels_do_not_know(name: str, tmp_path: Path) -> None:
    path = str(written(tmp_path / "model.pt", network_of(name)))
    reason = UNCOVERED[name]
    with pytest.raises(_core.ModelFileError, match=f"{reason}; take 'network auto'"):
        _core.Network(path, network="native")
    assert _core.Network(path).description == f"TorchScript: of native kernels, {reason}"
    assert _core.Network(path, network="script").description == "TorchScript"


def test_other_kinds(toy_model: Callable[..., Path]) -> None:
    with pytest.raises(_core.ModelFileError, match="networks of the kind '' have none"):
        _core.Network(str(toy_model("two_layers")), network="native")


def test_instruction_sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = str(written(tmp_path / "model.pt", network_of("one layer")))
    monkeypatch.setenv("LES_SIMD", "avx3")
    with pytest.raises(RuntimeError, match="LES_SIMD: expected one of .*baseline.*; got avx3"):
        _core.Network(path)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models(name: str, shared: Path, tmp_path: Path) -> None:
    imported = read_checkpoint(str(shared / "checkpoints" / f"{name}.pth"))
    network = imported.network
    data = np.load(sorted((shared / "reference").glob(f"{name}__*.npz"))[-1])
    atoms = Atoms(data["numbers"], data["positions"], cell=data["cell"], pbc=data["pbc"])
    n, periodic = len(atoms), bool(atoms.pbc.any())
    pairs, shifts = neighbor_list(atoms.positions, atoms.cell.array, periodic, network.cutoff)
    center, neighbor = pairs.numpy()
    vectors = atoms.positions[neighbor] - atoms.positions[center]
    vectors += shifts.numpy() @ atoms.cell.array
    kinds = torch.tensor([list(network.species).index(symbol) for symbol in atoms.symbols])
    part = Edges(torch.tensor(vectors), pairs, kinds, n, pairs[1])
    for dtype in LIMITS:
        path = written(tmp_path / f"{dtype}.pt", network, dtype, imported)
        comparison = Comparison(path, dtype)
        kept, sent = inputs(comparison, 0, n, 0)
        for t in range(network.layers):
            source = part.source if t > 0 else part.source[:0]
            comparison.check(t, part, kept, sent, source)
            if t + 1 < network.layers:
                made = comparison.network.piece(t, kept, sent, source, *part[:4])
                kept, sent = made[0].detach(), made[1].detach()


def test_no_checkpoint_is_left_out(shared: Path) -> None:
    assert sorted(p.stem for p in (shared / "checkpoints").glob("cace*.pth")) == list(PUBLISHED)
