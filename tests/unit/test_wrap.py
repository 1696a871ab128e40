"""``wrap``: a module that knows no pieces as a network of one."""

import pytest
import torch
from generate import toy_metadata
from torch import Tensor, nn
from toy_networks import LayeredCharges, TwoLayers

from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import ModelFileError, load_model
from lammps_les_export import wrap, write_model

WATER = {"species": ["H", "O"], "cutoff": 3.0, "layers": 2, "channels": 1}
CELL = torch.tensor([[4.3, 0.0, 0.0], [0.9, 5.1, 0.0], [-1.2, 0.4, 4.8]], dtype=torch.float64)


def system() -> tuple[Tensor, ...]:
    """Arguments of ``forward`` for some atoms in a small cell, Born charges included."""
    generator = torch.Generator().manual_seed(11)
    r = torch.rand(6, 3, generator=generator).double() @ CELL
    edge_index, shifts = neighbor_list(r.numpy(), CELL.numpy(), True, 3.0)
    return r, torch.arange(6) % 2, CELL, torch.tensor([True] * 3), edge_index, shifts, True


class Scripted(TwoLayers):
    """One that is scripted before: torch has one type for a class."""


@pytest.mark.parametrize("kind", [TwoLayers, Scripted])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_wrapped_module_is_the_network_in_pieces(tmp_path, dtype, kind):
    """All results of a whole system; Born charges reach over both layers."""
    module = kind([0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1)
    if kind is Scripted:
        module = torch.jit.script(module)
    network = wrap(module, **WATER)
    write_model(tmp_path / "wrapped.pt", network, toy_metadata(network, dtype))
    in_pieces = LayeredCharges(["H", "O"], [0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1)
    write_model(tmp_path / "pieces.pt", in_pieces, toy_metadata(in_pieces, dtype))
    wrapped, metadata = load_model(tmp_path / "wrapped.pt")
    pieces, _ = load_model(tmp_path / "pieces.pt")
    assert metadata.network.pieces == 1
    assert metadata.network.layers == 2
    assert metadata.network.kind == "wrapped"
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    expected = pieces(*system())
    for name, value in wrapped(*system()).items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=tolerance)
    assert expected["bec"].abs().max() > 0.1
    assert module.base.dtype == torch.float64  # the module given stays as it was


def test_outputs_are_those_of_the_first_atoms(tmp_path):
    network = wrap(TwoLayers([0.4, -0.8], [0.3, 0.5], slope=0.05, stiffness=0.1), **WATER)
    generator = torch.Generator().manual_seed(2)
    r = 3.0 * torch.rand(9, 3, generator=generator).double()
    edge_index = torch.nonzero(torch.cdist(r, r) + 9.0 * torch.eye(9) < 3.0).T
    vectors, species = r[edge_index[1]] - r[edge_index[0]], torch.arange(9) % 2
    whole = network(vectors, edge_index, species, 9)
    none = vectors.new_zeros(4, 0), vectors.new_zeros(0, 0), edge_index[1, :0]
    energy, charge = network.piece(0, *none, vectors, edge_index, species, 4)
    assert torch.equal(energy, whole["energy"][:4])
    assert torch.equal(charge, whole["charge"][:4])


class Bonds(nn.Module):
    """Energies only; it does not take empty tensors."""

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor
    ) -> dict[str, Tensor]:
        """e_i = sum_j (1 - r^2/9)^3."""
        assert species.size(0) > 0
        w = (1.0 - (edge_vectors * edge_vectors).sum(1) / 9.0) ** 3
        zeros = torch.zeros(species.size(0), dtype=w.dtype, device=w.device)
        return {"energy": zeros.index_add(0, edge_index[0], w)}


def test_a_module_of_energies_needs_no_charges(tmp_path):
    network = wrap(Bonds(), species=["H"], cutoff=3.0, layers=1, channels=0)
    write_model(tmp_path / "m.pt", network, toy_metadata(network, "float64"))
    module, metadata = load_model(tmp_path / "m.pt")
    assert metadata.latents == []
    edge_index = torch.tensor([[0, 1], [1, 0]])
    vectors = torch.tensor([[1.5, 0.0, 0.0], [-1.5, 0.0, 0.0]], dtype=torch.float64)
    none = vectors.new_zeros(2, 0), vectors.new_zeros(0, 0), edge_index[1, :0]
    (energy,) = module.piece(0, *none, vectors, edge_index, torch.zeros(2).long(), 2)
    assert energy.tolist() == [0.75**3] * 2


class Returns(nn.Module):
    """Gives what it was told to."""

    def __init__(self, **outputs: Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor
    ) -> dict[str, Tensor]:
        """See the class."""
        return self.outputs


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"energies": (2,)}, "expected 'energy' among what the module gives, got energies"),
        ({"energy": (2,)}, "expected 'charge' among what the module gives, got energy"),
        ({"energy": (2, 1)}, r"'energy' of 2 atoms should be of shape \[2\], got \[2, 1\]"),
        ({"energy": (2,), "charge": (2,)}, r"'charge' of 2 atoms .* \[2, 1\], got \[2\]"),
    ],
)
def test_what_a_module_gives_is_looked_at(outputs, message):
    module = Returns(**{name: torch.zeros(shape) for name, shape in outputs.items()})
    with pytest.raises(ModelFileError, match=message):
        wrap(module, **WATER)
