"""The list of planted faults: one token of the physics changed, and the tests that must notice."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
LISTS = sorted(Path(__file__).parent.glob("*.yaml"))


class Mutant(NamedTuple):
    """One change of one file.

    Attributes:
        file: path in the tree.
        old: text that stands in it once.
        new: what takes its place.
        tests: arguments of pytest, by which it is to be noticed.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}: {self.old} -> {self.new}"

    def text(self, original: str) -> str:
        """The file with the change.

        Raises:
            ValueError: the old text does not stand there exactly once.
        """
        found = original.count(self.old)
        if found != 1:
            raise ValueError(
                f"{self.file}: expected '{self.old}' once, found it {found} times; write down the "
                "line as it is now, or as much of it as makes it the only one"
            )
        return original.replace(self.old, self.new)


def mutants() -> Iterator[Mutant]:
    """All of `*.yaml`: by file of the tree changes [old, new], with tests of their own or not."""
    for path in LISTS:
        for file, entry in yaml.safe_load(path.read_text()).items():
            for old, new, *tests in entry["changes"]:
                yield Mutant(file, old, new, tuple(tests or entry["tests"]))
