"""What a run is about, settled before any of the model's code runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from onnxproof.errors import BadInput
from onnxproof.isolation.child import prepare_children
from onnxproof.pipeline.resolve_spec import resolve_spec
from onnxproof.pipeline.workspace import discard_work, open_work, scratch_work
from onnxproof.proof.key import KeyParts, key_parts
from onnxproof.proof.versions import flow_version
from onnxproof.records import Loaded, Work
from onnxproof.settings import Settings
from onnxproof.spec import Spec, override, parse_spec
from onnxproof.tracking import pin

SLOW_TO_IMPORT: Final = ("transformers",)
"""Known to start no thread; a package that hangs must do so in a child, which can be killed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One spec to prove, and where its code and files may come from."""

    spec: Spec
    roots: tuple[str, ...]
    settings: Settings
    local_code: bool
    key_parts: KeyParts

    @property
    def key(self) -> str | None:
        """The proof key; None while only building the model tells its weights."""
        return self.key_parts.key()

    @contextmanager
    def working(self) -> Iterator[Work]:
        """A new folder for the run; it goes away again when the run ends on bad input.

        Raises:
            BadInput: The folder cannot be written.
        """
        work = open_work(
            self.spec,
            self.roots,
            home=self.settings.home,
            allow=self.settings.allow,
            local_code=self.local_code,
            metadata={"onnxproof.flow_version": flow_version()},
        )
        try:
            yield work
        except BadInput:
            discard_work(work)
            raise

    def scratch(self) -> AbstractContextManager[Work]:
        """A folder for what is done to a version that is registered already; it goes away."""
        return scratch_work(self.settings.allow, local_code=self.local_code, roots=self.roots)

    def key_of(self, loaded: Loaded) -> str:
        """The proof key, now that the weights are known."""
        found = self.key_parts.key(loaded.weights_sha256)
        assert found is not None
        return found


def make_plan(
    model: str | Spec, overrides: Sequence[str], settings: Settings, *, local_code: bool
) -> Plan:
    """The plan for what a person named.

    Args:
        model: A spec, or what ``resolve_spec`` takes.
        overrides: ``a.b=value`` each.
        settings: What the environment says.
        local_code: Whether code and specs beside the current folder may be used; without it,
            catalog entries and allowed packages alone.

    Raises:
        SpecError: There is no such spec, or it is not valid.
        SourceError: A file or module that it names is not there, or is not allowed.
    """
    if isinstance(model, Spec):
        written = model.model_dump(mode="json")
        spec = parse_spec(override(written, overrides), model.name) if overrides else model
        roots: tuple[str, ...] = (str(Path.cwd()),)
    else:
        spec, roots = resolve_spec(model, overrides, settings.catalog, only_catalog=not local_code)
    spec, identity = _pinned(spec)
    parts = key_parts(spec, roots, settings.allow, local_code=local_code, weights_sha256=identity)
    return Plan(spec, roots, settings, local_code, parts)


def _pinned(spec: Spec) -> tuple[Spec, str | None]:
    """The spec with the version that MLflow's name means now, and what tells that model.

    Every process of the run then loads the same one, and the proof names it.

    Raises:
        SourceError: MLflow has no such model.
        ServerUnreachable: MLflow does not answer.
    """
    if spec.source.mlflow is None:
        return spec, None
    uri, identity = pin(spec.source.mlflow)
    source = spec.source.model_copy(update={"mlflow": uri})
    return spec.model_copy(update={"source": source}), identity


def override_lines(
    inputs: Mapping[str, str] | None, dims: Mapping[str, tuple[int, int]] | None
) -> list[str]:
    """``a.b=value`` lines that declare inputs by their line, and dims by smallest and largest."""
    lines = [f"inputs.{name}={line}" for name, line in (inputs or {}).items()]
    for name, (low, high) in (dims or {}).items():
        lines.append(f"dims.{name}={{min: {low}, max: {high}}}")
    return lines


def start_children_early(plan: Plan, *, force: bool) -> None:
    """Let the fork server import torch while Prefect is imported here, if it will be needed.

    A model that this machine has proven is most often unchanged; then nobody needs torch.
    """
    if force or not any((plan.settings.home / "work" / plan.spec.name).glob("*/proof.json")):
        start_children(plan)


def start_children(plan: Plan) -> None:
    """Start the fork server, with what the model's code imports from packages that are slow."""
    names = plan.key_parts.names
    prepare_children(
        names=sorted(name for name in names if name.partition(".")[0] in SLOW_TO_IMPORT)
    )
