"""What is installed, and what works without installation."""

import email
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import densepose_ext
from densepose_ext.files.configs import list_configs
from densepose_ext.processes.detectron2_setup import NEEDS, OPENCV
from projects_tests.reference import ROOT

SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
PACKAGES = ("densepose_ext", "configs")

can_build = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("pip", "setuptools", "wheel")),
    reason="pip, setuptools and wheel are needed to build",
)


def python(*arguments, cwd=ROOT, path="", **environment) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "ignore", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def without_torch(tmp_path_factory) -> Path:
    """A folder for PYTHONPATH in which torch and Detectron2 cannot be imported."""
    folder = tmp_path_factory.mktemp("hiding")
    for name in ("torch", "detectron2"):
        (folder / f"{name}.py").write_text(f"raise ImportError('{name} is hidden')")
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of what is packaged, for building leaves folders behind."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def pip(*arguments, path: Path) -> None:
    done = python("-m", "pip", *arguments, "--no-deps", "--no-build-isolation", path=path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(checkout, without_torch, tmp_path_factory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    pip("wheel", "-q", "-w", out, checkout, path=without_torch)
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    wheel.extractall(folder)
    return folder


REPORT = """
import sys
from pathlib import Path
import densepose_ext
from detectron2.modeling import ROI_HEADS_REGISTRY
assert "DensePoseROIHeads" in ROI_HEADS_REGISTRY
heavy = {"detectron2.engine", "detectron2.evaluation", "matplotlib", "scipy", "timm"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from densepose_ext.files.configs import list_configs
from densepose_ext.config import load_config
from detectron2.config import LazyConfig

print(Path(densepose_ext.__file__).parent)
for name in list_configs():
    path = densepose_ext.get_config_file(name)
    if name.endswith(".yaml"):
        assert load_config(path).MODEL.ROI_HEADS.NAME == "DensePoseROIHeads"
    else:
        LazyConfig.load(path)
    print(name, path)
"""


def check_installed(done: subprocess.CompletedProcess, package: Path, configs: Path) -> None:
    assert done.returncode == 0, done.stderr[-3000:]
    first, *rest = done.stdout.splitlines()
    assert first == str(package)
    assert rest == [f"{name} {configs / name}" for name in list_configs()]


@pytest.mark.slow
@can_build
def test_a_wheel_holds_the_package_and_its_configs(wheel):
    files = set(wheel.namelist())
    assert {f"densepose_ext/configs/{name}" for name in list_configs()} <= files
    assert "densepose_ext/configs/lazy/common/model.py" in files
    for folder in ("densepose_ext", "configs"):
        packaged = {
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        prefix = "" if folder == "densepose_ext" else "densepose_ext/"
        assert {prefix + name for name in packaged} <= files
    top = {name.split("/")[0] for name in files}
    assert top == {"densepose_ext", f"densepose_ext-{densepose_ext.__version__}.dist-info"}


@can_build
def test_metadata(wheel):
    folder = f"densepose_ext-{densepose_ext.__version__}.dist-info"
    metadata = email.message_from_bytes(wheel.read(f"{folder}/METADATA"))
    required = metadata.get_all("Requires-Dist")
    base = {re.match(r"[\w-]+", line)[0] for line in required if "extra ==" not in line}
    # Those a Detectron2 environment has in a build of its own, which pip must not replace.
    assert not base & {"torch", "torchvision", "detectron2", "opencv-python"}
    assert not base & {"opencv-python-headless", "sal-detectron2"}
    assert set(metadata.get_all("Provides-Extra")) == {
        "quickstart",
        "video",
        "web",
        "export",
        "dev",
        "docs",
    }
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License"] == "Apache-2.0" or metadata["License-Expression"] == "Apache-2.0"
    assert b"densepose-ext = densepose_ext.commands.main:main" in wheel.read(
        f"{folder}/entry_points.txt"
    )
    licences = [name for name in wheel.namelist() if name.endswith(("LICENSE", "NOTICE"))]
    assert len([name for name in licences if folder in name]) == 2


@pytest.mark.slow
@can_build
def test_from_an_installed_wheel(unpacked, tmp_path):
    done = python("-c", REPORT, cwd=tmp_path, path=unpacked)
    package = unpacked / "densepose_ext"
    check_installed(done, package, package / "configs")


# The environment that runs the tests may have the package installed, too.
@can_build
@pytest.mark.parametrize("program", ["densepose-ext", "-m"])
def test_an_installed_command_starts_without_torch(unpacked, without_torch, tmp_path, program):
    path = os.pathsep.join(map(str, (without_torch, unpacked)))
    start = ["-m", "densepose_ext"]
    if program != "-m":
        start = [tmp_path / program]  # as pip writes it
        start[0].write_text(
            "import sys\nfrom densepose_ext.commands.main import main\nsys.exit(main())"
        )
    done = python(*start, "configs", "R_50.yaml", cwd=tmp_path, path=path)
    assert done.stderr.startswith("densepose-ext configs: no config 'R_50.yaml'; there are: Base-")
    done = python(*start, "--version", cwd=tmp_path, path=path)
    assert done.stdout == f"densepose-ext {densepose_ext.__version__}\n"


EDITABLE = """
import site, sys

def finders():
    return [f for f in sys.meta_path if "densepose_ext" in getattr(f, "__module__", "")]

for finder in finders():
    sys.meta_path.remove(finder)
    sys.modules.pop(finder.__module__, None)
sys.path.insert(0, {site!r})
site.addsitedir({site!r})
sys.meta_path[:0] = finders()
"""


@pytest.mark.slow
@can_build
def test_from_an_editable_install(checkout, without_torch, tmp_path):
    # Without --ignore-installed pip takes the package out of the environment that runs the tests.
    pip(
        "install", "-q", "--no-index", "--ignore-installed", "--prefix", tmp_path, "-e", checkout,
        path=without_torch,
    )  # fmt: skip
    (site,) = tmp_path.rglob("site-packages")
    check_installed(
        python("-c", EDITABLE.format(site=str(site)) + REPORT, cwd=tmp_path),
        checkout / "densepose_ext",
        checkout / "configs",
    )


HIDE = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "detectron2":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", ["densepose_ext.register()", "densepose_ext.DensePosePredictor"])
def test_without_detectron2_it_says_how_to_get_it(tmp_path, code):
    done = python("-c", f"{HIDE}\nimport densepose_ext\n{code}", cwd=tmp_path, path=ROOT)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: densepose_ext extends Detectron2, which is not")
    assert "https://detectron2.readthedocs.io/tutorials/install.html" in last
    assert "densepose-ext setup-detectron2" in last
    assert "During handling" not in done.stderr


def test_a_command_without_detectron2_says_so_in_a_line(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = python("-m", "densepose_ext", "predict", "a.jpg", "--out", "b", cwd=tmp_path, path=path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("densepose-ext predict: densepose_ext extends Detectron2, which is not")


def test_what_detectron2_itself_lacks_is_not_hidden(tmp_path):
    (tmp_path / "detectron2.py").write_text("import something_it_needs")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = python("-c", "import densepose_ext", cwd=tmp_path, path=path)
    assert done.stderr.strip().splitlines()[-1] == (
        "ModuleNotFoundError: No module named 'something_it_needs'"
    )


def test_everything_that_setup_installs_is_pinned():
    def names(text: str) -> set[str]:
        return {re.match(r"[\w.-]+", word)[0].lower() for word in text.split()}

    needs = names(" ".join([*NEEDS, OPENCV]))
    setup = (ROOT / "setup.py").read_text()
    for block in (
        "REQUIREMENTS = \\[(.*?)\\n\\]",
        '"quickstart": \\[(.*?)\\]',
        '"video": \\[(.*?)\\]',
        '"web": \\[(.*?)\\]',
        '"dev": \\[(.*?)\\]',
        '"export": \\[(.*?)\\]',
        '"docs": \\[(.*?)\\]',
    ):
        needs |= names(" ".join(re.findall(r'"([\w-]+)"', re.search(block, setup, re.DOTALL)[1])))
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {re.match(r"[\w.-]+", line)[0].lower() for line in lines if line[0] != "#"}
    assert needs <= pinned


# The set-up of an environment, with a stand-in for its Python that notes what it is asked.
STAND_IN = """#!/bin/sh
echo "$*" >> {log}
case "$*" in
  *"pip"*" -e "*) cp "$0" "$(dirname "$0")/densepose-ext" ;;
  -W*) echo "setup: densepose_ext" ;;
esac
"""

needs_shell = pytest.mark.skipif(
    shutil.which("bash") is None or shutil.which("sha256sum") is None,
    reason="the set-up is a bash script",
)


@pytest.fixture
def place(tmp_path):
    """A checkout with a virtual environment that holds only the stand-in."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "densepose_ext/processes").mkdir(parents=True)
    how = "densepose_ext/processes/detectron2_setup.py"
    for name in ("tools/setup_environment.sh", "setup.py", "constraints.txt", how):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    return tmp_path


def put_stand_in(place: Path) -> None:
    path = place / ".venv/bin/python"
    path.write_text(STAND_IN.format(log=place / "log"))
    path.chmod(0o755)


def set_up(place: Path, base: str = sys.executable) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["bash", place / "tools/setup_environment.sh", ".venv"],
        env={**os.environ, "PYTHON_BASE": base},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@needs_shell
def test_a_second_set_up_does_nothing_and_says_so(place):
    put_stand_in(place)
    first = set_up(place)
    assert first.returncode == 0, first.stderr
    assert "setup: done" in first.stdout
    asked = (place / "log").read_text()
    assert "-e .[quickstart,video,web,dev,docs,export]" in asked
    assert "setup-detectron2 --constraints constraints.txt" in asked
    second = set_up(place)
    assert second.stdout == "setup: .venv is up to date, nothing to do\n"
    assert (place / "log").read_text() == asked
    # Until the package is gone, or what it installs changes.
    (place / ".venv/bin/densepose-ext").unlink()
    assert "setup: done" in set_up(place).stdout
    (place / "constraints.txt").write_text("numpy==9")
    assert "setup: done" in set_up(place).stdout


@needs_shell
def test_without_a_python_it_says_which_are_meant(place):
    done = set_up(place, base="python-that-is-not-there")
    assert done.returncode == 1
    assert "found no Python 3.10 to 3.14 (tried: python-that-is-not-there)" in done.stderr
    assert "make setup PYTHON_BASE=" in done.stderr


@needs_shell
def test_without_venv_it_says_how_to_get_it(place):
    # As Debian's python3 is without python3-venv.
    base = place / "python3"
    base.write_text(
        f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; *) exec {sys.executable} "$@" ;; esac\n'
    )
    base.chmod(0o755)
    done = set_up(place, base=str(base))
    assert done.returncode == 1
    assert "it lacks venv or ensurepip" in done.stderr
    assert "apt install python3-venv" in done.stderr


@needs_shell
def test_an_environment_of_another_python_is_named(place):
    put_stand_in(place)
    path = place / ".venv/bin/python"
    path.write_text(path.read_text().replace("-W*", "-c*version_info*) exit 1 ;;\n  -W*"))
    done = set_up(place)
    assert done.returncode == 1
    assert "expected 3.10 to 3.14: remove .venv first" in done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("target", ["test", "quick"])
def test_make_runs_the_tests_on_all_cores(target):
    done = subprocess.run(
        ["make", "-n", target, f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if "pytest" in line]
    assert "projects_tests" in line
    if importlib.util.find_spec("xdist"):
        assert line.count(" -n auto --dist loadscope") == 1
    assert ("-m 'not slow'" in line) == (target == "quick")
