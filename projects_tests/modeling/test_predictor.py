"""The predictor's one convolution, and its two forms of output."""

import pytest
import torch
from torch.nn import functional as F

from densepose_ext.modeling import DensePoseChartPredictor, DensePoseChartWithConfidencePredictor
from densepose_ext.modeling.sampling import sample_points
from densepose_ext.structures import DensePoseOutput
from densepose_ext.surface.parts import FINE_TO_COARSE

VARIANTS = {
    "plain": {},
    "WC1": {"uv_confidence": "iid_iso"},
    "WC2M": {"uv_confidence": "indep_aniso", "segm_confidence": True},
}


@pytest.fixture(params=VARIANTS)
def predictor(request):
    return DensePoseChartWithConfidencePredictor(
        8, coarse_channels=2, upscale=2, **VARIANTS[request.param]
    )


def layers_one_by_one(predictor, features):
    """Each map by its own layer, enlarged by itself, as the layers' names say."""
    layer = {"coarse_segm": "ann_index", "fine_segm": "index_uv"}
    maps = {}
    for name in ("coarse_segm", "fine_segm", "u", "v", "sigma_2", "kappa_u", "kappa_v"):
        module = getattr(predictor, f"{layer.get(name, name)}_lowres", None)
        if module is not None:
            maps[name] = F.interpolate(module(features), scale_factor=2, mode="bilinear")
    for name in ("fine_segm", "coarse_segm"):
        module = getattr(predictor, f"{name}_confidence_lowres", None)
        if module is not None:
            raw = F.interpolate(module(features), scale_factor=2, mode="bilinear")
            maps[f"{name}_confidence"] = F.softplus(raw) + predictor.segm_epsilon
            maps[name] = maps[name] * maps[f"{name}_confidence"]
    return maps


def test_one_convolution_equals_a_layer_per_map(predictor):
    features = torch.randn(3, 8, 6, 6)
    output = predictor.eval()(features)
    expected = layers_one_by_one(predictor, features)
    assert sorted(expected) == sorted(name for name, _ in output.items())
    for name, value in output.items():
        assert value.shape[-2:] == (24, 24)
        torch.testing.assert_close(value, expected[name], rtol=1e-5, atol=1e-5)


def test_points_of_deferred_maps_equal_points_of_upsampled_ones(predictor):
    """In training, points are read from the small maps: same values, same gradients."""
    features = torch.randn(3, 8, 6, 6)
    points = 200
    roi = torch.randint(3, (points,))
    x, y = torch.rand(2, points) * 24
    x[:4], y[:4] = torch.tensor([0, 23.999, 0, 23.5]), torch.tensor([0, 23.999, 23.5, 0.2])
    part = torch.randint(25, (points,))

    values, gradients = [], []
    for training in (True, False):
        predictor.train(training)
        predictor.zero_grad()
        output = predictor(features)
        assert isinstance(output, DensePoseOutput) is not training
        samples = sample_points(output, roi, x, y, part)
        present = {name: value for name, value in vars(samples).items() if value is not None}
        coarse = output.enlarged("coarse_segm") if training else output.coarse_segm
        values.append({**present, "coarse_segm": coarse})
        sum((value**2).sum() for value in values[-1].values()).backward()
        gradients.append({name: p.grad.clone() for name, p in predictor.named_parameters()})
    for deferred, full in (values, gradients):
        assert deferred.keys() == full.keys()
        for name in deferred:
            torch.testing.assert_close(deferred[name], full[name], rtol=1e-4, atol=1e-4, msg=name)


def test_fine_parts_take_the_logit_of_their_coarse_part():
    torch.manual_seed(0)
    apart = DensePoseChartPredictor(8, coarse_channels=15)
    together = DensePoseChartPredictor(8, coarse_channels=15, fine_from_coarse=True)
    together.load_state_dict(apart.state_dict())
    features = torch.randn(2, 8, 6, 6)
    with torch.no_grad():
        one, other = apart.eval()(features), together.eval()(features)
        training = together.train()(features).enlarged("fine_segm")
    for part, coarse in enumerate(FINE_TO_COARSE):
        expected = one.fine_segm[:, part] + one.coarse_segm[:, coarse]
        torch.testing.assert_close(other.fine_segm[:, part], expected)
    torch.testing.assert_close(training, other.fine_segm)
    for name in ("coarse_segm", "u", "v"):
        torch.testing.assert_close(getattr(other, name), getattr(one, name))


def test_plain_and_confident_predictor_share_names():
    plain = DensePoseChartPredictor(8, coarse_channels=15)
    confident = DensePoseChartWithConfidencePredictor(8, coarse_channels=15)
    assert plain.state_dict().keys() == confident.state_dict().keys()


def test_invalid_arguments_are_named():
    with pytest.raises(ValueError, match="DECONV_KERNEL = 3"):
        DensePoseChartPredictor(8, coarse_channels=2, kernel_size=3)
    with pytest.raises(ValueError, match="'isotropic', expected iid_iso or indep_aniso"):
        DensePoseChartWithConfidencePredictor(8, coarse_channels=2, uv_confidence="isotropic")
    with pytest.raises(ValueError, match=r"FINE_FROM_COARSE = True needs .* 15, not 2"):
        DensePoseChartPredictor(8, coarse_channels=2, fine_from_coarse=True)
