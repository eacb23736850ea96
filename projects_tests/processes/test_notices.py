"""densepose_ext.processes.notices: what is hidden, and what is not."""

import warnings

import pytest

from densepose_ext.processes.notices import JIT_SCRIPT


@pytest.mark.parametrize("end", ["deprecated.", "not supported in Python 3.14+ and may break."])
def test_how_detectron2_calls_torch_is_no_matter_of_the_user(end):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", JIT_SCRIPT)
        warnings.warn(f"`torch.jit.script` is {end}", FutureWarning, stacklevel=1)
        warnings.warn("`torch.jit.load` is deprecated.", FutureWarning, stacklevel=1)
    assert [str(one.message) for one in shown] == ["`torch.jit.load` is deprecated."]
