"""Imports between the rooms of the Python packages run one way."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "lammps_les": ROOT / "python" / "lammps_les",
    "lammps_les_export": ROOT / "export" / "lammps_les_export",
}
EXPORT = "lammps_les_export"

ORDER = (
    ("ranges",),
    ("files", "keys", "units", "plugin", "model_file"),
    ("data", "electrostatics", "models"),
    ("benchmark", "calculators", "pretrained"),
    ("analysis", EXPORT),
    ("training",),
    ("cli",),
)
"""A room imports from lines above its own only: rooms of one line know nothing of each other."""


def room(module: str) -> str | None:
    """Second part of ``lammps_les.X...``; the export is one room; None for all else."""
    package, *rest = module.split(".")
    if package == EXPORT:
        return EXPORT
    return rest[0] if package == "lammps_les" and rest else None


def imported(file: Path) -> set[str]:
    """Rooms that a file imports, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import does not name its room"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {r for r in map(room, names) if r not in (None, "__version__", "_core")}


def imports_of_rooms() -> dict[str, set[str]]:
    """All rooms, and what the files of each import from others."""
    found: dict[str, set[str]] = {}
    for package, folder in PACKAGES.items():
        for file in folder.rglob("*.py"):
            here = (
                EXPORT if package == EXPORT else file.relative_to(folder).with_suffix("").parts[0]
            )
            found.setdefault(here, set()).update(imported(file) - {here})
    return found


def test_every_room_imports_only_from_rooms_above_it():
    found = imports_of_rooms()
    assert found.pop("__init__") == set()
    assert found.keys() == {name for line in ORDER for name in line}
    above: set[str] = set()
    for line in ORDER:
        for name in line:
            assert found[name] <= above, f"{name} imports {sorted(found[name] - above)}"
        above |= set(line)
