"""Layers of owned atoms with an exchange between them give what evaluating all ghosts gives."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import Run, run
from test_ranks import SHAPES, assert_same

MODELS = ["three_layers", "deep", "cace"]
FIELD = [
    "fix E all efield/bec 0.1 -0.2 0.3",
    "fix_modify E virial yes energy yes",
    "velocity all create 300.0 7",
    "timestep 0.0005",
    "fix 1 all nve",
]


@pytest.fixture
def model(
    toy_model: Callable[..., Path], two_layer_cace: Callable[..., Path]
) -> Callable[[str], Path]:
    """Model file by name, float64."""

    def path(name: str) -> Path:
        return two_layer_cace() if name == "cace" else toy_model(name)

    return path


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", MODELS)
def test_exchange_or_ghosts(
    name: str,
    shape: str,
    model: Callable[[str], Path],
    water: Callable[..., Atoms],
    tmp_path: Path,
) -> None:
    """Charges, Born effective charges in both forms, forces and stress."""
    atoms = SHAPES[shape](water)
    for form in ("local", "phase"):
        results = {
            (exchange, ranks): run(
                tmp_path / f"{form}{exchange}{ranks}",
                atoms,
                model(name),
                ranks=ranks,
                style=f"bec {form} exchange {exchange}",
            )
            for exchange, ranks in [("no", 1), ("no", 2), ("yes", 1), ("yes", 2), ("yes", 4)]
        }
        reference = results.pop(("no", 1))
        assert np.abs(reference.bec - reference.bec.transpose(0, 2, 1)).max() > 1e-6
        for (exchange, ranks), result in results.items():
            assert ("ghost cutoff set to" in result.log) == (exchange == "no"), ranks
            assert_same(result, reference)


def in_field(
    folder: Path,
    atoms: Atoms,
    model: Path,
    ranks: int,
    style: str = "",
    before: Sequence[str] = (),
    commands: Sequence[str] = (),
) -> Run:
    """Some steps in a field, with its virial in the stress."""
    return run(
        folder,
        atoms,
        model,
        ranks=ranks,
        style=style,
        before=before,
        commands=[*FIELD, *commands, "run 6", 'print "VALUE work $(f_E:%.17g)"'],
    )


def nlocal_of(result: Run) -> int:
    """Atoms of the rank that had the fewest at the end."""
    line = next(line for line in result.log.splitlines() if line.startswith("Nlocal:"))
    return int(line.split(" max ")[1].split(" min")[0])


@pytest.mark.parametrize("name", MODELS)
def test_dynamics_in_a_field(
    name: str, model: Callable[[str], Path], water: Callable[..., Atoms], tmp_path: Path
) -> None:
    """Also on 8 ranks, on ranks without atoms, and with a rebuild in each step."""
    atoms, path = water(3), model(name)
    reference = in_field(tmp_path / "no", atoms, path, 1, "exchange no")
    assert abs(reference.values["work"]) > 1e-4
    rebuild = ["neigh_modify every 1 delay 0 check no"]
    empty = ["processors 4 1 1", "comm_style brick"]
    for folder, ranks, before, commands in [
        ("2", 2, [], []),
        ("8", 8, ["processors 2 2 2"], []),
        ("rebuild", 4, [], rebuild),
        ("empty", 4, empty, ["balance 1.0 x 0.02 0.03 0.9"]),
    ]:
        result = in_field(tmp_path / folder, atoms, path, ranks, "", before, commands)
        assert (folder == "empty") == ("Nlocal:" in result.log and nlocal_of(result) == 0)
        assert_same(result, reference)
        assert result.values["work"] == pytest.approx(reference.values["work"], rel=1e-9)


@pytest.mark.parametrize("form", ["local", "phase"])
def test_chunks_and_what_is_stored(
    form: str, two_layer_cace: Callable[..., Path], water: Callable[..., Atoms], tmp_path: Path
) -> None:
    """Several chunks; what is not stored is evaluated again, half of it, or all."""
    atoms = water(7)
    assert len(atoms) == 1029  # three chunks
    everything = run(tmp_path / "all", atoms, two_layer_cace(), style=f"bec {form} exchange no")
    for store, ranks in [("0", 1), ("0", 2), ("0.01", 1)]:
        style = f"bec {form} store {store}"
        result = run(
            tmp_path / f"{store}{ranks}", atoms, two_layer_cace(), ranks=ranks, style=style
        )
        assert_same(result, everything)


@pytest.mark.parametrize("name", ["deep", "wrapped"])
def test_under_hybrid(
    name: str, toy_model: Callable[..., Path], water: Callable[..., Atoms], tmp_path: Path
) -> None:
    """The buffers of LAMMPS are wide enough there too."""
    atoms = water(3)
    alone = run(tmp_path / "alone", atoms, toy_model(name))
    for ranks in (1, 2, 4):
        potential = [
            "pair_style hybrid/overlay zero 5.0 les",
            "pair_coeff * * zero",
            f"pair_coeff * * les {toy_model(name)} H O",
        ]
        result = run(
            tmp_path / str(ranks), atoms, toy_model(name), ranks=ranks, potential=potential
        )
        assert_same(result, alone)
