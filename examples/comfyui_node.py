"""A ComfyUI node that turns pictures of people into dense pose, for ControlNet and the like.

Install densepose_ext and Detectron2 into ComfyUI's environment (pip install densepose_ext,
densepose-ext setup-detectron2), and copy this file into ComfyUI/custom_nodes.
"""

from functools import lru_cache

import numpy as np
import torch

from densepose_ext import DensePosePredictor
from densepose_ext.model_zoo import DEFAULT, official_names
from densepose_ext.visualization import control_picture

#: Style: colour map, and whether the background is black.
STYLES = {
    "parts, viridis (MagicAnimate)": ("parts", "viridis", False),
    "parts, parula on black": ("parts", "parula", True),
    "U on black": ("u", "viridis", True),
    "V on black": ("v", "viridis", True),
    "I, U, V": None,
}


@lru_cache(maxsize=1)
def predictor(model: str, min_score: float) -> DensePosePredictor:
    return DensePosePredictor(model, min_score=min_score)


class DensePose:
    CATEGORY = "image/preprocessors"
    RETURN_TYPES = ("IMAGE", "MASK")
    RETURN_NAMES = ("dense pose", "people")
    FUNCTION = "run"

    @classmethod
    def INPUT_TYPES(cls) -> dict:
        score = {"default": 0.5, "min": 0.0, "max": 1.0, "step": 0.05}
        return {
            "required": {
                "image": ("IMAGE",),
                "style": (list(STYLES),),
                "model": ([DEFAULT, *official_names()],),
                "min_score": ("FLOAT", score),
            }
        }

    def run(
        self, image: torch.Tensor, style: str, model: str, min_score: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            image: (B, H, W, 3) RGB, 0 to 1.

        Returns:
            (B, H, W, 3) RGB, 0 to 1, and (B, H, W), 1 where people are.
        """
        drawn, masks = [], []
        for picture in (image[..., :3] * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy():
            people = predictor(model, min_score)(np.ascontiguousarray(picture[..., ::-1]))
            if STYLES[style] is None:
                drawn.append(people.to_iuv())
            else:
                quantity, colours, black = STYLES[style]
                bgr = control_picture(people, people.size, quantity, colours, black)
                drawn.append(bgr[..., ::-1])
            masks.append(people.to_index() > 0)
        pictures = torch.from_numpy(np.stack(drawn).astype(np.float32) / 255)
        return pictures, torch.from_numpy(np.stack(masks).astype(np.float32))


NODE_CLASS_MAPPINGS = {"DensePose": DensePose}
NODE_DISPLAY_NAME_MAPPINGS = {"DensePose": "Dense pose"}
