"""From YAML, or what a person wrote elsewhere, to a valid spec or one line for each fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from onnxproof.errors import SpecError, one_line
from onnxproof.spec.schema import Spec


def parse_spec(data: object, origin: str = "spec") -> Spec:
    """Validate what was read from ``origin``.

    Raises:
        SpecError: With one line for each fault: where, what was found, what is valid.
    """
    if not isinstance(data, dict):
        raise SpecError(
            f"{origin}: a spec is a mapping with name, source and inputs; "
            f"found {type(data).__name__}"
        )
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        raise SpecError(_explain(error, origin)) from None


def read_spec(path: Path, overrides: Sequence[str] = ()) -> Spec:
    """Read a YAML spec; each override is ``a.b=value``, the value in YAML.

    Raises:
        SpecError: The file or an override cannot be read, or the spec is not valid.
    """
    return parse_spec(override(_read_yaml(path), overrides), str(path))


def _read_yaml(path: Path) -> object:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"cannot read the spec {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not YAML: {one_line(error)}") from None


def override(data: object, overrides: Sequence[str]) -> object:
    """``data`` with each ``a.b=value`` applied; ``data`` itself stays unchanged.

    Raises:
        SpecError: An override has no ``=``, or goes through something that is no mapping.
    """
    import copy

    import yaml

    changed = copy.deepcopy(data)
    for line in overrides:
        dotted, equals, text = line.partition("=")
        *parents, last = dotted.strip().split(".")
        if not equals or not last:
            raise SpecError(f"cannot read the override {line!r}; write a.b=value")
        node = changed
        for key in parents:
            node = node.setdefault(key, {}) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise SpecError(f"override {line!r}: {'.'.join(parents)} is not a mapping in this spec")
        try:
            node[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise SpecError(f"override {line!r}: {text!r} is not YAML") from None
    return changed


def _explain(error: ValidationError, origin: str) -> str:
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in fault["loc"]) or "spec"
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = f"unknown key; valid here: {', '.join(_keys_beside(fault['loc']))}"
        elif fault["type"] != "value_error" and fault["type"] != "missing":
            message = f"{message}; found {fault['input']!r}"
        lines.append(f"{where}: {message}")
    return f"{origin} is not valid. " + "; ".join(lines)


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """Keys that the schema has where ``location`` points, for the message about an unknown one."""
    schema = Spec.model_json_schema()
    node: Any = schema
    for part in location[:-1]:
        node = (
            node.get("properties", {}).get(part)
            or node.get("additionalProperties")
            or node.get("items")
            or {}
        )
        options = node.get("anyOf", [node])
        reference = next((option["$ref"] for option in options if "$ref" in option), None)
        node = schema["$defs"][reference.rsplit("/", 1)[1]] if reference else node
    return sorted(node.get("properties", {}))
