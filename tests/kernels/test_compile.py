"""NVRTC compiles all kernels for the GPUs of three generations, within budgets of registers."""

import ctypes
import re
from importlib import metadata
from pathlib import Path

import pytest

from lammps_les import _core

ARCHITECTURES = (80, 90, 100)
PROGRAMS: list[tuple[str, dict[str, str]]] = [
    ("edges", {"REAL": "double"}),
    ("neighbors", {"REAL": "double"}),
    ("tally", {"REAL": "float"}),
    ("tally", {"REAL": "double"}),
    ("charges", {"REAL": "float"}),
    ("charges", {"REAL": "double"}),
    *(
        ("mesh", {"REAL": real, "ORDER": str(order), "DEGREE": "13"})
        for real in ("float", "double")
        for order in (5, 8, 10)
    ),
]
"""Programs with the sizes that are baked in."""

REGISTERS = {
    "select_edges": 64,
    "find_cells": 64,
    "count_neighbors": 64,
    "list_neighbors": 64,
    "tally": 64,
    "finish": 64,
    "place": 64,
    "spread": 80,
    "fold": 64,
    "influence": 96,
    "sum_virial": 64,
    "gather": 112,
    "charges_in_field": 64,
    "remove_net_force": 64,
}
"""The most that a thread may take. None may spill."""


@pytest.fixture(scope="module")
def nvrtc() -> None:
    """The compiler of the wheel, where `_core` finds it."""
    try:
        files = metadata.files("nvidia-cuda-nvrtc") or []
    except metadata.PackageNotFoundError:
        pytest.skip("no package nvidia-cuda-nvrtc, so kernels cannot be compiled for a GPU here")
    (library,) = [f for f in files if re.fullmatch(r"libnvrtc\.so\.\d+", f.name)]
    ctypes.CDLL(str(Path(library.locate())), mode=ctypes.RTLD_GLOBAL)


def registers_and_spills(log: str) -> dict[str, tuple[int, int]]:
    """Of each kernel, from what ptxas says: registers, and bytes that do not fit into them."""
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        spills = [int(n) for n in re.findall(r"(\d+) bytes spill", part)]
        (used,) = re.findall(r"Used (\d+) registers", part)
        found[part.split("'")[0]] = (int(used), sum(spills))
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("program", "macros"), PROGRAMS, ids=[f"{p}-{'-'.join(m.values())}" for p, m in PROGRAMS]
)
@pytest.mark.usefixtures("nvrtc")
def test_kernels_stay_within_their_registers(
    program: str, macros: dict[str, str], architecture: int
) -> None:
    code, log = _core.gpu.compile(program, macros, architecture, ["--ptxas-options=-v"])
    assert code[:4] == b"\x7fELF"
    assert "warning" not in log
    found = registers_and_spills(log)
    assert found
    over = {k: (r, s) for k, (r, s) in found.items() if r > REGISTERS[k] or s > 0}
    assert over == {}


@pytest.mark.usefixtures("nvrtc")
def test_newer_gpus_get_code_that_the_driver_translates() -> None:
    code, _ = _core.gpu.compile("edges", {"REAL": "double"}, 999)
    assert b".target sm_" in code


@pytest.mark.usefixtures("nvrtc")
def test_messages_of_the_compiler_are_passed_on() -> None:
    with pytest.raises(
        RuntimeError, match=r"kernels 'edges' do not compile for sm_90 .*:(.|\n)*broken"
    ):
        _core.gpu.compile("edges", {"REAL": "broken"}, 90)


def test_no_such_program() -> None:
    with pytest.raises(RuntimeError, match="no kernels 'nothing'|no compiler"):
        _core.gpu.compile("nothing", {}, 90)
