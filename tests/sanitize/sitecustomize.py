"""With this folder in PYTHONPATH, `_core` and the plugin beside it are those of $LES_BUILD."""

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path


class _OtherBuild:
    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != "lammps_les._core":
            return None
        (library,) = Path(os.environ["LES_BUILD"]).glob("_core*.so")
        return spec_from_file_location(name, library)


sys.meta_path.insert(0, _OtherBuild)  # type: ignore[arg-type]
