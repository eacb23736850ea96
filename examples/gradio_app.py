"""A page to try models on: python examples/gradio_app.py (needs pip install gradio)."""

from functools import lru_cache

import numpy as np

from densepose_ext import DensePosePredictor
from densepose_ext.model_zoo import DEFAULT, official_names
from densepose_ext.visualization import control_picture, draw_boxes, draw_contours, draw_parts

DRAWINGS = {
    "parts": lambda picture, people: draw_boxes(draw_parts(picture, people), people),
    "contours": draw_contours,
    "control": lambda picture, people: control_picture(people, people.size),
    "I, U, V": lambda picture, people: people.to_iuv()[..., ::-1],
}


@lru_cache(maxsize=1)
def predictor(model: str, min_score: float) -> DensePosePredictor:
    return DensePosePredictor(model, min_score=min_score)


def draw(picture: np.ndarray, drawing: str, model: str, min_score: float) -> np.ndarray:
    """Draws the people of a picture (H, W, 3) uint8 RGB; returns the drawing in the same form."""
    bgr = np.ascontiguousarray(picture[..., ::-1])
    return DRAWINGS[drawing](bgr, predictor(model, min_score)(bgr))[..., ::-1]


def main() -> None:
    import gradio as gr

    gr.Interface(
        draw,
        [
            gr.Image(type="numpy", label="picture"),
            gr.Dropdown(list(DRAWINGS), value="parts", label="drawing"),
            gr.Dropdown([DEFAULT, *official_names()], value=DEFAULT, label="model"),
            gr.Slider(0, 1, value=0.5, label="lowest score"),
        ],
        gr.Image(label="dense pose"),
        title="Dense pose",
    ).launch()


if __name__ == "__main__":
    main()
