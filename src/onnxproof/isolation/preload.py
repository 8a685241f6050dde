"""Imported by the fork server alone: what a model's code takes from packages slow to import.

Each child would import them again, one for the reference, one for each export, one for the
benchmark; 3 s each for transformers.
"""

from __future__ import annotations

import atexit
import contextlib
import os
from importlib import import_module

from onnxproof.isolation.child import PRELOAD_VARIABLE

for _name in filter(None, os.environ.get(PRELOAD_VARIABLE, "").split(",")):
    _module, _, _attribute = _name.partition(".")
    with contextlib.suppress(Exception):  # the child that needs it will say what is wrong
        getattr(import_module(_module), _attribute or "__name__")

# It holds the pipes of the program that started it, and would free torch's modules for 0.9 s.
atexit.register(os._exit, 0)
