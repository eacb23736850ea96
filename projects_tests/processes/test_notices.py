"""densepose_ext.processes.notices: what is hidden, and what is not."""

import logging
import warnings

import pytest

from densepose_ext.processes.notices import JIT_SCRIPT, hide_notices


@pytest.mark.parametrize("end", ["deprecated.", "not supported in Python 3.14+ and may break."])
def test_how_detectron2_calls_torch_is_no_matter_of_the_user(end):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", JIT_SCRIPT)
        warnings.warn(f"`torch.jit.script` is {end}", FutureWarning, stacklevel=1)
        warnings.warn("`torch.jit.load` is deprecated.", FutureWarning, stacklevel=1)
    assert [str(one.message) for one in shown] == ["`torch.jit.load` is deprecated."]


def test_left_over_weights_of_a_backbone_are_no_matter_of_the_user(caplog):
    hide_notices()
    hide_notices()
    logger = logging.getLogger("timm.models._builder")
    logger.warning("Unexpected keys (classifier.weight) found while loading pretrained weights.")
    logger.warning("Missing keys (conv.weight) discovered while loading pretrained weights.")
    (record,) = caplog.records
    assert record.getMessage().startswith("Missing keys")
