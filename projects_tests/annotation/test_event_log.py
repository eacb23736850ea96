import json
import os
import resource
import signal
import subprocess

import pytest

from densepose_ext.annotation.event_log import EventLog
from densepose_ext.processes.bare import command
from projects_tests.reference import ROOT


def read(path) -> list:
    log = EventLog(path)
    log.close()
    return [event["value"] for event in log.events]


def write(path, values) -> None:
    log = EventLog(path)
    for value in values:
        log.append({"value": value})
    log.close()


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "log"
    write(path, [1, {"a": "ü\n"}])
    write(path, [[3]])
    assert read(path) == [1, {"a": "ü\n"}, [3]]
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [0, 1, 2]


def test_cut_off_anywhere_only_the_last_event_is_lost(tmp_path):
    path = tmp_path / "log"
    write(path, ["first", "second"])
    content = path.read_bytes()
    for length in range(content.index(b"\n") + 1, len(content)):
        path.write_bytes(content[:length])
        assert read(path) == ["first"]
        write(path, ["third"])
        assert read(path) == ["first", "third"]


@pytest.mark.parametrize("tail", [b"\0" * 40, b'{"n": 5}\n', b"[1]\n", b"\xff\n"])
def test_a_last_line_of_nonsense_is_cut_off(tmp_path, tail):
    path = tmp_path / "log"
    write(path, ["first"])
    with open(path, "ab") as stream:
        stream.write(tail)
    assert read(path) == ["first"]


def test_a_damaged_line_before_the_last_is_an_error_and_stays(tmp_path):
    path = tmp_path / "log"
    write(path, [1, 2, 3])
    content = path.read_bytes().replace(b'"value":2', b'"value":2,')
    path.write_bytes(content)
    with pytest.raises(ValueError, match="line 2 is damaged"):
        EventLog(path)
    assert path.read_bytes() == content


def test_it_is_open_once(tmp_path):
    path = tmp_path / "log"
    log = EventLog(path)
    with pytest.raises(ValueError, match="open in another program"):
        EventLog(path)
    log.close()
    assert read(path) == []


def test_when_the_disk_is_full_nothing_of_an_event_is_left(tmp_path):
    path = tmp_path / "log"
    log = EventLog(path)
    log.append({"value": 1})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, limit[1]))
        with pytest.raises(OSError, match="large"):
            log.append({"value": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    log.append({"value": 2})
    log.close()
    assert read(path) == [1, 2]


WRITER = """
import sys
from densepose_ext.annotation.event_log import EventLog
log = EventLog(sys.argv[1])
while True:
    n = log.append({"value": "x" * 5000})["n"]
    print(n, flush=True)
"""


@pytest.mark.slow
def test_killed_while_writing(tmp_path):
    """Whatever was acknowledged is there, and at most one event more."""
    path = tmp_path / "log"
    before = 0
    for _ in range(2):
        process = subprocess.Popen(
            [*command(WRITER), str(path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )
        lines = [process.stdout.readline() for _ in range(20)]
        process.kill()
        lines += process.communicate()[0].splitlines()
        acknowledged = int(lines[-1]) + 1
        found = len(read(path))
        assert acknowledged <= found <= acknowledged + 1
        assert found >= before + 20
        before = found
