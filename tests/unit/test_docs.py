"""README and docs agree with the code: syntax, links, commands, messages; their examples run."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import typer
from ase import Atoms
from ase.build import molecule
from ase.calculators.lammps import Prism
from lmp import BIN, launch, write_data

from lammps_les.analysis import spectra
from lammps_les.cli import app
from lammps_les.keys import FILE_LABELS

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("**/*.md"))
EXAMPLES = sorted((ROOT / "lammps_examples").glob("*/README.md"))
PAGES = [README, *DOCS, *EXAMPLES]
CPP = ROOT / "cpp" / "lammps"
STYLES = {  # command: (page, source)
    "pair_style les": ("pair_les.md", "pair_les.cpp"),
    "fix efield/bec": ("fix_efield_bec.md", "fix_efield_bec.cpp"),
    "compute les/atom": ("compute_les_atom.md", "compute_les_atom.cpp"),
    "compute les/current": ("compute_les_current.md", "compute_les_current.cpp"),
    "compute les/dipole": ("compute_les_dipole.md", "compute_les_dipole.cpp"),
    "compute les/polarizability": (
        "compute_les_polarizability.md",
        "compute_les_polarizability.cpp",
    ),
}
SECTIONS = ["Syntax", "Examples", "Description", "Restrictions", "Related commands", "Default"]
PRELUDE = """\
units metal
atom_style atomic
read_data water.data
pair_style les
pair_coeff * * water.pt O H
timestep 0.0005
"""


def blocks(language: str, pages: list[Path] = PAGES) -> list[pytest.param]:
    """Code blocks of a language in pages, named by page and number."""
    found = []
    for page in pages:
        texts = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)
        found += [pytest.param(t, id=f"{page.stem}-{n}") for n, t in enumerate(texts, 1)]
    assert found
    return found


def code_of(page: Path) -> str:
    """Everything in a page that is set as code."""
    text = page.read_text()
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S)
    return "\n".join(fenced + re.findall(r"`([^`\n]+)`", text))


def keywords_in_page(name: str, marker: str) -> set[str]:
    """Words in emphasis in the line of the section Syntax that begins with `marker`."""
    line = re.search(rf"^\* {marker} (.*)$", (ROOT / "docs" / name).read_text(), re.M)
    assert line, f"{name} has no line '* {marker} ...'"
    return set(re.findall(r"\*(\w+)\*", line[1]))


def test_every_style_of_the_plugin_has_a_page_and_a_row_in_the_readme() -> None:
    kind, names = "", set()
    for field, value in re.findall(
        r'plugin\.(style|name) = "([^"]+)"', (CPP / "plugin.cpp").read_text()
    ):
        if field == "style":
            kind = "pair_style" if value == "pair" else value
        else:
            names.add(f"{kind} {value}")
    assert names == set(STYLES)
    for name, (page, _) in STYLES.items():
        assert f"| `{name}` |" in README.read_text()
        assert (ROOT / "docs" / page).read_text().startswith(f"# {name} command\n")


@pytest.mark.parametrize("page", [page for page, _ in STYLES.values()])
def test_page_has_the_sections_of_the_lammps_manual_in_order(page: str) -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "docs" / page).read_text(), re.M)
    assert [h for h in headings if h in SECTIONS] == SECTIONS


@pytest.mark.parametrize("command", ["pair_style les", "fix efield/bec"])
def test_keywords_in_page_and_code_agree(command: str) -> None:
    page, source = STYLES[command]
    known = re.search(
        rf'Keywords args\(\s*lmp, "{command}",\s*\{{([^}}]*)\}}', (CPP / source).read_text()
    )
    assert known
    assert keywords_in_page(page, "keyword =") == set(re.findall(r'"(\w+)"', known[1]))


def test_words_of_compute_les_atom_in_page_and_code_agree() -> None:
    source = (CPP.parent / "evaluation" / "atom_quantities.h").read_text()
    words = set(re.findall(r'\{AtomQuantity::\w+, "(\w+)"', source))
    assert len(words) > 2
    page, _ = STYLES["compute les/atom"]
    assert keywords_in_page(page, "zero or more words =") == words | {"bec"}


def test_values_of_pair_style_keywords_in_page_and_code_agree() -> None:
    page, source = (ROOT / "docs" / "pair_les.md").read_text(), (CPP / "pair_les.cpp").read_text()
    documented = {
        frozenset(values.split(" or "))
        for values in re.findall(r"^\w+ value = (\w[\w:]*(?: or [\w:]+)+)$", page, re.M)
    }
    rooms = "\n".join(path.read_text() for path in CPP.parent.glob("*/*.h"))
    named = dict(re.findall(r"std::vector<std::string> (\w+)\{([^}]*)\};", rooms))
    choices = re.findall(r"args\.choice<[\w:]+>\((?:les::(\w+)|\{([^}]*)\})\)", source)
    assert len(choices) == source.count("args.choice<")
    lists = [named[name] if name else values for name, values in choices]
    known = {frozenset(re.findall(r'"([^"]+)"', values)) for values in lists}
    if "run, cell, or a strain" in source:
        known.add(frozenset({"run", "cell", "S"}))
    if "args.yes_or_no()" in source:
        known.add(frozenset({"yes", "no"}))
    assert documented == known


def test_ranges_and_defaults_of_the_mesh_in_page_and_code_agree() -> None:
    page, source = (ROOT / "docs" / "pair_les.md").read_text(), (CPP / "pair_les.cpp").read_text()
    settings = (CPP.parent / "kspace" / "mesh_choice.h").read_text()
    orders = re.search(r"MIN_ORDER = (\d+), MAX_ORDER = (\d+)", settings)
    accuracies = re.search(r"accuracy = args\.number\((\S+), (\S+),", source)
    default = re.search(r"double accuracy = (\S+);", settings)
    assert orders
    assert accuracies
    assert default
    assert f"points of the window on each axis, {orders[1]} to {orders[2]};" in page
    assert f"of forces and potentials of the mesh, {accuracies[1]} to {accuracies[2]}\n" in page
    assert f"accuracy = {default[1]}," in page.split("## Default")[1]


def test_timing_line_in_page_names_the_parts_of_the_step() -> None:
    names = re.search(
        r"NAMES\[PARTS\] = \{(.*?)\};", (CPP.parent / "evaluation" / "step_times.h").read_text()
    )
    line = re.search(
        r"^pair les: ms a step: (.*)$", (ROOT / "docs" / "pair_les.md").read_text(), re.M
    )
    assert names
    assert line
    assert re.findall(r"([A-Za-z][A-Za-z -]*?) \d", line[1]) == re.findall(r'"([^"]+)"', names[1])


@pytest.mark.parametrize("page", [page for page, _ in STYLES.values()])
def test_quoted_error_messages_are_in_the_code(page: str) -> None:
    errors = (ROOT / "docs" / page).read_text().split("\n## Errors\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \|", errors, re.M)
    assert len(rows) > 4
    sources = [
        path.read_text()
        for room in ("lammps", "evaluation", "network", "kspace")
        for path in (CPP.parent / room).glob("*.*")
    ]
    text = re.sub(r'"\s*\n?\s*"', "", "\n".join(sources))  # join adjacent literals
    assert [row for row in rows if row not in text] == []


def anchors(page: Path) -> set[str]:
    """What links may name in a page, after the #."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    named = re.findall(r'<a id="([\w-]+)">', text)
    return {h.lower().replace(" ", "-") for h in headings} | set(named)


def test_relative_links_lead_somewhere() -> None:
    seen, broken = 0, []
    for page in PAGES:
        for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            if not link.startswith("http"):
                seen += 1
                name, _, anchor = link.partition("#")
                target = page.parent / name if name else page
                found = target.is_file() and (not anchor or anchor in anchors(target))
                broken += [] if found else [f"{page}: {link}"]
    assert seen > 20
    assert broken == []


def test_make_targets_exist() -> None:
    named = set()
    for page in PAGES:
        named |= set(re.findall(r"(?:^|\n)make ([\w-]+)", code_of(page)))
    assert {"demo", "test"} <= named
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert named <= targets


def test_subcommands_in_readme_and_program_agree() -> None:
    group = typer.main.get_command(app)
    rows = set(re.findall(r"^\| `lammps-les ([\w-]+)` \|", README.read_text(), re.M))
    assert rows == set(group.commands)


def test_options_in_pages_and_program_agree() -> None:
    group = typer.main.get_command(app)
    commands = {**group.commands}
    for name, command in group.commands["analyze"].commands.items():
        commands[f"analyze {name}"] = command
    options = {
        name: {o for p in command.params if not p.hidden for o in p.opts if o.startswith("--")}
        for name, command in commands.items()
    }
    page = ROOT / "docs" / "import_models.md"
    rows = re.findall(r"^\| (`-.*?) \|", page.read_text(), re.M)
    table = set(re.findall(r"--[a-z][\w-]*", " ".join(rows)))
    assert table == options["export"]
    for text in map(code_of, PAGES):
        for line in text.splitlines():
            used = re.match(r"lammps-les ((?:analyze )?[\w-]+) .*", line)
            if used:
                assert set(re.findall(r"--[a-z][\w-]*", line)) <= options[used[1]]
    # options named in running text
    everywhere = set(re.findall(r"--[a-z][\w-]*", page.read_text()))
    assert everywhere <= options["export"] | options["evaluate"] | options["info"]
    assert options["evaluate"] - {"--help"} <= everywhere


def test_factors_to_si_in_pages_are_those_of_the_package() -> None:
    """LAMMPS's kcal/mol is 1/23.060549 eV; in units real times are in fs."""
    metal, real = spectra.SIEMENS_PER_METER, spectra.SIEMENS_PER_METER * 23.060549 * 1000.0
    ohm = spectra.absorption(np.ones(1))[0]
    for name in ("conventions.md", "compute_les_current.md"):
        page = (ROOT / "docs" / name).read_text()
        assert f"{metal:.2f} S/m" in page
        assert f"{real:.5e} S/m".replace("e+0", "e") in page
    assert f"n alpha of {ohm:.3f} 1/cm" in (ROOT / "docs" / "compute_les_current.md").read_text()
    area = f"{metal / 100.0:.5f}"  # e/A^2 in C/m^2
    for page in (ROOT / "docs" / "conventions.md", ROOT / "docs" / "fix_efield_bec.md"):
        assert set(re.findall(r"16\.02\d*", page.read_text())) == {area}
    loop = (ROOT / "lammps_examples" / "hysteresis" / "in.hysteresis").read_text()
    assert f"f_field[6]/vol*{area}" in loop


def test_labels_in_training_page_and_code_agree() -> None:
    page = (ROOT / "docs" / "training.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| [^|]* \| (`[^|]*`) \|$", page, re.M)
    assert {name: tuple(re.findall(r"`(\w+)`", names)) for name, names in rows} == {
        quantity.name: quantity.aliases for quantity in FILE_LABELS
    }


def test_cmake_options_in_pages_are_those_of_the_build() -> None:
    cmake = (ROOT / "CMakeLists.txt").read_text()
    named = set(re.findall(r"-D (LES_\w+)=", code_of(README) + code_of(ROOT / "docs/building.md")))
    assert named == {"LES_LAMMPS", "LES_LAMMPS_SIZES", "LES_TORCH"}
    for name in named:
        assert re.search(rf"(set|option)\({name} ", cmake)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, toy_model) -> Path:
    """Directory with the files that examples name: water.pt (a toy), data and restart files."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copy(toy_model("linear"), folder / "water.pt")
    shutil.copy(toy_model("multipoles"), folder / "polarizable.pt")
    atoms = Atoms(cell=[8.0] * 3, pbc=True)
    for n, corner in enumerate(np.ndindex(2, 2, 2)):
        water = molecule("H2O")
        water.rotate(40.0 * n, (1, 2, 3))
        water.translate(4.0 * np.array(corner) + 1.5)
        atoms += water
    write_data(folder / "water.data", atoms, ["O", "H"], Prism(atoms.cell, pbc=True))
    shutil.copytree(ROOT / "lammps_examples", folder / "lammps_examples")
    fixes = "fix field all efield/bec 0.0 0.0 0.1\nrun 2\nwrite_restart water.restart\n"
    (folder / "in.restart").write_text(PRELUDE + "fix 1 all nvt temp 300.0 300.0 0.1\n" + fixes)
    returncode, log = launch(folder / "in.restart")
    assert returncode == 0, log[-2000:]
    return folder


@pytest.mark.parametrize("text", blocks("lammps"))
def test_lammps_example_runs_two_steps(text: str, workplace: Path) -> None:
    script = text if text.startswith("units ") else PRELUDE + text
    if not re.search(r"^fix \S+ \S+ n[vp][et]|^minimize", script, re.M):
        script = script.replace(PRELUDE, PRELUDE + "fix integrate all nve\n")
    if not re.search(r"^(run|minimize) ", script, re.M):
        script += "run 2\n"
    script = re.sub(r"^run \d+", "run 2", script, flags=re.M)
    script = re.sub(r"^(minimize \S+ \S+) .*", r"\1 2 10", script, flags=re.M)
    if "les/polarizability" in text:
        script = script.replace("water.pt", "polarizable.pt")
    (workplace / "in.example").write_text(script)
    returncode, log = launch(workplace / "in.example")
    assert returncode == 0, log[-2000:]
    assert "Loop time of" in log
    assert "WARNING" not in log


def test_first_run_of_readme_runs_as_written_on_two_ranks(tmp_path: Path) -> None:
    """Its commands and its input, with the model and the data that ship; fewer steps."""
    section = README.read_text().split("\n## First run\n")[1].split("\n## ")[0]
    commands = re.findall(r"^```bash\n(.*?)^```$", section, re.M | re.S)
    texts = re.findall(r"^```lammps\n(.*?)^```$", section, re.M | re.S)
    assert len(commands) == 1
    assert [len(text.splitlines()) for text in texts] == [10]
    (tmp_path / "lammps_examples").symlink_to(ROOT / "lammps_examples")
    for line in commands[0].splitlines():
        environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
        subprocess.run(line.split(), cwd=tmp_path, env=environment, check=True)
    (tmp_path / "in.water").write_text(re.sub(r"^run \d+", "run 20", texts[0], flags=re.M))
    returncode, log = launch(tmp_path / "in.water", ranks=2)
    assert returncode == 0, log[-2000:]
    assert "WARNING" not in log
    assert "on 2 procs" in log
    first, last = (re.search(rf"^ +{step} .*", log, re.M) for step in (0, 20))
    assert first
    assert last
    energies = [float(row[0].split()[2]) / 64 for row in (first, last)]
    assert all(-14.8 < e < -14.5 for e in energies)  # eV a molecule: elements in the right order
    assert float(last[0].split()[4]) > 0.0  # polarized along the field


@pytest.mark.parametrize("text", blocks("python", [README]))  # another one: test_wrap.py
def test_python_example_runs(
    text: str,
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(workplace)
    exec(compile(text, "example", "exec"), {})  # our own README
    numbers = re.findall(r"-?\d+\.\d+", capsys.readouterr().out)
    assert len(numbers) == 10  # an energy and a 3 x 3 tensor
