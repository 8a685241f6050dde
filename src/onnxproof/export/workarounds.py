"""Known ways around what an exporter cannot do with a module as it is written.

They are one more try inside a strategy, after the module as it is gave no graph, or one that does
not keep the declared dims. A workaround says the same in other operators; the candidate names it,
and its graph is held to the same reference as any other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from onnxproof.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import nn

SELECTIVE_SCAN: Final = "mamba_selective_scan"
"""What Transformers 5 calls it in the modules of Mamba, FalconMamba, Jamba and Zamba."""


class Workaround(NamedTuple):
    """One way around."""

    name: str
    fits: Callable[[nn.Module], bool]
    applied: Callable[[nn.Module, Spec], AbstractContextManager[None]]
    at_once: bool = False  # without it a graph may come out that only the check finds wrong


def tries(module: nn.Module) -> list[list[Workaround]]:
    """Which workarounds to apply in each try, in order: those that are needed at once, then all.

    The second try follows where the first gave no graph, or one that breaks the contract. There is
    one try where no further workaround fits.
    """
    fitting = [workaround for workaround in WORKAROUNDS if workaround.fits(module)]
    at_once = [workaround for workaround in fitting if workaround.at_once]
    return [at_once] if len(fitting) == len(at_once) else [at_once, fitting]


def _settings(module: nn.Module, setter: str) -> Iterator[Any]:
    """Models of Transformers inside of ``module``, itself included, that can be set so."""
    return (
        submodule
        for submodule in module.modules()
        if hasattr(submodule, setter) and hasattr(submodule, "config")
    )


def _eager_fits(module: nn.Module) -> bool:
    return any(
        getattr(submodule.config, "_attn_implementation", "eager") != "eager"
        for submodule in _settings(module, "set_attn_implementation")
    )


@contextmanager
def _implemented(module: nn.Module, part: str, wanted: str) -> Iterator[None]:
    """Let the models of Transformers inside compute ``part``, attn or experts, another way."""
    setter = f"set_{part}_implementation"
    models = list(_settings(module, setter))
    before = [getattr(model.config, f"_{part}_implementation") for model in models]
    try:
        for model in models:
            getattr(model, setter)(wanted)
        yield
    finally:
        for model, was in zip(models, before, strict=True):
            getattr(model, setter)(was)


def _eager_attention(module: nn.Module, _spec: Spec) -> AbstractContextManager[None]:
    """Attention as matrix products, not as ``scaled_dot_product_attention``.

    T5 makes views of its result that torch.export refuses once both dims are symbols.
    """
    return _implemented(module, "attn", "eager")


def _batched_fits(module: nn.Module) -> bool:
    # Every model of Transformers has the setting; layers of experts have this.
    return any(
        hasattr(submodule, "is_transposed") and hasattr(submodule, "has_gate")
        for submodule in module.modules()
    )


def _batched_experts(module: nn.Module, _spec: Spec) -> AbstractContextManager[None]:
    """Each token's experts gathered and multiplied, not tokens sorted by expert.

    ``aten::histc`` and ``grouped_mm`` have no ONNX; this has, and takes the memory of a copy of the
    chosen experts' weights for each token.
    """
    return _implemented(module, "experts", "batched_mm")


def _with_scans(module: nn.Module) -> dict[str, Any]:
    """Python modules that ``module``'s layers come from, and that scan in a loop."""
    names = {type(submodule).__module__ for submodule in module.modules()}
    found = {name: sys.modules.get(name) for name in names}
    return {name: imported for name, imported in found.items() if hasattr(imported, SELECTIVE_SCAN)}


@contextmanager
def _parallel_scan(module: nn.Module, spec: Spec) -> Iterator[None]:
    """The recurrence of state space models by doubling: no loop over the sequence.

    A loop is unrolled at the example's length. As many doublings as the longest declared dim needs.
    """
    longest = max((dim.largest for dim in spec.dims.values()), default=1)
    scans = _with_scans(module)
    before = {name: getattr(scan_module, SELECTIVE_SCAN) for name, scan_module in scans.items()}
    try:
        for scan_module in scans.values():
            setattr(scan_module, SELECTIVE_SCAN, _scan_by_doubling(longest.bit_length()))
        yield
    finally:
        for name, scan_module in scans.items():
            setattr(scan_module, SELECTIVE_SCAN, before[name])


def _scan_by_doubling(doublings: int) -> Callable[..., Any]:
    """Transformers' selective scan, with its signature, for sequences below ``2**doublings``."""

    def scan(  # noqa: PLR0913, PLR0917  # the signature is theirs
        hidden_states: torch.Tensor,
        dt: torch.Tensor,
        A: torch.Tensor,  # noqa: N803
        B: torch.Tensor,  # noqa: N803
        C: torch.Tensor,  # noqa: N803
        D: torch.Tensor | None = None,  # noqa: N803
        z: torch.Tensor | None = None,
        delta_bias: torch.Tensor | None = None,
        delta_softplus: bool = False,
        return_last_state: bool = False,
        **_others: Any,
    ) -> Any:
        from torch.nn import functional

        if delta_bias is not None:
            dt = dt + delta_bias.to(dt.dtype)[..., None]
        if delta_softplus:
            dt = functional.softplus(dt)
        decay = (A[None, :, None, :] * dt[..., None]).exp()
        given = B.transpose(1, 2)[:, None].float() * hidden_states[..., None].float()
        states = _recur(decay, dt[..., None] * given, doublings)
        output = (states.to(hidden_states.dtype) * C.transpose(1, 2)[:, None]).sum(-1)
        if D is not None:
            output = output + hidden_states * D[None, :, None]
        if z is not None:
            output = output * functional.silu(z)
        return (output, states[:, :, -1]) if return_last_state else output

    return scan


def _recur(decay: torch.Tensor, drive: torch.Tensor, doublings: int) -> torch.Tensor:
    """``state[t] = decay[t] * state[t - 1] + drive[t]`` along axis 2, from a state of zeros.

    After round ``k`` each place holds what the ``2**k`` places up to it make of a zero state.
    """
    from torch.nn.functional import pad

    length = drive.shape[2]
    for number in range(doublings):
        shift = (0, 0, 2**number, 0)
        earlier_drive = pad(drive, shift)[:, :, :length]
        earlier_decay = pad(decay, shift, value=1.0)[:, :, :length]
        drive = decay * earlier_drive + drive
        decay = decay * earlier_decay
    return drive


WORKAROUNDS: Final = (
    Workaround("eager attention", _eager_fits, _eager_attention),
    Workaround("batched experts", _batched_fits, _batched_experts),
    Workaround(
        "parallel scan", lambda module: bool(_with_scans(module)), _parallel_scan, at_once=True
    ),
)
