"""Translations that a spec gives: for a PyTorch operator, the ONNX function that says the same.

A translation written as an onnxscript function stays a function of the model: one node calls it,
its body travels in the file, and any consumer can run it.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from onnxproof.errors import ExportError, SourceError, SpecError, one_line
from onnxproof.graph.traversal import every_node
from onnxproof.records import Work
from onnxproof.spec import Spec
from onnxproof.usercode.allowed import import_factory

if TYPE_CHECKING:
    import onnx
    import onnxscript

    OnnxFunction = onnxscript.OnnxFunction[Any, Any]

Function = Callable[..., Any]


class Translation(NamedTuple):
    """One entry of ``export.translations``, its code imported."""

    operator: str  # namespace::name, with .overload where it is not the default one
    reference: str  # module:callable
    function: Function


class Translations:
    """The translations that one strategy uses."""

    def __init__(self, given: Sequence[Translation]) -> None:
        self._given = given

    def table(self) -> dict[Function, Function]:
        """``custom_translation_table`` of ``torch.onnx.export``.

        Raises:
            SpecError: PyTorch has no such operator.
            ExportError: A function could not be used as a translation.
        """
        return {
            _operator(translation.operator): _guarded(translation, _for_dynamo(translation))
            for translation in self._given
        }

    @property
    def custom_opsets(self) -> dict[str, int]:
        """Version by domain of the functions, as ``torch.onnx.export`` wants them declared."""
        return {function.opset.domain: function.opset.version for function in self._functions()}

    @contextmanager
    def registered(self, opset: int) -> Iterator[None]:
        """Let TorchScript's exporter use the translations inside of the block.

        Raises:
            SpecError: PyTorch has no such operator.
            ExportError: A function could not be used as a translation.
        """
        from torch.onnx import utils

        with ExitStack() as stack:
            for translation in self._given:
                _operator(translation.operator)
                # TorchScript's exporter has no overloads.
                name = translation.operator.partition(".")[0]
                symbolic = _guarded(translation, _for_torchscript(translation))
                utils.register_custom_op_symbolic(name, symbolic, opset)
                stack.callback(utils.unregister_custom_op_symbolic, name, opset)
            yield

    def add_functions(self, model: onnx.ModelProto) -> None:
        """Put the bodies of the functions that the graph calls into the model, in place."""
        opsets = {opset.domain: opset.version for opset in model.opset_import}
        used = {(node.domain, node.op_type) for node in every_node(model.graph.node)}
        for onnx_function in self._functions():
            called = [onnx_function, *onnx_function.function_ir.get_called_functions().values()]
            if (onnx_function.function_ir.domain, onnx_function.name) not in used:
                continue
            for function in called:
                body = _at_opset(function.to_function_proto(), opsets[""])
                if (body.domain, body.name) not in {(f.domain, f.name) for f in model.functions}:
                    model.functions.append(body)
                if body.domain not in opsets:
                    opsets[body.domain] = function.opset.version
                    model.opset_import.add(domain=body.domain, version=function.opset.version)

    def _functions(self) -> list[OnnxFunction]:
        return [
            found
            for translation in self._given
            if (found := _onnx_function(translation)) is not None
        ]


def read_translations(
    spec: Spec, work: Work, exporter: Literal["dynamo", "torchscript"]
) -> Translations:
    """Import the translations that an exporter uses.

    Raises:
        SourceError: A module is not allowed or not there, or has no such callable.
        LoadError: A module raised while it was imported.
    """
    given = []
    for operator, entry in spec.export.translations.items():
        if (reference := getattr(entry, exporter)) is None:
            continue
        try:
            function = import_factory(reference, work.roots, work.allow, local_code=work.local_code)
        except SourceError as error:
            raise SourceError(f"export.translations {operator}: {error}") from None
        given.append(Translation(operator, reference, function))
    return Translations(given)


def _operator(name: str) -> Function:
    """The operator of PyTorch's dispatcher, with its default overload where none is named."""
    import torch

    namespace, _, rest = name.partition("::")
    base, _, overload = rest.partition(".")
    packet = getattr(getattr(torch.ops, namespace), base, None)
    if packet is None:
        known = {operator.partition(".")[0] for operator in torch._C._dispatch_get_all_op_names()}
        near = difflib.get_close_matches(f"{namespace}::{base}", known, n=1)
        hint = f"did you mean {near[0]}?" if near else "import what defines it in the model's code"
        raise SpecError(
            f"export.translations names {name}, which PyTorch does not have once the model is "
            f"built; {hint}"
        )
    found = getattr(packet, overload or "default", None)
    if found is None:
        raise SpecError(
            f"export.translations names {name}, whose overloads are "
            f"{', '.join(packet.overloads())}; write e.g. {namespace}::{base}."
            f"{packet.overloads()[0]}"
        )
    function: Function = found
    return function


def _guarded(translation: Translation, function: Function) -> Function:
    """``function``, with an error of its own for what it raises."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            text = one_line(error, 400)
            raise ExportError(
                f"the translation {translation.reference} of {translation.operator} raised "
                f"{type(error).__name__}: {text}"
            ) from error

    return call


def _for_dynamo(translation: Translation) -> Function:
    """What makes the node in a dynamo graph."""
    function = _onnx_function(translation)
    if function is None:
        return translation.function
    declared, given = len(_signature(function).outputs), len(function.function_ir.outputs)
    if declared != given:
        # PyTorch counts outputs by the annotation alone: without one the graph ends up empty.
        raise ExportError(
            f"the translation {translation.reference} of {translation.operator} returns {given} "
            f"and is annotated with {declared}; annotate what it returns, e.g. -> FLOAT[...]"
        )

    @functools.wraps(function.function)
    def call(*args: Any, **kwargs: Any) -> Any:
        from onnxscript import evaluator

        outputs = function(*args, **kwargs)
        # PyTorch would put the function's body in the place of its call, to convert its opset.
        recorder: Any = evaluator.default()
        recorder.functions.pop((function.function_ir.domain, function.name, ""))
        return outputs

    return call


def _for_torchscript(translation: Translation) -> Function:
    """The symbolic function that makes the node in a TorchScript graph."""
    function = _onnx_function(translation)
    if function is None:
        return translation.function

    def symbolic(g: Any, *values: Any) -> Any:
        inputs, attributes = _arguments(function, values)
        name = f"{function.function_ir.domain}::{function.name}"
        count = len(function.function_ir.outputs)
        results = g.op(name, *inputs, **attributes, outputs=count)
        made = [results] if count == 1 else list(results)
        for result, like in zip(made, g.original_node.outputs(), strict=True):
            result.setType(_without_sizes(like.type()))
        return results

    return symbolic


def _arguments(function: OnnxFunction, values: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Values of TorchScript as inputs and attributes of the function's node."""
    from torch.onnx import symbolic_helper

    parameters = _signature(function).params
    if len(values) > len(parameters):
        raise TypeError(f"it takes {len(parameters)} arguments, the operator has {len(values)}")
    inputs, attributes = [], {}
    for parameter, value in zip(parameters, values, strict=False):
        if symbolic_helper._is_none(value):
            continue
        if parameter.is_param():
            inputs.append(value)
            continue
        kind = parameter.type.name.lower()  # INT, FLOATS ...
        letters = kind[0] + ("s" if kind.endswith("s") else "")
        attributes[f"{parameter.name}_{kind[0]}"] = symbolic_helper._parse_arg(value, letters)
    return inputs, attributes


def _without_sizes(kind: Any) -> Any:
    """The type of a tensor of the same rank; the example's sizes would be baked in."""
    sizes = kind.sizes()
    return kind.with_sizes([None] * len(sizes)) if sizes else kind


def _at_opset(body: onnx.FunctionProto, opset: int) -> onnx.FunctionProto:
    """The function, in place, as one of this opset: a model has one version of each domain.

    Nothing is claimed by it; the check says whether the operators still mean the same.
    """
    for opset_id in body.opset_import:
        if opset_id.domain == "":
            opset_id.version = opset
    return body


def _onnx_function(translation: Translation) -> OnnxFunction | None:
    import onnxscript

    function = translation.function
    return function if isinstance(function, onnxscript.OnnxFunction) else None


def _signature(function: OnnxFunction) -> Any:
    return function.op_signature
