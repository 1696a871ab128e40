"""Imports between the rooms of the Python packages run one way."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "lammps_les": ROOT / "python" / "lammps_les",
    "lammps_les_export": ROOT / "export" / "lammps_les_export",
}
EXPORT = "lammps_les_export"


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
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {r for r in map(room, names) if r not in (None, "__version__", "_core")}


def test_rooms_have_an_order():
    graph: dict[str, set[str]] = {}
    for package, folder in PACKAGES.items():
        for file in folder.rglob("*.py"):
            parts = file.relative_to(folder).with_suffix("").parts
            here = EXPORT if package == EXPORT else parts[0]
            if here != "__init__":
                graph.setdefault(here, set()).update(imported(file) - {here})
    order = list(TopologicalSorter(graph).static_order())  # raises where there is a circle
    assert len(order) > 10
    assert order.index("model_file") < order.index(EXPORT) < order.index("training")
    assert order[-1] == "cli"
