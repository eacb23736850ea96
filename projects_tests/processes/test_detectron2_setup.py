"""densepose_ext.processes.detectron2_setup: what is installed, and what is refused."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from densepose_ext.commands.main import main
from densepose_ext.processes import detectron2_setup
from densepose_ext.processes.detectron2_setup import (
    OPENCV,
    SHA256,
    WHEEL,
    install_detectron2,
    is_installed,
)


@pytest.fixture
def pip(monkeypatch):
    """What pip is asked, by a stand-in whose downloads are the wheel's name."""
    asked = []

    def run(command, check):
        words = command[command.index("--disable-pip-version-check") + 1 :]
        asked.append(words)
        if words[0] == "download":
            folder = Path(words[words.index("-d") + 1])
            (folder / WHEEL).write_text(WHEEL)
        for word in words:
            assert not word.endswith(".whl") or Path(word).read_text() == WHEEL
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(detectron2_setup.subprocess, "run", run)
    return asked


def test_the_wheel_is_installed_as_pure_python_after_what_it_needs(pip, monkeypatch):
    monkeypatch.setattr(detectron2_setup, "SHA256", hashlib.sha256(WHEEL.encode()).hexdigest())
    install_detectron2("versions.txt")
    needs, download, wheel = pip
    assert needs[:4] == ["install", "-q", "-c", "versions.txt"]
    assert {"torch", "torchvision", "fvcore"} <= {*needs}
    assert OPENCV not in needs  # some OpenCV is here
    assert {"--no-deps", "3.10"} <= {*download}
    assert wheel[:3] == ["install", "-q", "--no-deps"]
    assert wheel[3].endswith("sal_detectron2-0.7.2-py3-none-any.whl")


def test_opencv_is_installed_where_there_is_none(pip, monkeypatch):
    monkeypatch.setattr(detectron2_setup, "SHA256", hashlib.sha256(WHEEL.encode()).hexdigest())
    monkeypatch.setattr(detectron2_setup, "is_installed", lambda module: module != "cv2")
    install_detectron2()
    assert OPENCV in pip[0]


def test_a_wheel_of_another_checksum_is_not_installed(pip):
    found = hashlib.sha256(WHEEL.encode()).hexdigest()
    with pytest.raises(ValueError, match=f"has sha256 {found}, expected {SHA256}: not installed"):
        install_detectron2()
    assert [words[0] for words in pip] == ["install", "download"]


def test_what_is_refused(pip, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "version_info", (3, 9, 1))
        with pytest.raises(ValueError, match=r"this is Python 3\.9, expected 3\.10 to 3\.14"):
            install_detectron2()
    with monkeypatch.context() as patch:
        patch.setattr(detectron2_setup, "is_installed", lambda module: False)
        with pytest.raises(ValueError, match=r"has no pip: .* -m ensurepip makes it"):
            install_detectron2()
    assert not pip
    failing = subprocess.CompletedProcess([], 1)
    monkeypatch.setattr(detectron2_setup.subprocess, "run", lambda command, check: failing)
    with pytest.raises(ValueError, match=r"pip failed: .* -m pip .*torch"):
        install_detectron2()


def test_the_command_does_nothing_where_it_is_installed(pip, capsys):
    assert is_installed("detectron2")
    assert main(["setup-detectron2"]) == 0
    assert capsys.readouterr().out == "Detectron2 is already installed\n"
    assert not pip
