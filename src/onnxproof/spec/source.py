"""Where the ``nn.Module`` comes from, and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from onnxproof.spec.base import Section

FACTORY: Final = r"^[\w.]+:[\w.]+$"
_REGISTRY_NAME: Final = r"[^/@]+(?:/\d+|@[^/@]+)"
MLFLOW_URI: Final = rf"^(?:models:/(?:m-[0-9a-f]+|{_REGISTRY_NAME})|runs:/[0-9a-f]{{32}}/.+)$"


class Weights(Section):
    """A checkpoint file beside the spec or below the current folder."""

    path: str = Field(
        description="A .safetensors, the .safetensors.index.json of a sharded one, or a .pt that "
        "loads with weights_only=True."
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="Of the file; of a sharded checkpoint, of what `sha256sum INDEX SHARDS...` "
        "prints in its folder, shards in the order of their names.",
    )
    state_dict: str | None = Field(
        default=None,
        pattern=r"^[^.]+(\.[^.]+)*$",
        description="Key of the state dict in a .pt that holds more, such as ema.module.",
    )
    prefix: str = Field(
        default="",
        description="Keys that begin with it are taken, without it; other keys are left out.",
    )


@dataclass(frozen=True, slots=True)
class KindMark:
    """Marks a field of ``Source`` as a kind; pydantic keeps it and leaves it out of the schema.

    Attributes:
        whole: The kind brings its weights with it and is built from no arguments.
        takes_class: ``class`` chooses what is built.
    """

    whole: bool = False
    takes_class: bool = False


class Source(Section):
    """Where the ``nn.Module`` comes from: exactly one kind, and what goes with it."""

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    factory: Annotated[str | None, KindMark()] = Field(
        default=None, pattern=FACTORY, description="module:callable"
    )
    torchscript: Annotated[str | None, KindMark(whole=True)] = Field(
        default=None, min_length=1, description="A file that torch.jit.save wrote."
    )
    exported_program: Annotated[str | None, KindMark(whole=True)] = Field(
        default=None, min_length=1, description="A .pt2 file that torch.export.save wrote."
    )
    mlflow: Annotated[str | None, KindMark(whole=True)] = Field(
        default=None,
        pattern=MLFLOW_URI,
        description="A model of MLflow's PyTorch flavor: models:/NAME@ALIAS, models:/NAME/VERSION "
        "or runs:/RUN_ID/PATH.",
    )
    transformers: Annotated[str | None, KindMark(takes_class=True)] = Field(
        default=None,
        min_length=1,
        description="A folder with config.json and maybe safetensors, or a config file.",
    )
    timm: Annotated[str | None, KindMark()] = Field(
        default=None, min_length=1, description="Name of a model of timm."
    )
    torchvision: Annotated[str | None, KindMark()] = Field(
        default=None, min_length=1, description="Name of a model of torchvision."
    )
    class_: str | None = Field(
        default=None,
        alias="class",
        pattern=r"^\w+$",
        description="Class of transformers, e.g. AutoModelForSequenceClassification; left out, the "
        "first of the config's architectures.",
    )
    kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the factory or of the named model, or settings of the config.",
    )
    variants: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], dict[str, Any]] = Field(
        default_factory=dict,
        description="Name to kwargs that replace or add to those above: the same weights and "
        "outputs, another graph.",
    )
    weights: Weights | None = None
    call: Literal["auto", "positional", "keyword", "list", "varargs"] = "auto"
    trust: Literal["none", "pickle"] = Field(
        default="none", description="pickle: let a file run the code it carries."
    )

    @model_validator(mode="after")
    def _names_one_kind(self) -> Source:
        marks = kinds_of(type(self))
        given = [kind for kind in marks if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"name exactly one of {', '.join(marks)}; found {' and '.join(given) or 'none'}"
            )
        mark = marks[self.kind]
        if self.class_ is not None and not mark.takes_class:
            owners = " and ".join(kind for kind in marks if marks[kind].takes_class)
            raise ValueError(f"class belongs to {owners}; {self.kind} takes none")
        if mark.whole and (self.kwargs or self.weights or self.variants):
            part = "kwargs" if self.kwargs else "weights" if self.weights else "variants"
            raise ValueError(
                f"{self.kind} is a whole model and takes no {part}; change the model where it is "
                "made, or use a factory"
            )
        return self

    def variant(self, name: str) -> Source:
        """The source as a variant has it; the declared one for the empty name."""
        return self.model_copy(update={"kwargs": self.kwargs | self.variants.get(name, {})})

    @property
    def kind(self) -> str:
        """Which of the kinds is given."""
        return next(kind for kind in kinds_of(type(self)) if getattr(self, kind) is not None)

    @property
    def target(self) -> str:
        """The value of the kind's field: a name, a path, an address."""
        target: str = getattr(self, self.kind)
        return target

    @property
    def trusts_pickle(self) -> bool:
        """Whether files may run the code they carry."""
        return self.trust == "pickle"


def kinds_of(section: type[Source]) -> dict[str, KindMark]:
    """The fields that are kinds, in their order, with their marks."""
    return {
        name: mark
        for name, field in section.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, KindMark)
    }


KINDS: Final = tuple(kinds_of(Source))
