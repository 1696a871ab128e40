"""Reading YAML, and refusing what YAML takes though nobody can mean it."""

import re
from pathlib import Path
from typing import Any

import yaml

from lammps_les.files import read_text

_MOST_BYTES, _MOST_NODES = 2_000_000, 100_000
"""A configuration is smaller by far, lists of indices included."""


class _Loader(yaml.SafeLoader):
    """YAML whose words, numbers and booleans are those of YAML 1.2.

    ``off`` is a word there, ``1:10`` no number, and ``1e-3`` one.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Value of a node; one that Python does not take has a line, too."""
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise yaml.constructor.ConstructorError(
                None, None, str(error), node.start_mark
            ) from None


_KINDS = {
    "bool": ("true|false|True|False", "tfTF"),
    "int": ("[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        "-+.0123456789",
    ),
}
_REPLACED = {f"tag:yaml.org,2002:{kind}" for kind in (*_KINDS, "timestamp")}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, (_pattern, _first) in _KINDS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), list(_first)
    )


def read_yaml(path: Path) -> tuple[Any, yaml.Node | None]:
    """Content of a file of one YAML document, and its nodes, which know their lines.

    Raises:
        ValueError: it cannot be read, is no YAML, has a key twice, or is larger than a
            configuration can be, be it once its anchors are followed; names file and line.
    """
    text = read_text(path, _MOST_BYTES)
    try:
        tree = yaml.compose(text, Loader=_Loader)
        _check(tree)
        return yaml.load(text, Loader=_Loader), tree  # safe: a SafeLoader
    except _RefusedError as error:
        raise ValueError(f"{path}{error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f", line {mark.line + 1}"
        what = ", ".join(text for text in (error.context, error.problem) if text)
        if "'\\t'" in what:
            what = "it has a tab; write spaces"
        raise ValueError(f"{path}{line}: is not YAML: {' '.join(what.split())[:120]}") from None
    except yaml.reader.ReaderError as error:
        raise ValueError(
            f"{path} is not YAML: it has the character #x{error.character:04x}"
        ) from None
    except RecursionError:
        raise ValueError(f"{path} is not a configuration: it is nested too deeply") from None


class _RefusedError(Exception):
    """YAML that is not meant; the text begins with the place."""


def _check(tree: yaml.Node | None) -> None:
    """Refuse keys that stand twice, and anchors that make a document of any size or no end."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size_of(node: yaml.Node | None) -> int:
        if not isinstance(node, yaml.CollectionNode):
            return 1
        if id(node) not in sizes:
            line = node.start_mark.line + 1
            if id(node) in open_nodes:
                raise _RefusedError(f", line {line}: an alias stands inside of what it stands for")
            open_nodes.add(id(node))
            inner = node.value
            if isinstance(node, yaml.MappingNode):
                _check_keys(node)
                inner = [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(size_of(part) for part in inner)
            if sizes[id(node)] > _MOST_NODES:
                raise _RefusedError(
                    f", line {line}: more than {_MOST_NODES} values, be it by anchors that are "
                    "used again and again; expected a configuration"
                )
        return sizes[id(node)]

    size_of(tree)


def _check_keys(node: yaml.MappingNode) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        if key.value in lines:
            raise _RefusedError(
                f", line {line}: key '{key.value}' stands in line {lines[key.value]} already; "
                "keep one of them"
            )
        lines[key.value] = line
