"""The log of a run, in its file."""

import logging

import pytest

from densepose_ext.demo.log import log_to


@pytest.fixture
def logger():
    found = [logging.getLogger(name) for name in ("detectron2", "fvcore")]
    before = [(one.handlers[:], one.propagate, one.level) for one in found]
    yield found[0]
    for one, (handlers, propagate, level) in zip(found, before):
        one.handlers[:], one.propagate = handlers, propagate
        one.setLevel(level)


def test_each_run_has_a_file_and_the_terminal_warnings(logger, tmp_path, capsys):
    paths = tmp_path / "one" / "log.txt", tmp_path / "two.txt"
    for number, path in enumerate(paths):
        log_to(path)
        logger.getChild("part").info("step %d", number)
        logger.getChild("part").warning("beware of %d", number)
    for number, path in enumerate(paths):
        lines = path.read_text().splitlines()
        assert [line.split(": ")[1] for line in lines] == [f"step {number}", f"beware of {number}"]
    shown = capsys.readouterr().out
    assert shown.count("beware") == 2
    assert "step" not in shown
