"""Downloads that break off, and servers that are of no use."""

import socket
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from densepose_ext.files import download
from densepose_ext.files.download import cached_path, fetch
from projects_tests.file_server import file_server

CONTENT = bytes(range(256)) * 8


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "_PAUSE", 0)
    with file_server() as files:
        files.contents["/zoo/one.pkl"] = CONTENT
        yield files


def anything(path):
    pass


def leftovers(path):
    return sorted(file.name for file in path.parent.iterdir() if file.name != f"{path.name}.lock")


def test_fetched_once(server):
    url = f"{server.url}/zoo/one.pkl"
    path = fetch(url, anything)
    assert path == cached_path(url)
    assert path.parts[-2:] == ("zoo", "one.pkl")
    assert path.read_bytes() == CONTENT
    assert fetch(url, anything) == path
    assert server.asked == [""]
    assert leftovers(path) == ["one.pkl"]


def test_detectron2_finds_it_there(server):
    from detectron2.utils.file_io import PathManager

    url = f"{server.url}/zoo/one.pkl"
    assert PathManager.get_local_path(url) == str(fetch(url, anything))
    assert server.asked == [""]


def test_broken_off_and_resumed_at_once(server):
    server.ends = [1000, 1500]
    assert fetch(f"{server.url}/zoo/one.pkl", anything).read_bytes() == CONTENT
    assert server.asked == ["", "bytes=1000-", "bytes=1500-"]


def test_truncated_and_resumed_by_the_next_call(server):
    url = f"{server.url}/zoo/one.pkl"
    server.ends = [1000] * 4
    with pytest.raises(OSError, match="ended after 1,000 of 2,048 bytes") as stop:
        fetch(url, anything)
    assert url in str(stop.value)
    assert str(cached_path(url)) in str(stop.value)
    assert not cached_path(url).exists()
    server.asked.clear()
    assert fetch(url, anything).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]
    assert leftovers(cached_path(url)) == ["one.pkl"]


@pytest.mark.parametrize("tag", ['"second"', 'W/"weak"', ""])
def test_another_version_starts_anew(server, tag):
    server.ends = [1000] * 4
    with pytest.raises(OSError, match="ended after"):
        fetch(f"{server.url}/zoo/one.pkl", anything)
    server.contents["/zoo/one.pkl"], server.tag = CONTENT[::-1], tag
    assert fetch(f"{server.url}/zoo/one.pkl", anything).read_bytes() == CONTENT[::-1]


def test_a_part_that_is_longer_than_the_file(server):
    url = f"{server.url}/zoo/one.pkl"
    part = cached_path(url).with_name("one.pkl.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT * 2)
    part.with_name("one.pkl.part.version").write_text(server.tag)
    assert fetch(url, anything).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500])
def test_refused(server, status):
    server.status = status
    with pytest.raises(OSError, match=f"one.pkl: HTTP {status} "):
        fetch(f"{server.url}/zoo/one.pkl", anything)
    assert len(server.asked) == 1


def test_a_length_that_is_not_said_is_not_trusted(server):
    server.says_length = False
    with pytest.raises(OSError, match="does not say how long the file is"):
        fetch(f"{server.url}/zoo/one.pkl", anything)


def test_offline(server):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/zoo/one.pkl"
        with pytest.raises(OSError, match=r"cannot fetch http.*Connection refused") as stop:
            fetch(url, anything)
    assert "\n" not in str(stop.value)


def test_through_a_proxy(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it has read the variables before
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fetch("http://weights.invalid/zoo/one.pkl", anything).read_bytes() == CONTENT


def test_what_the_check_refuses_is_removed(server):
    def refuse(path):
        assert path.read_bytes() == CONTENT
        raise ValueError("no such thing")

    url = f"{server.url}/zoo/one.pkl"
    with pytest.raises(ValueError, match="no such thing"):
        fetch(url, refuse)
    assert leftovers(cached_path(url)) == []


def test_several_at_once_fetch_one(server):
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: fetch(f"{server.url}/zoo/one.pkl", anything), range(8)))
    assert len(paths) == 1
    assert server.asked == [""]
