"""Heat flux on several ranks, beside other output, in other units; warnings and refusals."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from heat_flux import BAR, COMPUTES, ORDER, centroid_virial, flux, moving, opened, skewed
from lmp import read_dump, run


@pytest.mark.parametrize("name", ["two_channels", "total_charge", "two_layers"])
def test_ranks(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Two clusters apart, on 1, 2, 4 ranks (two of them empty); and the sums of the tensors."""
    atoms = opened(water(2))
    other = opened(water(2, seed=1))
    other.positions += (60.0, 0.5, -0.3)
    atoms = moving(atoms + other)
    one = None
    for ranks in (1, 2, 4) if name == "two_layers" else (1, 4):
        folder = tmp_path / f"{ranks}"
        before = [f"processors {ranks} 1 1"]
        result, j = flux(folder, atoms, toy_model(name), ranks=ranks, before=before)
        tensors = centroid_virial(folder)
        if one is None:
            one = (j, tensors)
            pressure = [result.values[p] for p in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")]
            total = tensors.sum(axis=0)
            found = [total[a, b] for a, b in ORDER[:6]]
            virial = np.array(pressure) * result.values["vol"] / BAR
            np.testing.assert_allclose(found, virial, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(total, total.T, rtol=0, atol=1e-9)  # no torque
            assert np.abs(tensors - tensors.transpose(0, 2, 1)).max() > 0.01
        np.testing.assert_allclose(j, one[0], rtol=0, atol=1e-10 * np.linalg.norm(one[0]))
        np.testing.assert_allclose(tensors, one[1], rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "kspace"), [("two_channels", "mesh"), ("two_layers", "direct")])
def test_ranks_of_a_periodic_system(
    name: str,
    kspace: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms = moving(skewed(water(3)))
    results = []
    for ranks in (1, 4):
        folder = tmp_path / f"{ranks}"
        flux(folder, atoms, toy_model(name), ranks=ranks, style=f"kspace {kspace}")
        results.append(centroid_virial(folder))
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_beside_other_output(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Beside a field, Born charges, stress/atom and another potential: each as it is alone."""
    atoms = moving(opened(water(2)))
    model = toy_model(name)
    lj = ["pair_coeff * * lj/cut 0.005 2.5"]
    both = [
        "pair_style hybrid/overlay les lj/cut 6.0",
        f"pair_coeff * * les {model} H O",
        *lj,
    ]
    shares = {}
    for name_of, potential in {
        "les": None,
        "lj": ["pair_style lj/cut 6.0", "pair_coeff * * 0.005 2.5"],
        "both": both,
    }.items():
        flux(tmp_path / name_of, atoms, model, potential=potential)
        shares[name_of] = centroid_virial(tmp_path / name_of)
    assert np.abs(shares["lj"]).max() > 1e-3
    np.testing.assert_allclose(shares["both"], shares["les"] + shares["lj"], rtol=0, atol=1e-10)

    field = ["fix field all efield/bec 0.0 0.1 0.05", "compute w all stress/atom NULL pair"]
    answers = {}
    for name_of, more in {"alone": [], "beside": COMPUTES}.items():
        folder = tmp_path / name_of
        columns = "c_w[*] c_st[*]" if more else "c_w[*]"
        commands = [
            *field,
            *more,
            "run 0",
            f"write_dump all custom w.dump id {columns} modify sort id format float %.17g",
        ]
        result = run(folder, atoms, model, commands=commands)
        answers[name_of] = (result.forces, result.bec, read_dump(folder / "w.dump")[:, 1:])
    for a, b in zip(answers["alone"][:2], answers["beside"][:2], strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-10)
    alone, beside = answers["alone"][2], answers["beside"][2]
    np.testing.assert_allclose(beside[:, :6], alone, rtol=0, atol=1e-6 * np.abs(alone).max())


def test_units_and_precision(
    water: Callable[..., Atoms], shipped: Callable[..., Path], tmp_path: Path
) -> None:
    atoms = moving(opened(water(2)))
    flux(tmp_path / "metal", atoms, shipped())
    flux(tmp_path / "real", atoms, shipped(), units="real")
    flux(tmp_path / "float32", atoms, shipped("float32"))
    metal = centroid_virial(tmp_path / "metal")
    scale = 68568.415 * 23.060549 / BAR  # atm A^3 per kcal/mol, and these per eV
    np.testing.assert_allclose(
        centroid_virial(tmp_path / "real") / scale, metal, rtol=0, atol=1e-6 * np.abs(metal).max()
    )
    single = centroid_virial(tmp_path / "float32")
    np.testing.assert_allclose(single, metal, rtol=0, atol=2e-5 * np.abs(metal).max())


def test_warning(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """The symmetric stress is taken by `compute heat/flux` without a word of LAMMPS."""
    text = "compute heat/flux is wrong for a many-body model"
    symmetric = [c.replace("centroid/", "") for c in COMPUTES]
    for commands, warned in ((symmetric, True), (COMPUTES, False), (symmetric[:3], False)):
        result = run(
            tmp_path / f"{len(commands)}{warned}",
            water(2),
            toy_model("linear"),
            commands=[*commands, "run 0", "run 0"],
        )
        assert (text in result.log) is warned


def test_refusals(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    for n, (model, text) in enumerate(
        [
            (toy_model("total_charge"), "shifts the charges of all atoms at once"),
        ]
    ):
        result = run(
            tmp_path / f"{n}",
            water(2),
            model,
            ranks=2,
            commands=[*COMPUTES, "thermo_style custom step c_hf[1]", "run 0"],
            quantities="",
            check=False,
        )
        assert result.returncode != 0
        assert text in result.log
