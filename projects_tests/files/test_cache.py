"""A cache folder that cannot be written to."""

import logging
from pathlib import Path

import pytest

from densepose_ext.files.cache import build_once, cache_folder, content_key


def missing(tmp_path):
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "cache"


def existing(tmp_path):
    return Path("/proc/self")  # in which not even root can make files


@pytest.fixture(params=[missing, existing])
def read_only(request, tmp_path, monkeypatch):
    folder = request.param(tmp_path)
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(folder))
    monkeypatch.setattr("densepose_ext.files.cache._temporary", {})
    return folder


def test_values_are_computed_and_used_with_one_warning(read_only, tmp_path, caplog):
    calls = []

    def build(path):
        calls.append(path)
        path.write_text("value")

    data = tmp_path / "data"
    data.write_text("content")
    with caplog.at_level(logging.WARNING, "detectron2"):
        assert build_once("name", build).read_text() == "value"
        assert build_once("name", build).read_text() == "value"
        assert content_key(data) == content_key(data)
    assert len(calls) == 1
    (warning,) = caplog.messages
    assert f"the cache folder {read_only} cannot be written to" in warning
    assert "$DENSEPOSE_EXT_CACHE" in warning


def test_files_in_it_are_read(tmp_path, monkeypatch, caplog):
    """As those that somebody else has made in a shared folder."""
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path))
    data = tmp_path / "data"
    data.write_text("content")
    key, path = content_key(data), build_once("name", lambda path: path.write_text("value"))

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with caplog.at_level(logging.WARNING, "detectron2"):
        assert content_key(data) == key
        assert build_once("name", None) == path
    assert not caplog.messages


def test_errors_of_builders_are_not_hidden(tmp_path, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path))

    def build(path):
        raise PermissionError(13, "Permission denied", "data.mat")

    with pytest.raises(PermissionError, match="data"):
        build_once("name", build)


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", "~/cache")
    assert cache_folder() == tmp_path / "cache"
