"""The precisions that parts of a model can be computed in at inference."""

import torch

#: Values of MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION.
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def computed_in(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which a network computes in a precision, with parameters in single precision."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)
