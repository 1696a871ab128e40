"""The exported module: forward against differences and against other ways to the same number."""

import math

import numpy as np
import pytest
import torch
from generate import changed, toy_metadata, toy_models

from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import ModelFileError, load_model, read_metadata
from lammps_les_export import wrap, write_model

CELL = torch.tensor([[4.3, 0.0, 0.0], [0.9, 5.1, 0.0], [-1.2, 0.4, 4.8]], dtype=torch.float64)
CELLS = {"triclinic": CELL, "left_handed": CELL[[1, 0, 2]], "open": torch.zeros(3, 3).double()}
TOYS = ["constant", "linear", "two_channels", "harmonic", "harmonic_one_channel", "two_layers"]
WITH_TOTAL_CHARGE = ["total_charge", "total_charge_two_layers"]
DEEPER = ["three_layers", "wrapped", "deep"]


def atoms(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(11)
    return torch.rand(n, 3, generator=generator).double() @ CELL, torch.arange(n) % 2


def run(module, cutoff, r, species, cell, bec=False, bec_form="local"):
    """Call forward with a fresh neighbor list; a zero cell is open."""
    periodic = bool(cell.any())
    edge_index, shifts = neighbor_list(r.numpy(), cell.numpy(), periodic, cutoff)
    pbc = torch.full((3,), periodic)
    return module(r, species, cell, pbc, edge_index, shifts, bec, bec_form)


@pytest.mark.parametrize("boundary", CELLS)
@pytest.mark.parametrize("name", [*TOYS, *WITH_TOTAL_CHARGE, *DEEPER])
def test_forces_and_stress_are_differences_of_the_energy(toy_model, name, boundary):
    module, metadata = load_model(toy_model(name))
    r, species = atoms()
    cell = CELLS[boundary]
    result = run(module, metadata.network.cutoff, r, species, cell)

    def energy(x, lattice):
        return float(run(module, metadata.network.cutoff, x, species, lattice)["energy"])

    def difference(deform):
        values = [energy(*deform(shift * 1e-4)) for shift in (-2, -1, 1, 2)]
        return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / 12e-4

    for i, b in [(0, 0), (2, 1), (5, 2)]:

        def moved(step, i=i, b=b):
            x = r.clone()
            x[i, b] += step
            return x, cell

        assert float(result["forces"][i, b]) == pytest.approx(-difference(moved), abs=2e-8)
    if boundary == "open":
        assert not result["stress"].any()
        return
    volume = float(torch.linalg.det(cell).abs())
    for a in range(3):
        for b in range(3):

            def strained(step, a=a, b=b):
                deformation = torch.eye(3).double()
                deformation[a, b] += step
                return r @ deformation.T, cell @ deformation.T

            stress = difference(strained) / volume
            assert float(result["stress"][a, b]) == pytest.approx(stress, abs=2e-8)


@pytest.mark.parametrize("boundary", CELLS)
@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["linear", "two_layers", "wrapped", "deep", *WITH_TOTAL_CHARGE])
def test_eager_and_scripted_agree_and_repeat(name, form, boundary, tmp_path):
    """TorchScript optimises after the first calls; none of them may change a number."""
    from lammps_les_export.exported_model import exported

    network = toy_models()[name][0].double()
    metadata = write_model(tmp_path / "m.pt", network, toy_metadata(network, "float64"))
    eager = exported(network, metadata)
    module, _ = load_model(tmp_path / "m.pt")
    for n in (6, 5, 4, 6):
        r, species = atoms(n)
        cell = CELLS[boundary]
        expected = run(eager, network.cutoff, r, species, cell, True, form)
        result = run(module, network.cutoff, r, species, cell, True, form)
        assert set(result) == {"energy", "forces", "stress", "charge", "bec"}
        for key in result:
            torch.testing.assert_close(result[key], expected[key], rtol=0, atol=1e-12)


def test_energy_of_a_constant_charge_dimer(toy_model):
    """Closed form: H at 2 A from O; erf(sqrt 2) = 0.9544997361036416."""
    module, metadata = load_model(toy_model("constant"))
    r = torch.tensor([[0.0, 0, 0], [2.0, 0, 0]], dtype=torch.float64)
    result = run(module, metadata.network.cutoff, r, torch.tensor([0, 1]), CELLS["open"])
    coulomb = 14.399645 * (-0.4 * 0.8) * 0.9544997361036416 / 2
    own = 14.399645 * (0.4**2 + 0.8**2) * 0.3989422804014327
    assert float(result["energy"]) == pytest.approx(-13.5 - 432.1 + coulomb + own, abs=1e-9)
    assert result["charge"].tolist() == [[0.4], [-0.8]]
    tensor = run(module, metadata.network.cutoff, r, torch.tensor([0, 1]), CELLS["open"], True)[
        "bec"
    ]
    expected = 0.6 * math.sqrt(1.8) * torch.eye(3).double()
    torch.testing.assert_close(tensor, torch.stack([expected, -expected]))


def test_energy_of_a_spring(toy_model):
    """Two centers, 1/4 k (r - r0)^2 w(r) each, with w = (1 - (1.2/3)^2)^3."""
    module, metadata = load_model(toy_model("harmonic"))
    r = torch.tensor([[0.0, 0, 0], [1.2, 0, 0]], dtype=torch.float64)
    result = run(module, metadata.network.cutoff, r, torch.tensor([0, 1]), CELLS["open"])
    assert float(result["energy"]) == pytest.approx(2.5 * 0.04 * 0.84**3, abs=1e-12)
    assert result["charge"].shape == (2, 0)


@pytest.mark.parametrize("name", [*TOYS, *WITH_TOTAL_CHARGE])
def test_float32_is_near_float64(toy_model, name):
    r, species = atoms()
    results = []
    for dtype in ("float64", "float32"):
        module, metadata = load_model(toy_model(name, dtype))
        edges = torch.zeros(0, 3, dtype=metadata.network.torch_dtype)
        none = torch.zeros(2, 0, dtype=torch.int64)
        latent = module.latents(edges, none, species, 6)
        assert latent["energy"].dtype == latent["charge"].dtype == metadata.network.torch_dtype
        results.append(run(module, metadata.network.cutoff, r, species, CELL, True))
    for key, value in results[1].items():
        assert value.dtype == torch.float64
        torch.testing.assert_close(value, results[0][key], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", [*TOYS, *DEEPER, "raises", "non_finite"])
def test_no_atoms_and_no_edges(toy_model, name):
    module, metadata = load_model(toy_model(name))
    none = torch.zeros(2, 0, dtype=torch.int64)
    latent = module.latents(torch.zeros(0, 3).double(), none, none[0], 0)
    assert latent["energy"].shape == (0,)
    assert latent["charge"].shape == (0, metadata.charges.channels)


@pytest.mark.parametrize("boundary", CELLS)
@pytest.mark.parametrize("name", WITH_TOTAL_CHARGE)
def test_charges_are_shifted_alike_to_the_total_charge(toy_model, name, boundary):
    module, metadata = load_model(toy_model(name))
    r, species = atoms()
    result = run(module, metadata.network.cutoff, r, species, CELLS[boundary])
    in_e = metadata.charges.unit * metadata.charges.sign[0] * result["charge"][:, 0]
    assert float(in_e.sum()) == pytest.approx(metadata.charges.total, abs=1e-12)
    free, _ = load_model(toy_model("linear" if name == "total_charge" else "two_layers"))
    shift = (
        result["charge"] - run(free, metadata.network.cutoff, r, species, CELLS[boundary])["charge"]
    )
    torch.testing.assert_close(shift, shift[:1].expand_as(shift), rtol=0, atol=1e-12)
    assert float(shift.abs().min()) > 0.01


def cell_dipole(charges, r, cell):
    """P_m [m] = sum_j Q_j exp(2 pi i s_jm) / (2 pi i), or sum_j Q_j r_j where the cell is zero."""
    if not cell.any():
        return (charges @ r).to(torch.complex128)
    phase = 2j * math.pi * (r @ torch.linalg.inv(cell))
    return charges.to(torch.complex128) @ torch.exp(phase) / (2j * math.pi)


@pytest.mark.parametrize("remove_mean", [True, False])
@pytest.mark.parametrize("boundary", CELLS)
@pytest.mark.parametrize("name", WITH_TOTAL_CHARGE)
def test_born_charges_with_a_total_charge_are_differences_of_the_dipole(
    tmp_path, name, boundary, remove_mean
):
    """Phase form: Re[exp(-2 pi i s_im) dP_m/dr_ib] along each lattice vector m, else dP_a/dr_ib."""
    network, changes = toy_models()[name]
    changes = changes | {"remove_mean": remove_mean}
    metadata = write_model(tmp_path / "m.pt", network, toy_metadata(network, "float64", **changes))
    module, _ = load_model(tmp_path / "m.pt")
    r, species = atoms()
    cell = CELLS[boundary]
    tensor = run(module, network.cutoff, r, species, cell, True, "phase")["bec"]
    to_e = (
        metadata.charges.unit * metadata.charges.sign[0] * math.sqrt(metadata.response.epsilon_inf)
    )

    def dipole(x):
        q = to_e * run(module, network.cutoff, x, species, cell)["charge"][:, 0]
        return cell_dipole(q - q.mean() if remove_mean else q, x, cell)

    for i, b in [(0, 0), (3, 1), (5, 2)]:
        step = torch.zeros_like(r)
        step[i, b] = 1e-4
        slope = (dipole(r + step) - dipole(r - step)) / 2e-4
        if cell.any():
            turned = torch.exp(-2j * math.pi * (r @ torch.linalg.inv(cell))[i]) * slope
            expected = turned.real @ cell
        else:
            expected = slope.real
        torch.testing.assert_close(tensor[i, :, b], expected, rtol=0, atol=1e-7)
    local = run(module, network.cutoff, r, species, cell, True, "local")["bec"]
    unshifted = changes | {"total": None, "remove_mean": True}
    write_model(tmp_path / "n.pt", network, toy_metadata(network, "float64", **unshifted))
    free, _ = load_model(tmp_path / "n.pt")
    difference = local - run(free, network.cutoff, r, species, cell, True, "local")["bec"]
    share = 0.0 if remove_mean else math.sqrt(1.8) * metadata.charges.total / len(r)
    expected = (share * torch.eye(3).double()).expand_as(difference)
    torch.testing.assert_close(difference, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("boundary", CELLS)
@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["linear", "two_layers", "total_charge"])
def test_epsilon_inf_as_a_tensor_turns_the_polarization(tmp_path, name, form, boundary):
    """Z_iab = sum_c root_ac Z0_icb, with root root = epsilon_inf; nothing else knows of it."""
    network, changes = toy_models()[name]
    epsilon = [[5.8, 0.3, 0.1], [0.3, 4.9, -0.2], [0.1, -0.2, 5.2]]
    r, species = atoms()
    results = []
    for n, value in enumerate((1.0, epsilon, 2.25)):
        fields = toy_metadata(network, "float64", **(changes | {"remove_mean": False}))
        write_model(tmp_path / f"{n}.pt", network, changed(fields, epsilon_inf=value))
        module, metadata = load_model(tmp_path / f"{n}.pt")
        assert metadata.response.epsilon_inf == value
        cell = CELLS[boundary]
        results.append(run(module, network.cutoff, r, species, cell, True, form))
    bare, found, number = (result.pop("bec") for result in results)
    for result in results[1:]:
        assert all(torch.equal(result[key], results[0][key]) for key in result)
    values, vectors = np.linalg.eigh(epsilon)
    root = torch.from_numpy(vectors @ np.diag(np.sqrt(values)) @ vectors.T)
    expected = torch.einsum("ac,icb->iab", root, bare)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(number, 1.5 * bare, rtol=0, atol=1e-12)
    assert (found - found.transpose(1, 2)).abs().max() > 1e-3


def test_charge_signs_turn_the_channels(tmp_path):
    network = toy_models()["two_channels"][0]
    r, species = atoms()
    tensors = []
    for signs in ([1.0, -1.0], [-1.0, 1.0]):
        fields = toy_metadata(network, "float64", sign=signs)
        write_model(tmp_path / "m.pt", network, fields)
        module, _ = load_model(tmp_path / "m.pt")
        tensors.append(run(module, network.cutoff, r, species, CELL, True)["bec"])
    torch.testing.assert_close(tensors[0], -tensors[1])
    assert float(tensors[0].abs().max()) > 0.1


def test_mixed_boundaries_are_refused(toy_model):
    module, metadata = load_model(toy_model("linear"))
    r, species = atoms()
    edge_index, shifts = neighbor_list(r.numpy(), CELL.numpy(), True, metadata.network.cutoff)
    pbc = torch.tensor([True, True, False])
    with pytest.raises(torch.jit.Error, match="in all three directions or in none"):
        module(r, species, CELL, pbc, edge_index, shifts)


def test_unknown_form_is_refused(toy_model):
    module, metadata = load_model(toy_model("linear"))
    with pytest.raises(torch.jit.Error, match="'local' or 'phase'"):
        run(module, metadata.network.cutoff, *atoms(), CELL, True, "finite")


def test_raising_network_raises(toy_model):
    module, metadata = load_model(toy_model("raises"))
    with pytest.raises(torch.jit.Error, match="raised on purpose"):
        run(module, metadata.network.cutoff, *atoms(), CELL)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("species", ["O", "H"]),
        ("cutoff", 4.1),
        ("layers", 2),
        ("kind", "cace"),
        ("config", {"a": 1}),
        ("channels", 2),
    ],
)
def test_metadata_that_contradict_the_network_are_refused(tmp_path, field, value):
    network = toy_models()["linear"][0]
    changes = {field: value} | ({"sign": [1.0, 1.0]} if field == "channels" else {})
    fields = toy_metadata(network, "float64", **changes)
    with pytest.raises(ModelFileError, match=rf"'\w+.{field}' is .*, but the network has"):
        write_model(tmp_path / "m.pt", network, fields)
    assert not list(tmp_path.iterdir())


def test_cuts_that_contradict_the_network_are_refused(tmp_path):
    network = toy_models()["three_layers"][0]
    fields = toy_metadata(network, "float64")
    for name, value in (("kept", [0, 1]), ("sent", [1, 2])):
        with pytest.raises(ModelFileError, match=rf"network.{name}' is \[.*, but the network has"):
            write_model(tmp_path / "m.pt", network, changed(fields, **{name: value}))
    with pytest.raises(
        ModelFileError, match=r"network.kept' is \[\], but the network has \[0, 0\]"
    ):
        write_model(tmp_path / "m.pt", network, changed(fields, kept=[], sent=[]))


def test_a_module_that_is_no_network_is_refused(tmp_path):
    fields = toy_metadata(toy_models()["linear"][0], "float64")
    with pytest.raises(ModelFileError, match="Linear, has no 'species'; .*wrap makes a network"):
        write_model(tmp_path / "m.pt", torch.nn.Linear(1, 1), fields)


class TriesToDivide(torch.nn.Module):
    """A network in Python that TorchScript does not know."""

    def forward(
        self, edge_vectors: torch.Tensor, edge_index: torch.Tensor, species: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """No energies."""
        try:
            energy = 0.0 * species.to(edge_vectors.dtype)
        except ZeroDivisionError:
            raise
        return {"energy": energy}


class AddsText(torch.nn.Module):
    """A network whose types TorchScript refuses."""

    def forward(
        self, edge_vectors: torch.Tensor, edge_index: torch.Tensor, species: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """No energies."""
        flag = "energy"
        if edge_vectors.dim() == 9:
            flag = 1  # type: ignore[assignment]
        return {flag: 0.0 * species.to(edge_vectors.dtype)}


@pytest.mark.parametrize("kind", [TriesToDivide, AddsText])
def test_a_network_that_torchscript_does_not_take_is_refused(tmp_path, kind):
    network = wrap(kind(), species=["H"], cutoff=3.0, layers=1, channels=0)
    metadata = toy_metadata(network, "float32")
    with pytest.raises(ModelFileError, match="TorchScript does not take the network"):
        write_model(tmp_path / "m.pt", network, metadata)
    assert not list(tmp_path.iterdir())


def test_writing_leaves_the_network_alone(tmp_path):
    network = toy_models()["linear"][0].double()
    write_model(tmp_path / "m.pt", network, toy_metadata(network, "float32"))
    assert network.base.dtype == torch.float64
    assert read_metadata(tmp_path / "m.pt").network.dtype == "float32"
    assert [file.name for file in tmp_path.iterdir()] == ["m.pt"]


def test_a_cutoff_that_a_network_holds_in_single_precision(tmp_path):
    network = toy_models()["linear"][0].double()
    network.cutoff = float(np.float32(2.29))
    metadata = toy_metadata(network, "float64", cutoff=2.29)
    written = write_model(tmp_path / "m.pt", network, metadata)
    assert written.network.cutoff == 2.29
    with pytest.raises(ModelFileError, match=r"cutoff' is 2\.2901, but the network has"):
        write_model(tmp_path / "m.pt", network, changed(metadata, cutoff=2.2901))
