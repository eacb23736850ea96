"""Runs a launcher as a user would, in a separate process, on a tiny dataset."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import detectron2

from densepose_ext import get_config_file
from projects_tests import forked_python
from projects_tests.reference import ROOT
from projects_tests.tiny_dataset import make_dataset, make_surface
from projects_tests.tiny_model import CONFIG

#: Detectron2's own launchers: beside the package, in a wheel as in a checkout.
STOCK_TOOLS = Path(detectron2.__file__).parents[1] / "tools"


@dataclass
class Workplace:
    """A folder with ``densepose_coco_2014_minival_100`` and the surface it is flipped with."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, **dataset) -> "Workplace":
        coco = folder / "datasets" / "coco"
        json_file = make_dataset(coco / "val2014", **dataset)
        (coco / "annotations").mkdir()
        shutil.move(json_file, coco / "annotations" / "densepose_minival2014_100.json")
        make_surface(folder / "cache" / "densepose" / "data", geodesics=True)
        return cls(folder)

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "DETECTRON2_DATASETS": str(self.folder / "datasets"),
            "FVCORE_CACHE": str(self.folder / "cache"),
            "DENSEPOSE_EXT_CACHE": str(self.folder / "own_cache"),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",  # tests run side by side
            **more,
        }

    def run(self, script, *arguments, env: dict[str, str] | None = None, succeed: bool = True):
        """Its output, standard error included; fails the test unless it ends as expected."""
        status, printed = self.start([script, *arguments], env)
        assert (status == 0) is succeed, printed[-5000:]
        return printed

    def start(self, arguments, env: dict[str, str] | None = None) -> tuple[int, str]:
        """Exit status of a script, and what it printed."""
        env = self.environment(**(env or {}))
        if "DETECTRON2_ENV_MODULE" not in env:
            output = self.folder / "printed.txt"
            status = forked_python.run(arguments, self.folder, env, output)
            return status, output.read_text()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", *map(str, arguments)],
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout

    def train(self, *overrides, launcher=ROOT / "train_net.py", flags=(), env=None, succeed=True):
        return self.run(
            launcher,
            "--config-file", get_config_file(CONFIG), *flags,
            "MODEL.DEVICE", "cpu", "SEED", "1", *overrides,
            env=env, succeed=succeed,
        )  # fmt: skip
