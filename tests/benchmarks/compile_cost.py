"""What `dynolab compile` takes beside the bare tool: an exported program of 15 MB to ONNX, with the comparison of its numbers.

python tests/benchmarks/compile_cost.py [--pairs 5]

The bare tool is torch.export.load, torch.onnx.export and ONNX Runtime's basic optimisations in one script of a few lines.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from pairs import interleave

BARE = """
import sys, torch, onnxruntime
made = torch.onnx.export(torch.export.load(sys.argv[1]), (), None, dynamo=True, opset_version=20, verbose=False)
made.save(sys.argv[2] + "/exported.onnx")
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
options.optimized_model_filepath = sys.argv[2] + "/model.onnx"
onnxruntime.InferenceSession(sys.argv[2] + "/exported.onnx", options, providers=["CPUExecutionProvider"])
"""


def source(path: Path) -> Path:
    """A classifier of 3.7 million weights in 20 convolutions, as small networks for pictures have them."""
    import torch

    class Block(torch.nn.Module):
        def __init__(self, wide: int) -> None:
            super().__init__()
            layers: list[Any] = []
            for _ in range(2):
                layers += [torch.nn.Conv2d(wide, wide, 3, padding=1), torch.nn.BatchNorm2d(wide)]
            self.body = torch.nn.Sequential(*layers)

        def forward(self, x: Any) -> Any:
            return torch.relu(x + self.body(x))

    layers: list[Any] = [torch.nn.Conv2d(3, 64, 3, stride=2)]
    before = 64
    for wide, count in ((64, 3), (128, 2), (192, 2), (256, 1)):
        if wide != before:
            layers.append(torch.nn.Conv2d(before, wide, 1, stride=2))
        layers += [Block(wide) for _ in range(count)]
        before = wide
    net = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(256, 1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net.eval(), (torch.rand(1, 3, 96, 96),)), str(path))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, counted = Path(name), iter(range(1000))
        model = source(folder / "net.pt2")

        def timed(command: list[str]) -> float:
            begun = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return time.perf_counter() - begun

        def ours() -> float:
            place = str(folder / f"ours{next(counted)}")
            return timed([sys.executable, "-m", "dynolab.cli.main", "compile", str(model), "-o", place])

        def bare() -> float:
            place = folder / f"bare{next(counted)}"
            place.mkdir()
            return timed([sys.executable, "-c", BARE, str(model), str(place)])

        ratios, least, other = interleave(ours, bare, asked.pairs)
        size = model.stat().st_size / 1e6
    print(f"dynolab compile / bare, {size:.1f} MB: {ratios}; minima {least:.2f} s, {other:.2f} s")


if __name__ == "__main__":
    main()
