"""Arguments that several commands take, and those that carry two things, such as ``NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from onnxproof.errors import BadInput

Allow = Annotated[
    list[str] | None, typer.Option("--allow", metavar="PACKAGE", help="Its code may be loaded too.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NAME=LINE", help='Such as "x=float32[batch, 3, 224, 224]".'),
]
Dims = Annotated[
    list[str] | None, typer.Option("--dim", metavar="NAME=LOW..HIGH", help='Such as "batch=1..16".')
]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Replace a value of the spec."),
]
Model = Annotated[
    str,
    typer.Argument(
        help="A spec file, a name of the catalog, or a source: module:callable, torchscript:net.pt."
    ),
]
NamedSource = Annotated[
    str,
    typer.Argument(
        help="module:callable, or KIND:TARGET: torchscript:net.pt, exported_program:net.pt2, "
        "mlflow:models:/NAME@ALIAS, transformers:FOLDER, timm:NAME, torchvision:NAME."
    ),
]


def ranges(options: Sequence[str] | None) -> dict[str, tuple[int, int]]:
    """Smallest and largest size by dim.

    Raises:
        BadInput: One is neither NAME=LOW..HIGH nor NAME=SIZE.
    """
    found = {}
    for name, text in pairs(options).items():
        low, dots, high = text.partition("..")
        try:
            found[name] = (int(low), int(high if dots else low))
        except ValueError:
            raise BadInput(f"cannot read --dim {name}={text}; write {name}=LOW..HIGH") from None
    return found


def pairs(options: Sequence[str] | None) -> dict[str, str]:
    """Values by name, in the order in which they were given.

    Raises:
        BadInput: One is not NAME=VALUE.
    """
    found = {}
    for option in options or ():
        name, equals, value = option.partition("=")
        if not (equals and name.strip() and value.strip()):
            raise BadInput(f"cannot read {option!r}; write NAME=VALUE")
        found[name.strip()] = value.strip()
    return found
