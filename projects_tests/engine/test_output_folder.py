"""Output that cannot be written is noticed beforehand."""

import shutil

import pytest
import torch
from torch import nn

from densepose_ext.engine.muon import MuonAdamW
from densepose_ext.engine.output_folder import (
    check_space,
    check_writable,
    checkpoint_bytes,
    checkpoints_to_come,
)


def test_a_new_folder_is_made_and_left_empty(tmp_path):
    check_writable(str(tmp_path / "a" / "b"))
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_what_is_no_folder_is_named_with_the_reason(tmp_path):
    (tmp_path / "file").write_text("")
    for path, reason in (("file", "File exists"), ("file/below", "Not a directory")):
        with pytest.raises(OSError, match=rf"OUTPUT_DIR = .*{path} .*: {reason}; [\d,]+ bytes are"):
            check_writable(str(tmp_path / path))


def test_a_full_disk_is_named_with_what_is_needed(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2_999))
    check_space(str(tmp_path), 999, 3)
    with pytest.raises(
        OSError, match=r"has 2,999 bytes free, .* about 3,000 for 3 checkpoints of 1,0"
    ):
        check_space(str(tmp_path), 1000, 3)


def test_all_checkpoints_of_a_run_are_counted(tmp_path):
    assert checkpoints_to_come(str(tmp_path), 130_000, 5_000) == 29
    assert checkpoints_to_come(str(tmp_path), 10, 5_000) == 3
    for number in range(20):
        (tmp_path / f"model_{number:07d}.pth").touch()
    (tmp_path / "model_latest.pth").touch()
    assert checkpoints_to_come(str(tmp_path), 130_000, 5_000) == 9
    assert checkpoints_to_come(str(tmp_path), 10_000, 5_000) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, 0.1),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        lambda p: torch.optim.AdamW(p, 0.1),
        lambda p: MuonAdamW([{"params": p[:1], "orthogonal": True}, {"params": p[1:]}], lr=0.1),
    ],
)
def test_the_size_of_a_checkpoint(make, tmp_path):
    model = nn.Sequential(nn.Linear(300, 300), nn.BatchNorm1d(300))
    model[0].bias.requires_grad = False
    optimizer = make([p for p in model.parameters() if p.requires_grad])
    expected = checkpoint_bytes(model, optimizer)
    model(torch.rand(4, 300)).square().sum().backward()
    optimizer.step()
    path = tmp_path / "checkpoint.pth"
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, path)
    assert expected == pytest.approx(path.stat().st_size, rel=0.02)
    trained = [p.detach().clone() for p in model.parameters() if p.requires_grad]
    torch.save({**state, "trained": trained}, path)
    averaged = checkpoint_bytes(model, optimizer, is_averaged=True)
    assert averaged == pytest.approx(path.stat().st_size, rel=0.02)
