"""Compile the plugin against other versions of torch and LAMMPS than those of this environment.

python cmake/check_builds.py --torch /path/to/torch-2.11/torch --lammps /path/to/lammps

Each torch (the folder `torch` of an unpacked wheel; its dependencies are not needed) is taken with
the LAMMPS of this environment, and each LAMMPS (a source tree, or the prefix of an installed one)
with the torch of this environment. Nothing is optimized and nothing is run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]


def lammps_options(tree: Path) -> list[str]:
    """CMake options for a LAMMPS source tree, or for the prefix of an installed one."""
    if (tree / "src/pair.h").exists():
        return [f"-DLES_LAMMPS={tree}"]
    for config in tree.glob("**/cmake/LAMMPS/LAMMPSConfig.cmake"):
        return ["-DLES_LAMMPS=installed", f"-DLAMMPS_DIR={config.parent}"]
    sys.exit(f"{tree}: expected src/pair.h (a source tree) or .../cmake/LAMMPS/LAMMPSConfig.cmake")


def build(options: list[str], folder: Path) -> str:
    """Configure and compile all C++ rooms and the plugin; return what failed, or nothing."""
    # mpicxx of the wheel serves where the machine has none
    env = os.environ | {"PATH": f"{os.environ['PATH']}:{Path(sys.executable).parent}"}
    tools = [f"-DPython_EXECUTABLE={sys.executable}", "-GNinja", "-DLES_WARNINGS_AS_ERRORS=ON"]
    tools.append("-DCMAKE_BUILD_TYPE=None")
    for command in (
        ["cmake", "-S", str(SOURCE), "-B", str(folder), *tools, *options],
        ["cmake", "--build", str(folder), "--target", "leslmpplugin"],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return done.stdout + done.stderr
    return ""


def main() -> None:
    """Compile against each of them, say how it went, exit with 1 if one fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--torch", type=Path, nargs="*", default=[], metavar="FOLDER")
    parser.add_argument("--lammps", type=Path, nargs="*", default=[], metavar="FOLDER")
    given = parser.parse_args()
    if not given.torch and not given.lammps:
        parser.error("expected another torch or another LAMMPS to compile against")

    pairs = [(f"torch {t}", [f"-DLES_TORCH={t.resolve()}"]) for t in given.torch]
    pairs += [(f"LAMMPS {tree}", lammps_options(tree.resolve())) for tree in given.lammps]
    failed = False
    for name, options in pairs:
        with tempfile.TemporaryDirectory() as folder:
            reason = build(options, Path(folder))
        print(f"{name}: {'failed' if reason else 'compiles'}", flush=True)
        failed = failed or bool(reason)
        if reason:
            print(reason[-6000:])
    sys.exit(failed)


if __name__ == "__main__":
    main()
