"""densepose_ext.processes.bare: processes without torch and Detectron2."""

import os
import subprocess

import pytest

from densepose_ext.processes.bare import command


def _run(program, folder):
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        command(program), cwd=folder, env=alone, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_what_draws_and_measures_needs_neither_torch_nor_detectron2(tmp_path):
    ended = _run(
        "import densepose_ext.synthetic.dataset, densepose_ext.synthetic.workers\n"
        "import densepose_ext.surface.surface\n"
        "print([name for name in ('torch', 'detectron2') if name in sys.modules])",
        tmp_path,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[]\n", "")


def test_it_is_the_code_that_this_process_runs(tmp_path):
    import densepose_ext

    ended = _run("import densepose_ext.processes.bare as b; print(b.__file__)", tmp_path)
    package = os.path.dirname(densepose_ext.__file__)
    assert os.path.dirname(ended.stdout) == os.path.join(package, "processes")


def test_an_error_is_said(tmp_path):
    ended = _run("import densepose_ext.nowhere", tmp_path)
    assert ended.returncode == 1
    assert "No module named 'densepose_ext.nowhere'" in ended.stderr
