"""Options of the command line that carry two things: ``NAME=VALUE`` and ``NAME=LOW..HIGH``."""

from __future__ import annotations

from collections.abc import Sequence

from onnxproof.errors import BadInput


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
