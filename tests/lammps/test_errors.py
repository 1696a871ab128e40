"""Wrong input ends with an error that says what was expected, what came and what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from ase import Atoms
from lmp import launch, run

Toy = Callable[..., Path]
Water = Callable[..., Atoms]


def error_of(folder: Path, atoms: Atoms, model: Path, **options) -> str:
    """What LAMMPS says when it refuses; fails if it does not."""
    options = {"quantities": ""} | options
    result = run(folder, atoms, model, check=False, **options)
    assert result.returncode != 0, "LAMMPS accepted the input"
    found = re.search(r"ERROR.*", result.log)  # ranks may write over each other's line ends
    assert found, result.log
    return found[0]


def one_atom(setting: str) -> list[str]:
    """A system without a data file, after a command that must precede it."""
    return [
        "clear",
        "units metal",
        setting,
        "region box block 0 8 0 8 0 8",
        "create_box 2 box",
        "create_atoms 1 single 4 4 4",
        "mass * 1.0",
        "pair_style les",
        "pair_coeff * * {model} H O",
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"commands": ["pair_coeff * * {model} H Xe"]},
            "knows the species H O; type 2 asks for Xe",
        ),
        ({"before": ["newton off"]}, "pair_style les requires newton pair on"),
        (
            {"boundary": "p f p"},
            "boundaries must be periodic along all three lattice vectors",
        ),
        (
            {"style": "cutoff 5.0"},
            "unknown keyword 'cutoff'; known are kspace, accuracy, spacing, order, mesh_error",
        ),
        ({"style": "bec"}, "keyword 'bec' needs a value"),
        ({"style": "bec global"}, "keyword 'bec' expects one of local, phase, not 'global'"),
        ({"style": "born phase"}, "pair_style les: keyword 'born' is now 'bec'"),
        ({"style": "kspace mesh mesh 0.8"}, "pair_style les: keyword 'mesh' is now 'spacing'"),
        ({"style": "check yes"}, "pair_style les: keyword 'check' is now 'mesh_error'"),
        (
            {"commands": ["fix f all efield/bec 0 0 0.1 mesh 0.8", "run 0"]},
            "unknown keyword 'mesh'; known are region, neutral, response",
        ),
        ({"style": "kspace fft"}, "keyword 'kspace' expects one of auto, direct, mesh, not 'fft'"),
        ({"style": "accuracy 1"}, "'accuracy' expects a relative error between 1e-7 and 1e-2"),
        ({"style": "order 40"}, "keyword 'order' expects an integer from 5 to 10, not '40'"),
        (
            {"style": "kspace mesh spacing 1.2"},
            "is too coarse for this model: it must be below dl/2",
        ),
        (
            {"commands": ["neigh_modify exclude type 1 1", "run 0"]},
            "neigh_modify exclude and include would change the model",
        ),
        (
            {"style": "epsilon_inf -1"},
            "a number from 0.1 to 1000, or six, XX YY ZZ XY XZ YZ",
        ),
        (
            {"style": "device gpu"},
            "keyword 'device' expects one of auto, cpu, cuda, cuda:N, not 'gpu'",
        ),
        ({"style": "device cuda:N"}, "expects cuda:N with a number N from 0 to 127, not 'cuda:N'"),
        ({"style": "device cuda:99999999999"}, "keyword 'device' expects cuda:N with a number"),
        ({"units": "lj"}, "works in units metal or real, not lj"),
        (
            {"commands": ["fix f all efield/bec 0 0 0.1 field 2", "run 0"]},
            "fix efield/bec: unknown keyword 'field'",
        ),
        (
            {"commands": ["fix f all efield/bec 0 0", "run 0"]},
            "expected three components of the field (V/A), got 2",
        ),
        ({"commands": ["fix f all efield/bec 0 0 v_e", "run 0"]}, "variable e does not exist"),
        (
            {"commands": ["variable e string 1", "fix f all efield/bec 0 0 v_e", "run 0"]},
            "variable e is neither equal- nor atom-style",
        ),
        ({"commands": ["fix f all efield/bec 0 0 1 region r", "run 0"]}, "region r does not exist"),
        (
            {"commands": ["fix f all efield/bec 0 0 1 neutral maybe", "run 0"]},
            "keyword 'neutral' expects one of yes, no, not 'maybe'",
        ),
        ({"commands": ["fix f all efield/bec 0 0 1", 'print "$(f_f[7])"']}, "use 'run 0' first"),
        (
            {"commands": ["fix f all efield/bec 0 0 1 response some", "run 0"]},
            "keyword 'response' expects one of full, field, not 'some'",
        ),
        (
            {
                "commands": [
                    "fix f all efield/bec 0 0 1 response field",
                    "run 0",
                    'print "$(f_f[7])"',
                ]
            },
            "'response field' gives no polarization and no current; use 'response full'",
        ),
        (
            {
                "commands": [
                    "variable e atom x",
                    "fix f all efield/bec 0 0 v_e response field",
                    "run 0",
                ]
            },
            "variable e is atom-style, but 'response field' is for uniform fields",
        ),
        (
            {"commands": ["compute c all les/atom charge", "run 0"]},
            "unknown keyword 'charge'; known are q, phi, dipole, quadrupole, alpha, dq, du, field, "
            "bec",
        ),
        ({"commands": ["compute c all les/current x", "run 0"]}, "takes no arguments, got 'x'"),
        ({"commands": ["pair_coeff * * {model} H"]}, "each of the 2 atom types, got 4 arguments"),
        (
            {"commands": ["pair_coeff 1 2 {model} H O"]},
            "Pair_coeff must start with * * for pair style les",
        ),
        (
            {"commands": ["pair_coeff * * {model} NULL NULL"]},
            "pair_coeff les: every atom type is mapped to NULL",
        ),
        (  # one of them: LAMMPS itself says which pairs of types are without a potential
            {"commands": ["pair_coeff * * {model} H NULL", "run 0"]},
            "All pair coeffs are not set",
        ),
        (
            {"model": "two_layers", "style": "exchange no", "before": ["neighbor 2.0 multi"]},
            "the edges of ghosts need neighbor style bin or nsq",
        ),
        (
            {"style": "kspace mesh", "boundary": "f f f"},
            "kspace mesh is for periodic systems; open boundaries take the pair sum (kspace auto)",
        ),
        (
            {"style": "kspace mesh accuracy 1e-7 order 5"},
            "pair_style les: a window of 5 points cannot reach the accuracy asked for; take a",
        ),
        (
            {
                "before": ["atom_modify first ends"],
                "commands": ["group ends id 1", "neigh_modify include ends", "run 0"],
            },
            "neigh_modify exclude and include would change the model",
        ),
        (
            {"commands": [*one_atom("atom_modify id no"), "run 0"]},
            "requires atom IDs (atom_modify id yes)",
        ),
        (
            {"commands": [*one_atom("atom_style charge"), "kspace_style ewald 1e-4", "run 0"]},
            "KSpace style is incompatible with Pair style",
        ),
        (
            {"commands": ["run_style respa 2 2 inner 1 3.0 3.5 outer 2", "run 0"]},
            "Pair style does not support rRESPA inner/middle/outer",
        ),
        (
            {"commands": ["fix f all efield/bec 0 0 1", "run_style respa 2 2", "run 0"]},
            "built without LAMMPS's respa.h, so it cannot be used with run_style respa",
        ),
        (
            {"model": "harmonic", "commands": ["fix f all efield/bec 0 0 1", "run 0"]},
            "fix efield/bec: the model of pair_style les has no charges",
        ),
        (
            {"model": "harmonic", "commands": ["compute c all les/atom q"]},
            "compute les/atom: the model of pair_style les has no charges",
        ),
        (
            {
                "model": "harmonic",
                "commands": ["compute c all les/current", "run 0"],
            },
            "compute les/current: the model of pair_style les has no charges",
        ),
        pytest.param(
            {"style": "device cuda"},
            "torch sees no CUDA GPU; use device cpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU"),
        ),
    ],
)
def test_wrong_input(
    options: dict, text: str, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    model = toy_model(options.get("model", "linear"))
    options = {name: value for name, value in options.items() if name != "model"}
    if "commands" in options:
        options["commands"] = [c.replace("{model}", str(model)) for c in options["commands"]]
    assert text in error_of(tmp_path, water(2, spacing=4.0), model, **options)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("word", ["q", "bec"])
def test_atoms_that_went(
    word: str, ranks: int, water: Callable[..., Atoms], toy_model: Toy, tmp_path: Path
) -> None:
    """Deleted on one rank, they are missed by all: the run ends, and does not wait for ever."""
    commands = [
        f"compute c all les/atom q {word}",
        "group gone id 1",
        "run 0",
        "delete_atoms group gone",
        "write_dump all custom x.dump id c_c[2]",
    ]
    message = error_of(
        tmp_path,
        water(2, spacing=4.0),
        toy_model("linear"),
        ranks=ranks,
        commands=commands,
        environment={"MPIEXEC_TIMEOUT": "60"},
    )
    assert "atoms came or went since; use 'run 0' first" in message


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("command", ["fix f all efield/bec 0 0 1", "compute c all les/current"])
def test_without_pair_les(
    command: str, ranks: int, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    commands = [command, "pair_style zero 4.0", "pair_coeff * *", "run 0"]
    message = error_of(
        tmp_path, water(2, spacing=4.0), toy_model("linear"), commands=commands, ranks=ranks
    )
    assert "needs pair_style les, alone or in pair_style hybrid/overlay" in message


def test_before_pair_coeff(water: Water, toy_model: Toy, tmp_path: Path) -> None:
    commands = ["pair_style zero 4.0", "pair_style les", "compute c all les/atom q", "run 0"]
    message = error_of(tmp_path, water(2, spacing=4.0), toy_model("linear"), commands=commands)
    assert "the model is not known before pair_coeff" in message


def test_two_instances(water: Water, toy_model: Toy, tmp_path: Path) -> None:
    model = toy_model("linear")
    commands = [
        "pair_style hybrid/overlay les les",
        f"pair_coeff * * les 1 {model} H O",
        f"pair_coeff * * les 2 {model} H O",
    ]
    for last, text in (
        ("run 0", "pair_style les can be used only once"),
        (
            "compute c all les/atom q",
            "compute les/atom needs exactly one pair_style les, but there are several",
        ),
    ):
        message = error_of(tmp_path, water(2, spacing=4.0), model, commands=[*commands, last])
        assert text in message


def test_excluded_bonded_neighbors(water: Water, toy_model: Toy, tmp_path: Path) -> None:
    before = ["atom_style bond"]
    options = {"before": before, "commands": ["run 0"]}
    atoms = water(2, spacing=4.0)
    folder = tmp_path
    result = run(folder, atoms, toy_model("linear"), check=False, quantities="", **options)
    assert result.returncode != 0  # the data file is of style atomic: LAMMPS itself refuses it
    data = (folder / "data.lmp").read_text().replace("# atomic", "# bond")
    head, body = data.split("Atoms # bond\n\n")
    rows = [line.split() for line in body.splitlines()]
    (folder / "data.lmp").write_text(
        head + "Atoms # bond\n\n" + "\n".join(f"{r[0]} 1 {' '.join(r[1:])}" for r in rows) + "\n"
    )
    returncode, log = launch(folder / "in.lmp")
    assert returncode != 0
    assert "use 'special_bonds lj/coul 1 1 1' or atom_style atomic" in log


def test_elements_in_a_wrong_order_are_warned_about(
    water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    """The masses of the data file are those of H and O."""
    model = toy_model("linear")
    text = "WARNING: pair les: are the elements of pair_coeff in the order of the atom types?"
    run(tmp_path, water(2, spacing=4.0), model)
    script = tmp_path / "in.lmp"
    returncode, log = launch(script)
    assert returncode == 0, log
    assert text not in log
    right = script.read_text()
    assert f"pair_coeff * * {model} H O" in right
    script.write_text(right.replace(f"{model} H O", f"{model} O H"))
    returncode, log = launch(script, 2)
    assert returncode == 0, log
    assert log.count(text) == 1
    assert "type 1 has mass 1.008, O has 15.999; type 2 has mass 15.999, H has 1.008" in log
    # deuterium
    script.write_text(right.replace("pair_coeff", "mass 1 2.014\npair_coeff"))
    returncode, log = launch(script)
    assert returncode == 0, log
    assert "types? type 1 has mass 2.014, H has 1.008 (isotopes are fine)" in log


def test_plain_efield_is_warned_about(water: Water, toy_model: Toy, tmp_path: Path) -> None:
    atoms = water(2, spacing=4.0)
    before = ["atom_style charge"]
    result = run(tmp_path, atoms, toy_model("linear"), quantities="", check=False, before=before)
    assert result.returncode != 0  # the data file is of style atomic
    data = (tmp_path / "data.lmp").read_text()
    head, body = data.split("Atoms # atomic\n\n")
    rows = [line.split() for line in body.splitlines()]
    (tmp_path / "data.lmp").write_text(
        head
        + "Atoms # charge\n\n"
        + "\n".join(f"{r[0]} {r[1]} 0.0 {' '.join(r[2:])}" for r in rows)
        + "\n"
    )
    text = (tmp_path / "in.lmp").read_text()
    (tmp_path / "in.lmp").write_text(
        text.replace("run 0", "fix a all efield 0 0 1\nfix b all efield/bec 0 0 1\nrun 0")
    )
    returncode, log = launch(tmp_path / "in.lmp")
    assert returncode == 0, log
    assert "WARNING: fix a efield acts on atom charges, which pair_style les does not use" in log
