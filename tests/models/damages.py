"""Damaged copies of a model file, and what comes of each: `python damages.py FILE FOLDER`.

Prints a line for each, NAME, a tab, and `same` (loads, energy as it was), `other` (loads, another
energy), or `refused` and the message. In a process of its own: a reader that trusts a damaged file
may end it.
"""

import io
import random
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.calculators.calculator import CalculatorError

from lammps_les.calculators import LesCalculator
from lammps_les.model_file import ModelFileError

SEED = 5


def rewritten(records: dict[str, bytes]) -> bytes:
    """A zip file of the records, with the checksums that they have."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return content.getvalue()


def records_of(content: bytes) -> dict[str, bytes]:
    """Records of a zip file by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def altered(content: bytes, chance: random.Random, count: int, begin: int = 0) -> bytes:
    """Some bytes replaced, all beyond the first ones."""
    changed = bytearray(content)
    for _ in range(count):
        changed[chance.randrange(begin, len(content))] = chance.randrange(256)
    return bytes(changed)


def damages(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and content of damaged files; what is `rewritten` has valid checksums."""
    chance = random.Random(SEED)
    records = records_of(content)
    names = list(records)
    directory = content.rindex(b"PK\1\2") - 60 * len(names)
    for n in range(40):
        yield f"bytes {n}", altered(content, chance, 1 + 15 * (n % 2))
        yield f"directory {n}", altered(content, chance, 1 + n % 4, directory)
    for n in range(20):
        yield f"cut off {n}", content[: chance.randrange(len(content))]
    for name, data in records.items():
        rest = {other: records[other] for other in names if other != name}
        yield f"without {name}", rewritten(rest)
        for kind, part in (("empty", b""), ("half", data[: len(data) // 2]), ("more", data + b"0")):
            yield f"{kind} {name}", rewritten(records | {name: part})
    for _ in range(30):
        one, other = chance.sample(names, 2)
        swapped = {one: records[other], other: records[one]}
        yield f"swapped {one} {other}", rewritten(records | swapped)
    for name in names:
        if "/data/" in name:
            for n in range(3):
                data = altered(records[name], chance, 1)
                yield f"weights {n} {name}", rewritten(records | {name: data})
        if name.endswith(".pkl") and "/code/" not in name:
            for n in range(40):
                data = altered(records[name], chance, 1 + n % 3)
                yield f"pickle {n} {name}", rewritten(records | {name: data})


def energy(path: Path) -> float:
    """Of two water molecules."""
    positions = [[0, 0, 0], [0.8, 0.6, 0], [-0.8, 0.6, 0], [0, 0, 3], [0.8, 0.6, 3], [-0.8, 0.6, 3]]
    atoms = Atoms("OHHOHH", positions, cell=[6, 6, 6], pbc=True)
    atoms.calc = LesCalculator(path)
    return float(atoms.get_potential_energy())


def outcome(path: Path, expected: float) -> str:
    """What comes of a file; other exceptions than those of LesCalculator pass."""
    try:
        return "same" if energy(path) == expected else "other"
    except (ModelFileError, CalculatorError) as error:
        return f"refused {str(error)!r}"


if __name__ == "__main__":
    good, folder = (Path(argument) for argument in sys.argv[1:])
    reference = energy(good)
    for name, content in damages(good.read_bytes()):
        file = folder / "damaged.pt"
        file.write_bytes(content)
        print(name, end="\t", flush=True)
        print(outcome(file, reference), flush=True)
