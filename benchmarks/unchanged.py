"""A second run with the same key: at most 5 s, two of them for importing Prefect and MLflow."""

from __future__ import annotations

from typing import Final

from benchmarks.stopwatch import MAKERS, make_files, medians, onnxproof, output_and_seconds, python

ROUNDS: Final = 5
LIMIT_SECONDS: Final = 5.0


def main() -> None:
    """Prove each model if need be, then time the run that has nothing to do."""
    for model in MAKERS:
        make_files(model)
        output_and_seconds(onnxproof("export", model))
    found = medians(
        {
            "imports": python("import prefect, mlflow"),
            **{model: onnxproof("export", model) for model in MAKERS},
        },
        ROUNDS,
    )
    for model in MAKERS:
        ratio = found[model] / found["imports"]
        print(
            f"unchanged {model:10} {found[model]:.2f} s (limit {LIMIT_SECONDS:g} s), "
            f"{ratio:.2f}x `import prefect, mlflow` ({found['imports']:.2f} s)"
        )


if __name__ == "__main__":
    main()
