"""YAML as people mean it: `no` is a word, `1e-4` is a number, and a key written twice is a mistake.

PyYAML follows YAML 1.1, where `save_strategy: no` reads as false and `learning_rate: 1e-4` as text. Recipes are read by
the rules of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema) in these two places, and written for both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from rlkit.errors import ConfigError

_BOOL_TAG, _FLOAT_TAG = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_FLOAT = re.compile(r"^[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.inf|\.nan)$")


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if not isinstance(key, str) and not isinstance(key, int | float | bool | None):
                raise yaml.constructor.ConstructorError(None, None, "a key is a list or mapping", node.start_mark)
        twice = next((key for position, key in enumerate(keys) if key in keys[:position]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} is written twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


# A copy of the table: the original is shared with every other user of SafeLoader in the process.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag not in (_BOOL_TAG, _FLOAT_TAG)]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL_TAG, _BOOL, list("tTfF"))
_Loader.add_implicit_resolver(_FLOAT_TAG, _FLOAT, list("-+0123456789."))


class _Dumper(yaml.SafeDumper):
    """Quotes text that either version of YAML would take for something else."""


_Dumper.add_implicit_resolver(_FLOAT_TAG, _FLOAT, list("-+0123456789."))


def parse_yaml(text: str, place: str) -> Any:
    """Return what a YAML text says.

    Args:
        text: the YAML.
        place: how messages call it, e.g. the path of the file.

    Raises:
        ConfigError: the text is not YAML, nests too deeply, holds a value that cannot be one, or a mapping names a key
            twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{place}{line} is not valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{place} is not valid YAML: {' '.join(str(error).split())}.") from error
    except RecursionError as error:
        raise ConfigError(f"{place} nests lists or mappings too deeply; a recipe needs a few levels.") from error
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        # PyYAML lets through what Python says of 99 February, of a number of 5000 digits, of `!!bool maybe`.
        reason = str(error).split(";")[0] or type(error).__name__
        raise ConfigError(f"{place} holds a value that cannot be read: {reason[:120]}.") from error


def format_yaml(values: Mapping[str, Any]) -> str:
    """Return the mapping as YAML, keys in the order given; `parse_yaml` reads the same values back."""
    return yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
