"""Results by all channels are those by what matters, and nothing waits for values."""

import pytest
import torch

from densepose_ext.modeling import results_on_gpu
from densepose_ext.modeling.postprocessing import box_sizes, densepose_results
from densepose_ext.modeling.results_on_gpu import results_of_all_channels
from projects_tests.modeling.test_postprocessing import make_output
from projects_tests.synchronisations import Synchronisations

BOXES = torch.tensor([[0.0, 0, 40, 30], [5, 5, 6, 90], [1, 1, 200, 3]])
CONFIDENT = {
    **dict.fromkeys(("sigma_2", "kappa_u", "kappa_v"), 25),
    **dict.fromkeys(("fine_segm_confidence", "coarse_segm_confidence"), 1),
}


@pytest.mark.parametrize("min_confidence", [0.0, 0.3])
@pytest.mark.parametrize("at_once", [100 << 20, 3000])
@pytest.mark.parametrize(("coarse_channels", "more"), [(2, CONFIDENT), (15, {})])
def test_the_same_results(monkeypatch, min_confidence, at_once, coarse_channels, more):
    monkeypatch.setattr(results_on_gpu, "VALUES_AT_ONCE", at_once)
    output = make_output(3, 14, coarse_channels, **more)
    expected = densepose_results(output, BOXES, min_confidence)
    sizes = box_sizes(BOXES)
    with Synchronisations() as waits:
        found = results_of_all_channels(output, sizes, min_confidence)
    assert not waits.counts
    for one, other in zip(found, expected, strict=True):
        assert one.labels.dtype == torch.uint8
        agree = one.labels == other.labels
        assert (~agree).sum() <= 1
        for name, value in vars(other).items():
            if value is not None and name != "labels":
                ours = getattr(one, name)[..., agree]
                torch.testing.assert_close(ours, value[..., agree], rtol=1e-4, atol=1e-4)
