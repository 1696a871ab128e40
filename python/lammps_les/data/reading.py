"""Reading files of structures with ASE; an error says in which frame and line it is."""

import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import ase.io
from ase import Atoms
from ase.data import atomic_numbers
from ase.io.extxyz import key_val_str_to_dict, parse_properties
from ase.io.formats import filetype, open_with_compression, string2index

from lammps_les.files import unreadable


def read_frames(path: str | Path, index: str = ":") -> list[tuple[int, Atoms]]:
    """Frames of a file that an index of ASE chooses, each with its number in the file from 0 on.

    Args:
        path: any format that ASE reads.
        index: which frames, as ASE writes it.

    Raises:
        ValueError: the file cannot be read or has none of these frames; names the file, and frame
            and line where they are known.
    """
    path = Path(path)
    problem = unreadable(path)
    if problem:
        raise ValueError(f"{path} cannot be read as structures: the file {problem}")
    try:
        chosen = string2index(index)
        if isinstance(chosen, slice):
            chosen.indices(1)
    except ValueError as error:
        raise ValueError(
            f"{path}: frames '{index}' are none; expected a number or begin:end:step ({error})"
        ) from None
    try:
        is_xyz = filetype(str(path)) == "extxyz"
    except Exception:  # of an unknown format; reading says so better
        is_xyz = False
    if is_xyz:
        end = chosen.stop if isinstance(chosen, slice) else None
        _check_lines(path, end if end is not None and end > 0 else None)
    try:
        frames = list(_numbered(path, chosen))
    except Exception as error:  # ASE's readers raise anything
        place = _place_in_xyz(path) if is_xyz else _place(path)
        what = place or f": {_said(error)}"
        raise ValueError(f"{path} cannot be read as structures{what}") from None
    if not frames:
        raise ValueError(f"{path} holds no structures (asked for frames {index})")
    return frames


def _check_lines(path: Path, end: int | None) -> None:
    """Refuse an XYZ file that has not the lines that it promises, or other bytes than text."""
    try:
        for _ in _blocks(path, end):
            pass
    except UnicodeDecodeError:
        with open_with_compression(str(path), "rb") as file:
            at = next(n for n, line in enumerate(file, start=1) if _is_no_text(line))
        raise ValueError(
            f"{path} cannot be read as structures: line {at}: expected text in UTF-8"
        ) from None
    except ValueError:
        raise
    except Exception as error:  # a compressed file that is damaged
        raise ValueError(f"{path} cannot be read as structures: {_said(error)}") from None


def _is_no_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return True
    return False


def _numbered(path: Path, chosen: int | slice | str) -> Iterator[tuple[int, Atoms]]:
    if isinstance(chosen, str):  # a question to a database
        yield from enumerate(ase.io.read(path, chosen))
        return
    if isinstance(chosen, int):
        chosen = slice(chosen, chosen + 1 or None)
    begin, end, step = (n or 0 for n in (chosen.start, chosen.stop, chosen.step))
    if min(begin, end, step) < 0:  # from the end
        yield from list(enumerate(ase.io.read(path, ":")))[chosen]
        return
    yield from zip(itertools.count(begin, step or 1), ase.io.read(path, chosen), strict=False)


class _Block(NamedTuple):
    """The lines of one frame of an XYZ file; ``first`` is the number of the first one, from 1."""

    first: int
    lines: list[str]


def _blocks(path: Path, end: int | None = None) -> Iterator[_Block]:
    """Frames of an XYZ file as text, up to frame ``end``.

    Raises:
        ValueError: a frame without its number of atoms, or with fewer lines than that; what ASE
            would take without a word: text after an empty line, a value without an end.
    """
    with open_with_compression(str(path), "r") as file:
        lines = enumerate(file, start=1)
        n, at, ahead, last = 0, 0, next(lines, None), None
        while ahead is not None and n != end:
            at, header = ahead
            where = f"{path} cannot be read as structures: frame {n}, line {at}"
            if last is not None and header.strip() and not header.strip().isdecimal():
                fault = _line(last)  # a header among its rows, where files were joined
                if fault is not None:
                    raise ValueError(
                        f"{path} cannot be read as structures: frame {n - 1}, line {fault[0]}: "
                        f"{fault[1]}"
                    )
            if not header.strip():
                rest = next(((i, text) for i, text in lines if text.strip()), None)
                if rest is not None:
                    raise ValueError(f"{where} is empty, but line {rest[0]} is not; take it out")
                return
            if not header.strip().isdecimal() or len(header.strip()) > 12:
                raise ValueError(
                    f"{where}: expected the number of atoms, got '{header.strip()[:40]}'"
                )
            size = int(header)
            found = [text for _, text in itertools.islice(lines, size + 1)]
            if len(found) < size + 1:
                raise ValueError(
                    f"{where}: it has {size} atoms, but the file ends at line {at + len(found)}, "
                    f"after {max(0, len(found) - 1)} of them; it is cut short"
                )
            problem = _problem(found)
            if problem:
                raise ValueError(
                    f"{path} cannot be read as structures: frame {n}, line {at + 1} {problem}"
                )
            ahead = next(lines, None)
            while ahead is not None and ahead[1].lstrip().startswith("VEC"):  # a cell, as of ADF
                found.append(ahead[1])
                ahead = next(lines, None)
            last = _Block(at, [header, *found])
            yield last
            n += 1


_QUOTED = re.compile(r"""\"(?:\\.|[^"\\])*\"|'(?:\\.|[^'\\])*'""")


def _problem(lines: list[str]) -> str:
    """Why a line of keys and values may end in the middle, or ""; ASE makes do with it."""
    comment = lines[0]
    properties = re.search(r"\bProperties=\"?([^\s\"]+)", comment)
    if properties is None and "Lattice=" not in comment:
        return ""
    columns = sum(int(n) for n in re.findall(r":(\d+)", properties[1])) if properties else 0
    found = len(lines[1].split()) if len(lines) > 1 else 0
    if '"' in re.sub(r"\\.", "", _QUOTED.sub("", comment)):
        return "is cut short: a quotation mark is not closed"
    if columns and found > columns:
        return f"does not fit its rows: rows have {found} columns, Properties names {columns}"
    return ""


def _place_in_xyz(path: Path) -> str:
    """Frame and line of the first frame that ASE cannot read, with the reason."""
    for n, block in enumerate(_blocks(path)):
        try:
            ase.io.read(io.StringIO("".join(block.lines)), 0, format="extxyz")
        except Exception as error:
            line, reason = _line(block) or (block.first, _said(error))
            return f": frame {n}, line {line}: {reason}"
    return ""


def _line(block: _Block) -> tuple[int, str] | None:
    """The line of a block that is at fault, and why."""
    try:
        given = key_val_str_to_dict(block.lines[1])
        names, _, _, kinds = parse_properties(given.get("Properties", "species:S:1:pos:R:3"))
    except Exception as error:
        return block.first + 1, _said(error)
    ours = [name for name, (_, columns) in names.items() for _ in range(columns)]
    rows = block.lines[2 : 2 + int(block.lines[0])]
    for at, text in enumerate(rows, start=block.first + 2):
        cells = text.split()
        if len(cells) < len(kinds):
            return at, f"expected {len(kinds)} columns, got {len(cells)}: '{text.strip()[:40]}'"
        for name, kind, cell in zip(ours, kinds, cells, strict=False):
            try:
                kind(cell)
            except ValueError:
                return at, f"'{cell[:40]}' is no value of {name}"
            if name == "species" and cell.capitalize() not in atomic_numbers:
                return at, f"'{cell[:40]}' is no element"
    return None


def _place(path: Path) -> str:
    """The frame at which ASE fails in a file of another kind, where it reads one after another."""
    n = 0
    try:
        for _ in ase.io.iread(path, ":"):
            n += 1
    except Exception as error:
        return f": frame {n}: {_said(error)}" if n else ""
    return ""


def _said(error: Exception) -> str:
    text = " ".join(str(error).split()) or "no reason given"
    return text if isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {text}"
