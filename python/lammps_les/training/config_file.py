"""Reading a configuration file, with errors that say where, what is allowed and what was meant."""

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lammps_les.models import KINDS
from lammps_les.training.config import RENAMED, RunConfig
from lammps_les.training.yaml_file import read_yaml


def read_config(path: str | Path) -> RunConfig:
    """Read a YAML file; paths of data files in it are relative to the folder that it is in.

    Raises:
        ValueError: not YAML, an unknown key or a wrong value; the message gives the line, the key,
            what is allowed and the nearest valid name.
    """
    path = Path(path)
    content, tree = read_yaml(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected sections such as 'data:', got {_quoted(content)}")
    try:
        return RunConfig.model_validate(content)
    except ValidationError as error:
        lines = [f"{path}{_line(tree, loc)}: {text}" for loc, text in _problems(error, content)]
        raise ValueError("\n".join(lines)) from None


def _problems(error: ValidationError, content: Any) -> list[tuple[tuple[Any, ...], str]]:
    """Place and text of every problem; the members of a union count as one."""
    found: dict[tuple[Any, ...], list[str]] = {}
    for detail in error.errors():
        loc = _in_content(detail["loc"], content, detail["type"] == "missing")
        if detail["type"] == "network_kind":
            loc, detail = _of_kind(loc, detail)
        found.setdefault(loc, []).append(_describe(detail, loc, content))
    inside = {loc[:n] for loc in found for n in range(len(loc))}  # said of a part of it already
    return [
        (loc, "; or ".join(dict.fromkeys(texts)))
        for loc, texts in found.items()
        if loc not in inside
    ]


def _of_kind(loc: tuple[Any, ...], detail: Any) -> tuple[tuple[Any, ...], Any]:
    """Place and problem of a section whose ``kind`` is unknown, or that is no section."""
    if not isinstance(detail["input"], dict):
        return loc, {**detail, "msg": _WORDS["dict_type"]}
    return (*loc, "kind"), {**detail, "input": detail["input"]["kind"]}


def _in_content(loc: tuple[Any, ...], content: Any, missing: bool) -> tuple[Any, ...]:
    """The part of a location that is in the file; pydantic adds names of union members."""
    path: list[Any] = []
    for part in loc:
        inside = (isinstance(content, dict) and part in content) or (
            isinstance(content, list) and isinstance(part, int) and part < len(content)
        )
        if inside:
            content = content[part]
            path.append(part)
        elif missing and isinstance(content, dict) and part == loc[-1]:
            path.append(part)
    return tuple(path)


def key_path(loc: tuple[Any, ...]) -> str:
    """``data.files[0].path`` of ("data", "files", 0, "path")."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def nearest(name: Any, allowed: list[str]) -> str:
    """A remark on the valid name that comes closest, or nothing."""
    close = difflib.get_close_matches(str(name), allowed, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


_WORDS = {
    **dict.fromkeys(("model_type", "dataclass_type", "dict_type"), "expected keys with values"),
    **dict.fromkeys(("list_type", "tuple_type"), "expected a list"),
    "string_type": "expected a text",
    "string_too_short": "expected a text that is not empty",
    "invalid_key": "expected a word as key",
}
"""What pydantic says in its own words, by its name of the problem."""


def _describe(detail: Any, loc: tuple[Any, ...], content: Any) -> str:
    key, kind = key_path(loc), detail["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        if key in RENAMED:
            return f"key '{key}' is now '{RENAMED[key]}'"
        allowed = _keys_at(RunConfig, loc[:-1], content)
        known = f"{nearest(loc[-1], allowed)} Allowed: {', '.join(allowed)}"
        return f"unknown key {_quoted(key)}{known}"
    if kind == "missing":
        return f"key '{key}' is missing"
    message = detail["msg"].removeprefix("Value error, ")
    message = _WORDS.get(kind, message)
    if not key:
        return message
    close = ""
    if kind == "literal_error":
        allowed = [part.strip("' ") for part in _split_expected(detail["ctx"]["expected"])]
        close = nearest(detail["input"], allowed)
    elif kind == "network_kind":
        close = nearest(detail["input"], list(KINDS))
    return f"key '{key}': {message}, got {_quoted(detail['input'])}{close}"


def _quoted(value: Any) -> str:
    """A value in the message: in one line, and not at any length."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _split_expected(text: str) -> list[str]:
    return text.replace(" or ", ", ").split(", ")


def _keys_at(kind: Any, loc: tuple[Any, ...], content: Any) -> list[str]:
    """Names of the keys that a section may have."""
    for part in loc:
        kind, content = _section(kind, content), content[part]
        if isinstance(part, int):
            continue
        hints = typing.get_type_hints(kind)
        if part not in hints:
            return []
        kind = hints[part]
    kind = _section(kind, content)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return list(kind.model_fields)
    return [entry.name for entry in dataclasses.fields(kind)] if _is_dataclass(kind) else []


def _section(kind: Any, content: Any) -> Any:
    """The section type inside ``list[X]``, ``tuple[X, ...]``, ``X | None``; else the type.

    Of several the one that ``kind`` in the content names.
    """
    if typing.get_origin(kind) in (list, tuple, typing.Union, types.UnionType, typing.Annotated):
        inner = [_section(argument, content) for argument in typing.get_args(kind)]
        sections = [k for k in inner if _is_dataclass(k) or _is_model(k)]
        name = content.get("kind") if isinstance(content, dict) else None
        named = [k for k in sections if name is not None and getattr(k, "kind", None) == name]
        return (named or sections or [kind])[0]
    return kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_dataclass(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _line(node: Any, loc: tuple[Any, ...]) -> str:
    """``, line 12`` of the last part of a location that the file has."""
    line = None
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            pairs = [(k, v) for k, v in node.value if k.value == str(part)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            break
    return "" if line is None else f", line {line}"
