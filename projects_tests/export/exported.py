"""Runs exported files in a process that can import neither Detectron2 nor densepose_ext."""

import os
import subprocess
import sys
from pathlib import Path

import torch

_BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in ("detectron2", "densepose_ext"):
            raise ModuleNotFoundError(f"{name} is not to be imported", name=name)
sys.meta_path.insert(0, Blocked())
"""

_RUN = """
import torch, torchvision, onnxruntime
results = []
for path, inputs in torch.load(sys.argv[1]):
    if path.endswith(".onnx"):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        arrays = {name: value.numpy() for name, value in inputs.items()}
        results.append([torch.from_numpy(value) for value in session.run(None, arrays)])
    else:
        with torch.no_grad():
            results.append(list(torch.jit.load(path)(*inputs.values())))
torch.save(results, sys.argv[2])
"""

_EXAMPLE = """
import runpy
path = sys.argv.pop(1)
runpy.run_path(path, run_name="__main__")
"""


def _python(code: str, *arguments) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _BLOCK + code, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def run_afresh(
    cases: list[tuple[Path, dict[str, torch.Tensor]]], folder: Path
) -> list[list[torch.Tensor]]:
    """Outputs of files, each on its inputs by name."""
    torch.save([(str(path), inputs) for path, inputs in cases], folder / "cases.pt")
    _python(_RUN, folder / "cases.pt", folder / "results.pt")
    return torch.load(folder / "results.pt")


def run_example(script: Path, *arguments) -> None:
    _python(_EXAMPLE, script, *arguments)
