"""Wrong values of all keywords, in one process of LAMMPS's library: each ends in words."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from ase.calculators.lammps import Prism
from lmp import write_data

NO_NUMBERS = ["nan", "inf", "-inf", "1e400", "-1e400", "", "ten", "1,5", "--1", "1e", "0x", "v_"]
STYLE = "pair_style les"
# keyword: numbers at the ends of its range, numbers beyond it, and what the message expects
NUMBERS = {
    "accuracy": ("1e-7 1e-2", "0 -1e-5 1e-8 0.011 1e300 1e-300", "a relative error between"),
    "spacing": ("1e-3 1e3", "0 -1 1e-300 1e300 1e-400", "a number from 0.001 to 1000"),
    "order": ("5 10", "4 11 5.5 -5 1e300 2147483653 4294967301", "an integer from 5 to 10"),
    "epsilon_inf": ("0.1 1000", "0 -1 0.09 1001 1e300 1e-400", "a number from 0.1 to 1000, or six"),
    "kset": ("0 1 run cell", "-1 1.1 1e300 S runs", "run, cell, or a strain from 0 to 1"),
    "store": ("0 1e6", "-1 1e7 1e300", "a number of GB from 0 to 1e6"),
}
TENSORS = ["1 2", "1 1 1 0 0", "1 1 1 0 0 0 0", "1 1 1 1 0 0", "-1 1 1 0 0 0", "1 1 1 0 0 nan"]
DEVICES = ["cuda:", "cuda:-1", "cuda:128", "cuda:99999999", f"cuda:{9**99}", "cuda:1e1", "cuda:N"]
CHOICES = ["kspace", "mesh_error", "bec", "multichannel_bec", "device", "edges", "exchange"]
FIELDS = ["1001", "-1e300", "1e-400x"]

# a case is a JSON list of commands on one line; so are answers, null where LAMMPS accepts all
SCRIPT = """
import json, sys
from lammps import lammps

lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
for line in sys.stdin:
    try:
        for command in json.loads(line):
            lmp.command(command)
        print(json.dumps(None), flush=True)
    except Exception as error:
        print(json.dumps(str(error)), flush=True)
"""


def answers(folder: Path, cases: list[list[str]]) -> list[str | None]:
    """What LAMMPS says to lists of commands, one after the other in one process."""
    libraries = str(Path(sys.executable).parents[1] / "lib")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input="\n".join(map(json.dumps, cases)),
        cwd=folder,
        env=os.environ | {"LD_LIBRARY_PATH": libraries},
        text=True,
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line[:1] in '"n']
    assert len(found) == len(cases)
    return found


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a data file of one molecule of water."""
    folder = tmp_path_factory.mktemp("command_lines")
    atoms = Atoms("H2O", [[0.76, 0.59, 0], [-0.76, 0.59, 0], [0, 0, 0]], cell=[12.0] * 3, pbc=True)
    write_data(folder / "data.lmp", atoms, ["H", "O"], Prism(atoms.cell))
    return folder


def begin(model: Path, style: str = "") -> list[str]:
    return [
        "clear",
        "units metal",
        "read_data data.lmp",
        f"pair_style les {style}",
        f"pair_coeff * * {model} H O",
    ]


def test_values_of_all_keywords(system: Path, toy_model: Callable[..., Path]) -> None:
    cases: dict[str, str | None] = {}  # command: what its error says, or None
    for keyword, (good, bad, expected) in NUMBERS.items():
        for value in good.split():
            cases[f"{STYLE} {keyword} {value}"] = None
        for value in [*NO_NUMBERS, *bad.split()]:
            cases[f'{STYLE} {keyword} "{value}"'] = (
                f"{STYLE}: keyword '{keyword}' expects {expected}"
            )
    cases[f"{STYLE} epsilon_inf 2.1 2.2 1.9 0.1 0 -0.2 bec phase"] = None
    for value in TENSORS:
        cases[f"{STYLE} epsilon_inf {value} bec phase"] = (
            f"{STYLE}: keyword 'epsilon_inf' expects a number from 0.1 to 1000, or six, XX YY ZZ "
            f"XY XZ YZ, of a tensor with such eigenvalues, not '{value.removesuffix(' nan')}'"
        )
    for value in DEVICES:
        cases[f"{STYLE} device {value}"] = "keyword 'device' expects cuda:N with a number N from 0"
    for keyword in CHOICES:
        for value in NO_NUMBERS:
            cases[f'{STYLE} {keyword} "{value}"'] = f"keyword '{keyword}' expects one of"
        cases[f"{STYLE} {keyword}"] = f"{STYLE}: keyword '{keyword}' needs a value"
    cases[f'{STYLE} ""'] = "unknown keyword ''; known are kspace"
    for component, name in enumerate("xyz"):
        for value in [*NO_NUMBERS, *FIELDS]:
            field = ["0"] * component + [f'"{value}"'] + ["0"] * (2 - component)
            cases[f"fix f all efield/bec {' '.join(field)}"] = (
                f"fix efield/bec: E{name} expects a field from -1000 to 1000 V/A, or v_name, not"
            )
    cases["fix f all efield/bec -1000 1000 1e-400"] = None
    cases["unfix f"] = None  # LAMMPS would delete it twice, where another one of its name is wrong
    cases['fix f all efield/bec 0 0 1 region ""'] = "fix efield/bec: region  does not exist"
    for keyword in ("neutral", "response"):
        cases[f'fix f all efield/bec 0 0 1 {keyword} ""'] = f"keyword '{keyword}' expects one of"
    for word in ("", "nan", "Q"):
        cases[f'compute c all les/atom "{word}"'] = f"unknown keyword '{word}'; known are q"
        cases[f'compute c all les/current "{word}"'] = f"takes no arguments, got '{word}'"
    found = answers(system, [begin(toy_model("linear")), *([command] for command in cases)])
    assert found[0] is None
    for (command, text), answer in zip(cases.items(), found[1:], strict=True):
        if text is None:
            assert answer is None, f"{command}: {answer}"
        else:
            assert answer is not None, f"{command}: accepted"
            assert text in answer, f"{command}: {answer}"
            assert "\n" not in answer.partition("\nLast input line:")[0], answer


EXPLODES = "variable e equal exp(1000)"
# keywords, commands, and what the run ends with
RUNS: list[tuple[str, list[str], str]] = [
    (
        "",
        [EXPLODES, "fix f all efield/bec 0 v_e 0"],
        "variable e gives inf for Ey at step 0; expected a field from -1000 to 1000 V/A",
    ),
    (
        "",
        [f"{EXPLODES}-exp(1000)", "fix f all efield/bec v_e 0 0"],
        "nan for Ex at step 0; expected a field",
    ),
    (
        "",
        ["variable e atom exp(1000*(id==2))", "fix f all efield/bec v_e 0 0"],
        "variable e gives inf for Ex on atom 2 at step 0",
    ),
    (
        "",
        [
            "variable e equal 500*step",
            "fix f all efield/bec v_e 0 0",
            "fix 1 all nve",
            "timestep 1e-6",
            "run 5",
        ],
        "variable e gives 1500 for Ex at step 3",
    ),
    (
        "kspace mesh spacing 1e-3",
        [],
        "a mesh of 1.73e+12 points would be needed in a cell of 12 x 12 x 12 A, more than 1e+08 "
        "for each rank; give a larger spacing",
    ),
    (
        "kspace direct",
        ["change_box all x final 0 1e5 y final 0 1e5"],
        "the direct sum would need",
    ),
    ("kspace mesh", ["change_box all x final 0 1e7"], "a mesh of"),
    (
        "",
        ["change_box all x final 0 1e7 y final 0 1e7"],
        "use kspace mesh (without mesh_error yes), a smaller cell, or open boundaries",
    ),
]


def test_what_cannot_be_computed(system: Path, toy_model: Callable[..., Path]) -> None:
    """Told before anything of that size is asked for, and again in the next run."""
    model = toy_model("linear")
    cases = [
        [*begin(model, style), "variable e delete", *commands, "run 0"]
        for style, commands, _ in RUNS
    ]
    for (style, commands, text), answer in zip(RUNS, answers(system, cases), strict=True):
        assert answer is not None, f"{style} {commands}: accepted"
        assert text in answer, f"{style} {commands}: {answer}"
