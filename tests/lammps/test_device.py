"""`device cuda` gives what the CPU gives; where there is no GPU, on one that is not there.

That one also ends a run that mixes devices, touches device memory from the host, or reads memory
that nobody has written.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from generate import toy_metadata
from heat_flux import COMPUTES, moving
from lmp import Run, run
from torch import Tensor
from toy_networks import ToyNetwork

from lammps_les_export import write_model

DYNAMICS = [
    "velocity all create 300.0 5",
    "timestep 0.0005",
    "fix 1 all nve",
]
FIELD = "fix f all efield/bec 0.1 -0.2 0.3"


def on_both(
    folder: Path, gpu: dict[str, str], atoms: Atoms, model: Path, style: str, **settings
) -> tuple[Run, Run]:
    """Results on the GPU and on the CPU."""
    settings["before"] = [*settings.get("before", []), "neighbor 1.0 bin"]
    return (
        run(
            folder / "cuda",
            atoms,
            model,
            style=f"{style} device cuda gpu_aware no",
            environment=gpu,
            **settings,
        ),
        run(folder / "cpu", atoms, model, style=f"{style} device cpu", **settings),
    )


@pytest.fixture
def model_file(
    shipped: Callable[..., Path],
    two_layer_cace: Callable[..., Path],
    toy_model: Callable[..., Path],
) -> Callable[[str], Path]:
    """Model file by name: that which ships, one of two layers, or a toy."""
    own = {"shipped": shipped, "two_layers": two_layer_cace}
    return lambda name: own[name]() if name in own else toy_model(name)


def opened(atoms: Atoms, style: str) -> tuple[Atoms, str]:
    """Without boundaries where the style is "open", else both as they are."""
    if style == "open":
        atoms.pbc, atoms.cell, style = False, None, ""
    return atoms, style


def assert_same(found: Run, expected: Run, digits: float) -> None:
    """Energy, stress, and every column but the id, relative to its largest number."""
    assert found.energy == pytest.approx(expected.energy, rel=digits)
    np.testing.assert_allclose(
        found.stress, expected.stress, rtol=0, atol=digits * np.abs(expected.stress).max()
    )
    for name, column in expected.columns.items():
        scale = np.abs(column).max()
        np.testing.assert_allclose(found.columns[name], column, rtol=0, atol=digits * scale)
    assert "fake cuda:" not in found.log


@pytest.mark.parametrize(
    ("name", "style", "ranks"),
    [
        ("shipped", "kspace mesh", 1),
        ("shipped", "kspace mesh gpu_kernels no", 1),
        ("shipped", "kspace mesh", 2),
        ("shipped", "kspace direct", 1),
        ("shipped", "kspace direct", 2),
        ("shipped", "open", 2),
        ("two_channels", "kspace mesh bec phase", 1),
        ("total_charge", "kspace mesh", 2),
        ("two_layers", "kspace mesh", 1),
        ("two_layers", "kspace direct bec phase", 2),
    ],
)
def test_charges_and_born_effective_charges(
    name: str,
    style: str,
    ranks: int,
    gpu: dict[str, str],
    water: Callable[..., Atoms],
    model_file: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """Some steps, with per-atom energies and virials, then all that compute les/atom gives."""
    atoms, style = opened(water(3), style)
    sums = ["c_sums[1]", "c_sums[2]", "c_sums[3]"]
    found, expected = on_both(
        tmp_path,
        gpu,
        atoms,
        model_file(name),
        style,
        ranks=ranks,
        channels=2 if name == "two_channels" else 1,
        commands=[
            "compute e all pe/atom",
            "compute w all stress/atom NULL virial",
            "compute sums all reduce sum c_e c_w[1] c_w[6]",
            *DYNAMICS,
            "thermo 3",
            "thermo_style custom step pe c_sums[*] c_stress[*]",
            "run 3",
            *(f'print "VALUE {value} $({value}:%.17g)"' for value in sums),
        ],
    )
    assert_same(found, expected, 1e-9)
    for value in sums:
        assert found.values[value] == pytest.approx(expected.values[value], rel=1e-8)


@pytest.mark.parametrize(
    ("name", "style", "ranks"),
    [
        ("shipped", "kspace mesh", 1),
        ("two_layers", "kspace direct", 2),
        ("total_charge", "open", 1),
    ],
)
def test_heat_flux(
    name: str,
    style: str,
    ranks: int,
    gpu: dict[str, str],
    water: Callable[..., Atoms],
    model_file: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    atoms, style = opened(moving(water(3)), style)
    found, expected = on_both(
        tmp_path,
        gpu,
        atoms,
        model_file(name),
        style,
        ranks=ranks,
        quantities="",
        commands=[
            *COMPUTES,
            "thermo_style custom step pe c_hf[*]",
            "run 0",
            *(f'print "VALUE flux{k} $(c_hf[{k}]:%.17g)"' for k in (1, 2, 3)),
        ],
    )
    assert_same(found, expected, 1e-9)
    flux = [np.array([run_.values[f"flux{k}"] for k in (1, 2, 3)]) for run_ in (found, expected)]
    np.testing.assert_allclose(flux[0], flux[1], rtol=0, atol=1e-9 * np.linalg.norm(flux[1]))


def test_without_a_compiler_of_kernels(
    fake_cuda: dict[str, str],
    water: Callable[..., Atoms],
    shipped: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """The log says so, and operations of torch give the same."""
    gpu = {**fake_cuda, "FAKE_CUDA_DRIVER": "none"}
    found, expected = on_both(tmp_path, gpu, water(2), shipped(), "kspace mesh")
    assert_same(found, expected, 1e-9)
    said = "without kernels: the driver (libcuda) or their compiler (libnvrtc) was not found"
    assert said in found.log
    assert said not in expected.log


def lists(log: str) -> int:
    """Neighbor lists of LAMMPS."""
    return sum(int(n) for n in re.findall(r"(\d+) neighbor lists, perpetual", log))


def test_lammps_makes_no_list(
    gpu: dict[str, str], water: Callable[..., Atoms], shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """But where pairs are left out: under pair_style hybrid."""
    found, expected = on_both(tmp_path / "alone", gpu, water(2), shipped(), "kspace mesh")
    assert_same(found, expected, 1e-9)
    assert (lists(found.log), lists(expected.log)) == (0, 1)
    potential = [
        "pair_style hybrid/overlay les kspace mesh device cuda zero 4.0",
        f"pair_coeff * * les {shipped()} H O",
        "pair_coeff * * zero",
    ]
    overlaid = run(
        tmp_path / "overlay",
        water(2),
        shipped(),
        potential=potential,
        environment=gpu,
        before=["neighbor 1.0 bin"],
    )
    assert_same(overlaid, expected, 1e-9)
    assert lists(overlaid.log) >= 1


@pytest.mark.parametrize("sum_", ["mesh", "direct"])
def test_single_precision(
    sum_: str,
    gpu: dict[str, str],
    water: Callable[..., Atoms],
    shipped: Callable[..., Path],
    tmp_path: Path,
) -> None:
    found, expected = on_both(tmp_path, gpu, water(3), shipped("float32"), f"kspace {sum_}")
    assert_same(found, expected, 2e-5)


@pytest.mark.parametrize("response", ["field", "full"])
@pytest.mark.parametrize("ranks", [1, 2])
def test_field_with_a_rebuild_every_step(
    ranks: int,
    response: str,
    gpu: dict[str, str],
    water: Callable[..., Atoms],
    shipped: Callable[..., Path],
    tmp_path: Path,
) -> None:
    commands = [
        "neigh_modify every 1 delay 0 check no",
        f"{FIELD} response {response}",
        *DYNAMICS,
        "run 4",
    ]
    found, expected = on_both(
        tmp_path, gpu, water(3), shipped(), "kspace mesh", ranks=ranks, commands=commands
    )
    assert_same(found, expected, 1e-9)


@pytest.mark.parametrize("name", ["shipped", "two_layers"])
def test_ranks_without_atoms(
    name: str,
    gpu: dict[str, str],
    water: Callable[..., Atoms],
    shipped: Callable[..., Path],
    two_layer_cace: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms = water(2)
    atoms.set_cell(atoms.cell.array * np.array([[1.0], [1.0], [6.0]]))
    found, expected = on_both(
        tmp_path,
        gpu,
        atoms,
        shipped() if name == "shipped" else two_layer_cace(),
        "kspace mesh spacing 0.9" if name == "shipped" else "kspace direct",
        ranks=2,
        before=["processors 1 1 2"],
        commands=[FIELD, *DYNAMICS, "run 2"],
    )
    nlocal = next(line for line in found.log.splitlines() if line.startswith("Nlocal:"))
    assert "0 min" in nlocal
    assert_same(found, expected, 1e-9)


class Planted(ToyNetwork):
    """e_i = sum_j w(r_ij), q_i = 0, with a fault on the way."""

    def __init__(self, fault: str) -> None:
        super().__init__(["H", "O"], cutoff=3.0, layers=1, channels=1)
        self.fault = fault

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class."""
        window = self.squared_distance_and_window(edge_vectors)[1]
        if self.fault == "host tensor":
            window = window + torch.zeros([window.size(0)], dtype=window.dtype)
        if self.fault == "unwritten memory":
            window = window + 0.0 * torch.empty_like(window)
        energy = torch.zeros([n_centers], dtype=window.dtype, device=window.device)
        energy = energy.index_add(0, edge_index[0], window)
        return {"energy": energy, "charge": torch.zeros_like(energy).unsqueeze(1)}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("none", ""),
        ("host tensor", "fake cuda: refused, tensors of two devices: aten::add of Double["),
        ("unwritten memory", "fake cuda: memory that nobody has written is read by aten::mul"),
    ],
)
def test_fault_in_a_network_ends_the_run(
    fault: str,
    said: str,
    fake_cuda: dict[str, str],
    water: Callable[..., Atoms],
    tmp_path: Path,
) -> None:
    network, model = Planted(fault), tmp_path / "model.pt"
    write_model(model, network, toy_metadata(network, "float64"))
    result = run(
        tmp_path / "run",
        water(2),
        model,
        style="device cuda",
        quantities="",
        environment=fake_cuda,
        check=False,
    )
    assert (result.returncode == 0) == (fault == "none")
    assert said in result.log
