"""Forces of fix efield/bec: E(r, t) . Z, on the atoms on which the field acts."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import read_dump, run


def pushes(
    folder: Path,
    atoms: Atoms,
    model: Path,
    ranks: int,
    fixes: Mapping[str, str],
    *before: str,
    network: str = "auto",
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Z of the compute without a field; forces and net force (f_E[1] to f_E[3]) of each field."""
    dump = "write_dump all custom {}.dump id fx fy fz{} modify sort id format float %.17g"
    commands = [*before, "run 0", dump.format("no_field", " c_les[*]")]
    for name, fix in fixes.items():
        commands += [fix, "run 0", dump.format(name, "")]
        commands += [f'print "VALUE {name}{a} $(f_E[{a}]:%.17g)"' for a in (1, 2, 3)]
        commands += ["unfix E"]
    style = f"network {network}"
    result = run(
        folder, atoms, model, ranks=ranks, style=style, quantities="bec", commands=commands
    )
    none = read_dump(folder / "no_field.dump")
    forces = {n: read_dump(folder / f"{n}.dump")[:, 1:4] - none[:, 1:4] for n in fixes}
    net = {n: np.array([result.values[f"{n}{a}"] for a in (1, 2, 3)]) for n in fixes}
    return none[:, 4:].reshape(-1, 3, 3), forces, net


# toy model, and what evaluates it
MODELS = [("two_layers", "auto"), ("cace", "native"), ("cace", "script")]


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(("name", "network"), MODELS)
def test_variables(
    name: str,
    network: str,
    ranks: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Each component has a variable of its own, each of another shape in space."""
    atoms = water(3)
    x, y, z = atoms.get_positions(wrap=True).T
    edge = atoms.cell.lengths()[0]
    wave = 0.5 * np.cos(2 * np.pi * x / edge) + 0.01 * y
    variables = {
        "Ax": ("atom 0.3-0.05*x", 0.3 - 0.05 * x),
        "Ay": ("atom 0.02*y*z", 0.02 * y * z),
        "Az": ("atom 0.5*cos(2*PI*x/lx)+0.01*y", wave),
        "Ex": ("equal 0.05*lx", 0.05 * edge),
        "Ey": ("equal -0.002*atoms", -0.002 * len(atoms)),
        "Ez": ("equal 0.7+step", 0.7),
    }
    fields = {
        "atoms": ["Ax", "Ay", "Az"],
        "equal": ["Ex", "Ey", "Ez"],
        "mixed": ["Ey", "0.4", "Ax"],
    }
    runs = [("atoms", "no"), ("atoms", "yes"), ("equal", "yes"), ("mixed", "no")]
    fixes = {
        f"{kind}_{neutral}": "fix E all efield/bec "
        + " ".join(f"v_{c}" if c in variables else c for c in fields[kind])
        + f" neutral {neutral}"
        for kind, neutral in runs
    }
    define = [f"variable {name} {words}" for name, (words, _) in variables.items()]
    model = toy_model(name)
    bec, push, net = pushes(tmp_path, atoms, model, ranks, fixes, *define, network=network)
    assert np.abs(bec - bec.transpose(0, 2, 1)).max() > 1e-3
    for kind, neutral in runs:
        values = [variables[c][1] if c in variables else float(c) for c in fields[kind]]
        at = np.stack([np.broadcast_to(e, len(atoms)) for e in values])  # [a, i]
        expected = np.einsum("ai,iab->ib", at, bec)
        fix = f"{kind}_{neutral}"
        np.testing.assert_allclose(net[fix], expected.sum(axis=0), rtol=0, atol=1e-9)
        if neutral == "yes":
            assert np.abs(expected.mean(axis=0)).min() > 1e-4
            expected -= expected.mean(axis=0)
        np.testing.assert_allclose(push[fix], expected, rtol=0, atol=1e-10, err_msg=fix)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(("name", "network"), MODELS)
def test_region_and_group(
    name: str,
    network: str,
    ranks: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Only atoms of the group inside the region are pushed; `neutral` averages over them.

    A field on each atom may be anything where none feels it.
    """
    atoms, model = water(3), toy_model(name)
    half = atoms.cell.lengths()[0] / 2
    oxygen = atoms.numbers == 8
    left = atoms.get_positions(wrap=True)[:, 0] < half
    acts = {
        "oxygen": oxygen,
        "all region left": left,
        "oxygen region left": oxygen & left,
        "oxygen region nowhere": np.zeros_like(left),
    }
    fixes = {}
    for words in acts:
        group, *region = words.split(maxsplit=1)
        x = "v_ex" if "left" in words else "0.3"
        for neutral in ("no", "yes"):
            fixes[f"{words} {neutral}".replace(" ", "_")] = (
                f"fix E {group} efield/bec {x} -0.2 0.5 neutral {neutral} {' '.join(region)}"
            )
    bec, push, net = pushes(
        tmp_path,
        atoms,
        model,
        ranks,
        fixes,
        "group oxygen type 2",
        f"region left block 0 {half} INF INF INF INF",
        f"variable ex atom 0.3+1e6*(x>{half})",
        "region nowhere block 0 0 0 0 0 0",
        network=network,
    )
    for words, where in acts.items():
        no, yes = (f"{words} {neutral}".replace(" ", "_") for neutral in ("no", "yes"))
        expected = np.einsum("a,iab->ib", [0.3, -0.2, 0.5], bec) * where[:, None]
        np.testing.assert_allclose(push[no], expected, rtol=0, atol=1e-10, err_msg=no)
        for fix in (no, yes):
            np.testing.assert_allclose(net[fix], expected.sum(axis=0), rtol=0, atol=1e-9)
        if where.any():
            assert 5 < where.sum() < 60
            mean = expected[where].mean(axis=0)
            assert np.abs(mean).max() > 1e-2
            expected -= mean * where[:, None]
        np.testing.assert_allclose(push[yes], expected, rtol=0, atol=1e-10, err_msg=yes)
