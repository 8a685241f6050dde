"""What ``import onnxproof`` adds to an interpreter that starts anyway; at most 0.1 s."""

from __future__ import annotations

from typing import Final

from benchmarks.stopwatch import medians, python

ROUNDS: Final = 15
LIMIT_SECONDS: Final = 0.1


def main() -> None:
    """Print the import's own time, and its share of what ``import torch`` costs."""
    found = medians(
        {
            "nothing": python("pass"),
            "onnxproof": python("import onnxproof"),
            "spec": python("import onnxproof.spec"),
        },
        ROUNDS,
    )
    torch = medians({"torch": python("import torch")}, 3)["torch"] - found["nothing"]
    own = found["onnxproof"] - found["nothing"]
    spec = found["spec"] - found["nothing"]
    print(f"import onnxproof       {own:.3f} s, {own / torch:.3f}x import torch (limit 0.1 s)")
    print(f"import onnxproof.spec  {spec:.3f} s, {spec / torch:.3f}x import torch")


if __name__ == "__main__":
    main()
