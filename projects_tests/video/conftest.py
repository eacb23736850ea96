"""Both ways to read and write videos."""

import pytest

from densepose_ext.video import reader, writer


@pytest.fixture(params=["PyAV", "OpenCV"])
def library(request, monkeypatch):
    """Reading and writing by PyAV, then as if it were not installed."""
    if request.param == "PyAV":
        pytest.importorskip("av")
    else:
        monkeypatch.setattr(reader, "av", None)
        monkeypatch.setattr(writer, "av", None)
    return request.param
