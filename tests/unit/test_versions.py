"""Versions that stand in two places."""

import re
from importlib.metadata import requires, version
from pathlib import Path

import lammps_les

ROOT = Path(__file__).resolve().parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text()
CONSTRAINTS = (ROOT / "constraints.txt").read_text().splitlines()


def test_what_the_plugin_is_built_against_is_what_it_runs_with():
    pins = {line for line in CONSTRAINTS if re.match(r"(torch|lammps|mpich)==", line)}
    assert len(pins) == 3
    assert [PROJECT.count(f'"{pin}"') for pin in pins] == [2, 2, 2]  # to build and to run


def test_every_dependency_is_pinned_for_every_python():
    """A line without a condition, or one on either side of a version."""
    for requirement in requires("lammps-les"):
        name = re.match(r"[a-z-]+", requirement)[0]
        lines = [line for line in CONSTRAINTS if line.startswith(f"{name}==")]
        conditions = sorted(re.findall(r"python_version (\S+) (\S+)", " ".join(lines)))
        if conditions:
            assert [c[0] for c in conditions] == ["<", ">="], requirement
            assert conditions[0][1] == conditions[1][1], requirement
        else:
            assert len(lines) == 1, requirement


def test_version_of_the_package():
    assert lammps_les.__version__ == version("lammps-les")
