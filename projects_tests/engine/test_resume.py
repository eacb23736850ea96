"""Processes that are killed, and resumed by the same command with --resume."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from densepose_ext import get_config_file
from projects_tests.launching import STOCK_TOOLS, Workplace
from projects_tests.reference import ROOT
from projects_tests.tiny_model import CONFIG
from projects_tests.tiny_run import assert_same_weights, weights

pytestmark = pytest.mark.slow

SETTINGS = [
    "DATASETS.TEST", "()", "SOLVER.MAX_ITER", "5", "SOLVER.CHECKPOINT_PERIOD", "2",
    "INPUT.COLOR_JITTER", "0.2",
]  # fmt: skip

#: Runs a launcher, and kills its process (SIGKILL) at the nth call of a function.
KILLED = """
import importlib, os, runpy, signal, sys
from pathlib import Path

launcher, module, name, method, count = sys.argv[1:6]
owner = getattr(importlib.import_module(module), name, None) or importlib.import_module(module)
original = getattr(owner, method)
calls = 0

def killed(*arguments, **more):
    global calls
    calls += 1
    if calls == int(count):
        if method == "save":  # torch.save(data, file): half of the file is written
            original(*arguments, **more)
            file = arguments[1]
            file.flush()
            file.truncate(file.tell() // 2)
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **more)

setattr(owner, method, killed)
sys.argv = [launcher, *sys.argv[6:]]
sys.path.insert(0, str(Path(launcher).parent))
runpy.run_path(launcher, run_name="__main__")
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    return Workplace.make(tmp_path_factory.mktemp("resume"), images=5, dense=lambda n: n != 2)


def train_until_killed(
    workplace, *place, launcher=ROOT / "train_net.py", flags=(), settings=(), env=None
):
    """Trains until a function (module, class, method) is called for the nth time."""
    script = workplace.folder / "killed.py"
    script.write_text(KILLED)
    status, printed = workplace.start(
        [
            script, launcher, *map(str, place),
            "--config-file", get_config_file(CONFIG), *flags,
            "MODEL.DEVICE", "cpu", "SEED", "1", *SETTINGS, *settings,
        ],
        env,
    )  # fmt: skip
    assert status == -signal.SIGKILL, printed[-5000:]


STOCK = (
    {
        "launcher": STOCK_TOOLS / "train_net.py",
        "env": {"DETECTRON2_ENV_MODULE": "densepose_ext.plugin"},
    }
    if STOCK_TOOLS.is_dir()
    else {}  # this Detectron2 came without its tools
)


def test_killed_twice_a_run_ends_with_the_weights_of_one_that_was_not(workplace):
    workplace.train("OUTPUT_DIR", "whole", *SETTINGS)
    folder, output = workplace.folder / "killed", ["OUTPUT_DIR", "killed"]

    # In the fourth iteration, after the second was saved.
    in_the_model = ("densepose_ext.modeling.roi_heads", "DensePoseROIHeads", "forward", 4)
    train_until_killed(workplace, *in_the_model, settings=output)
    assert (folder / "last_checkpoint").read_text() == "model_0000001.pth"

    # After it, while its checkpoint is being written.
    saving = ("torch", "-", "save", 1)
    train_until_killed(workplace, *saving, settings=output, flags=["--resume"], **STOCK)
    half = folder / "model_0000003.pth.tmp"
    assert 0 < half.stat().st_size < (folder / "model_0000001.pth").stat().st_size
    assert (folder / "last_checkpoint").read_text() == "model_0000001.pth"

    log = workplace.train(*output, *SETTINGS, "DATALOADER.NUM_WORKERS", "2", flags=["--resume"])
    assert "Starting training from iteration 2" in log
    assert not half.exists()
    final = [weights(workplace.folder / name / "model_final.pth") for name in ("whole", "killed")]
    assert_same_weights(*final)


def test_ctrl_c_says_how_to_go_on(workplace):
    """As a terminal does it: the signal goes to all processes of the group, workers too."""
    output = ["OUTPUT_DIR", "ctrl_c", "DATALOADER.NUM_WORKERS", "2"]
    rolling = ["SOLVER.CHECKPOINT_PERIOD", "50000", "SOLVER.CHECKPOINT_SECONDS", "0.2"]
    folder, log_file = workplace.folder / "ctrl_c", workplace.folder / "ctrl_c.txt"
    with log_file.open("w") as printed:  # a full pipe that nobody reads would block the run
        process = subprocess.Popen(
            [
                sys.executable, "-W", "ignore", ROOT / "train_net.py",
                "--config-file", get_config_file(CONFIG),
                "MODEL.DEVICE", "cpu", "SEED", "1", *SETTINGS, *output, *rolling,
                "SOLVER.MAX_ITER", "100000",
            ],
            cwd=workplace.folder, env=workplace.environment(), start_new_session=True,
            stdout=printed, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while (
            not (folder / "last_checkpoint").exists()
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    log = log_file.read_text()
    assert process.returncode == 130, log[-5000:]
    last = log.strip().splitlines()[-1]
    found = re.search(
        r"Stopped after iteration (\d+) of 100000, saved as .*model_latest\.pth", last
    )
    assert found, log[-5000:]
    assert last.endswith("To go on, run the same command with --resume")
    assert "Traceback" not in log

    end = int(found[1]) + 2
    log = workplace.train(*SETTINGS, *output, "SOLVER.MAX_ITER", end, flags=["--resume"])
    assert f"Starting training from iteration {end - 1}" in log


def test_two_processes_stop_together_and_resume_together(workplace):
    """Both stop at a signal to one, resume together, and share the batches of one process."""
    script = workplace.folder / "two_processes.py"
    script.write_text(
        """
import os, signal
import torch
from densepose_ext import DensePoseTrainer
from densepose_ext.engine.launch import launch
from detectron2.engine.hooks import CallbackHook
from detectron2.utils import comm
from projects_tests.tiny_model import tiny_config

def run(folder, resume=False, stop=None):
    cfg = tiny_config("OUTPUT_DIR", folder, "SEED", 1, "SOLVER.MAX_ITER", 4, "DATASETS.TEST", (),
                      "SOLVER.CHECKPOINT_PERIOD", 100)
    comm.synchronize()
    if comm.is_main_process():
        os.makedirs(folder, exist_ok=True)
    torch.manual_seed(comm.get_rank())
    trainer = DensePoseTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    def before_step(trainer):
        if trainer.iter == stop and comm.get_rank() == 1:
            os.kill(os.getpid(), signal.SIGINT)
    trainer.register_hooks([CallbackHook(before_step=before_step)])
    seen = [sample for t in range(4) for sample in trainer.data_loader.batch_sampler.batch(t)]
    trainer.train()
    return trainer.model.module.state_dict(), seen

def main():
    whole, seen = run("two_whole")
    all_seen = comm.gather([sample.position for sample in seen])
    try:
        run("two_stopped", stop=1)
    except KeyboardInterrupt as stopped:
        assert "Stopped after iteration 1 of 4" in str(stopped)
    else:
        raise AssertionError("not stopped")
    resumed, _ = run("two_stopped", resume=True)
    different = [k for k in whole if not torch.equal(whole[k], resumed[k])]
    assert not different, different
    if comm.is_main_process():
        assert sorted(sum(all_seen, [])) == list(range(8)), all_seen
        print("same weights")

if __name__ == "__main__":
    launch(main, 2)
"""
    )
    assert "same weights" in workplace.run(script)


def test_output_that_cannot_be_written_is_said_in_one_line(workplace):
    (workplace.folder / "file").write_text("")
    log = workplace.train("OUTPUT_DIR", "file/output", *SETTINGS, succeed=False)
    (line,) = log.strip().splitlines()
    assert re.match(r"train_net\.py: error: OUTPUT_DIR = .*file/output cannot be written to", line)
