"""Where the ``nn.Module`` comes from, and its weights."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from onnxproof.spec.base import Section

Kind = Literal[
    "factory",
    "torchscript",
    "exported_program",
    "mlflow",
    "transformers",
    "timm",
    "torchvision",
]
KINDS: Final[tuple[Kind, ...]] = (
    "factory", "torchscript", "exported_program", "mlflow", "transformers", "timm", "torchvision",
)  # fmt: skip
WHOLE: Final = ("torchscript", "exported_program", "mlflow")
"""Kinds that bring their weights with them and are built from no arguments."""

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


class Source(Section):
    """Where the ``nn.Module`` comes from: exactly one kind, and what goes with it."""

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    factory: str | None = Field(default=None, pattern=FACTORY, description="module:callable")
    torchscript: str | None = Field(
        default=None, min_length=1, description="A file that torch.jit.save wrote."
    )
    exported_program: str | None = Field(
        default=None, min_length=1, description="A .pt2 file that torch.export.save wrote."
    )
    mlflow: str | None = Field(
        default=None,
        pattern=MLFLOW_URI,
        description="A model of MLflow's PyTorch flavor: models:/NAME@ALIAS, models:/NAME/VERSION "
        "or runs:/RUN_ID/PATH.",
    )
    transformers: str | None = Field(
        default=None,
        min_length=1,
        description="A folder with config.json and maybe safetensors, or a config file.",
    )
    timm: str | None = Field(default=None, min_length=1, description="Name of a model of timm.")
    torchvision: str | None = Field(
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
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"name exactly one of {', '.join(KINDS)}; found {' and '.join(given) or 'none'}"
            )
        if self.class_ is not None and self.kind != "transformers":
            raise ValueError(f"class belongs to transformers; {self.kind} takes none")
        if self.kind in WHOLE and (self.kwargs or self.weights or self.variants):
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
    def kind(self) -> Kind:
        """Which of the kinds is given."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def target(self) -> str:
        """The value of the kind's field: a name, a path, an address."""
        target: str = getattr(self, self.kind)
        return target

    @property
    def trusts_pickle(self) -> bool:
        """Whether files may run the code they carry."""
        return self.trust == "pickle"
