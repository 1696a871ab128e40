"""Plant faults, one after another, in a copy of the tree, and see whether the tests notice them.

`python tests/mutation/run.py [--only PATTERN] [--list] [--folder FOLDER]`; the tree itself is never
touched. The copy stays for the next run, so that only what has changed is compiled again. Exit
status 1 if a fault survives, 2 if the tests do not even pass without one.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pybind11
from mutants import ROOT, Mutant, mutants
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

TIMEOUT = 900  # s, for the tests of a fault, which may have made them endless
# an editable install would lead to the tree itself
CUSTOMIZE = """\
import sys
sys.meta_path[:] = [f for f in sys.meta_path if type(f).__name__ != "ScikitBuildRedirectingFinder"]
"""
console = Console(soft_wrap=True, highlight=False)


class NotBuiltError(Exception):
    """A copy that does not compile; the text is what the compiler said."""


class Copy:
    """A copy of the tree with compiled parts of its own, which the Python at hand imports.

    Args:
        folder: where it is, or will be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.build_folder = self.folder / "build" / "mutation"
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(
                str(self.folder / part) for part in ("site", "python", "export")
            ),
            "LES_SHARED": os.environ.get("LES_SHARED", str(ROOT.parent / "shared")),
        }

    def refresh(self) -> None:
        """Take over what has changed in the tree, and what a run that was killed left behind."""
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        files = {name for name in listed if (ROOT / name).is_file()}
        for path in [p for p in self.folder.rglob("*") if p.is_file()]:
            name = str(path.relative_to(self.folder))
            if (
                name not in files
                and not name.startswith(("build", "site"))
                and path.suffix != ".so"
            ):
                path.unlink()
        for name in files:
            source, target = ROOT / name, self.folder / name
            if not target.is_file() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        (self.folder / "site").mkdir(exist_ok=True)
        (self.folder / "site" / "sitecustomize.py").write_text(CUSTOMIZE)

    def build(self) -> None:
        """Compile what has changed since the last time.

        Raises:
            NotBuiltError: with the compiler's output.
        """
        tools = Path(sys.executable).parent
        environment = self.environment | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        commands = [["cmake", "--build", "."]]
        if not (self.build_folder / "build.ninja").is_file():
            options = {
                "Python_EXECUTABLE": sys.executable,
                "pybind11_DIR": pybind11.get_cmake_dir(),
                "LES_PYTHON_MODULE": "ON",
                "LES_WARNINGS_AS_ERRORS": "ON",
            }
            defined = [f"-D{name}={value}" for name, value in options.items()]
            commands.insert(0, ["cmake", "-G", "Ninja", *defined, str(self.folder)])
        self.build_folder.mkdir(parents=True, exist_ok=True)
        for command in commands:
            done = subprocess.run(
                command,
                cwd=self.build_folder,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
            if done.returncode != 0:
                raise NotBuiltError(done.stdout[-4000:])
        for compiled in self.build_folder.glob("*.so"):
            link = self.folder / "python" / "lammps_les" / compiled.name
            if not link.exists():
                link.symlink_to(compiled)

    @contextlib.contextmanager
    def with_fault(self, mutant: Mutant) -> Iterator[None]:
        """The copy with one fault in it."""
        path = self.folder / mutant.file
        original = path.read_text()
        path.write_text(mutant.text(original))
        try:
            yield
        finally:
            path.write_text(original)

    def test(
        self, tests: Sequence[str], timeout: float | None = TIMEOUT
    ) -> subprocess.CompletedProcess[str]:
        """Run tests until the first that fails."""
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=timeout,
        )


def verdict(copy: Copy, mutant: Mutant) -> tuple[str, str]:
    """`caught`, `survived` or `invalid`, and by which test, or why."""
    with copy.with_fault(mutant):
        try:
            copy.build()  # also what the fault before has left
            done = copy.test(mutant.tests)
        except NotBuiltError as error:
            return "invalid", f"does not compile: {error}"
        except subprocess.TimeoutExpired:
            return "caught", f"no end within {TIMEOUT} s"
    if done.returncode == 0:
        return "survived", " ".join(mutant.tests)
    failed = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - |$)", done.stdout, re.M)
    if done.returncode > 2 or failed is None:
        return "invalid", f"tests do not run: {done.stdout[-2000:]}"
    return "caught", failed[1]


def broken(copy: Copy, chosen: Sequence[Mutant], trust: bool) -> str:
    """Why the copy is of no use even without a fault, or ""."""
    try:
        copy.build()
    except NotBuiltError as error:
        return f"the tree does not compile: {error}"
    if trust:
        return ""
    tests = list(dict.fromkeys(test for mutant in chosen for test in mutant.tests))
    done = copy.test(tests, timeout=None)
    return "" if done.returncode == 0 else f"tests fail without a fault: {done.stdout[-4000:]}"


def main() -> int:
    """See the head of the file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="faults in whose line the pattern is found")
    parser.add_argument("--list", action="store_true", help="print them and end")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutants", help="the copy")
    parser.add_argument("--trust", action="store_true", help="do not run the tests without a fault")
    options = parser.parse_args()
    chosen = [m for m in mutants() if re.search(options.only, str(m))]
    if options.list or not chosen:
        for mutant in chosen:
            console.print(f"{mutant}  [{' '.join(mutant.tests)}]", markup=False)
        console.print(f"{len(chosen)} faults")
        return 0 if chosen else 2
    copy = Copy(options.folder)
    copy.refresh()
    trouble = broken(copy, chosen, options.trust)
    if trouble:
        console.print(trouble, markup=False)
        return 2
    table = Table("fault", "", "by", title="planted faults", title_justify="left")
    count: Counter[str] = Counter()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        for mutant in progress.track(chosen, description="planting"):
            begin = time.monotonic()
            kind, by = verdict(copy, mutant)
            count[kind] += 1
            table.add_row(Text(str(mutant)), kind, Text(by))
            console.print(f"{kind} {time.monotonic() - begin:.0f} s: {mutant}: {by}", markup=False)
    console.print(table, markup=False)
    console.print(", ".join(f"{kind} {n}" for kind, n in sorted(count.items())))
    return int(count["caught"] != len(chosen))


if __name__ == "__main__":
    sys.exit(main())
