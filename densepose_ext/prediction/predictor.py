"""The predictor: pictures in, people out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import transforms as T
from detectron2.modeling import GeneralizedRCNN
from detectron2.structures import Instances
from torch import nn

from ..config import check_config
from ..config.embeddings import is_cse_config
from ..engine.checkpoint import DensePoseCheckpointer
from ..modeling.build import build_model
from ..modeling.compiled import compile_model
from ..modeling.postprocessing import check_min_confidence
from ..modeling.precision import PRECISIONS, lower_precision
from ..modeling.test_time_augmentation import DensePoseRCNNWithTTA
from ..processes.messages import counted
from .finding import people_of_batch
from .model_files import config_and_weights
from .people import People
from .pictures import Picture, batch_to_bgr


class DensePosePredictor:
    """Finds the people of pictures, and their dense pose.

    ``DensePosePredictor()`` uses the model shipped with the package. Results are those of
    Detectron2's ``DefaultPredictor`` followed by :func:`densepose_results`. With TEST.AUG.ENABLED
    in the config, test-time augmentation is applied as by ``train_net.py``, without keypoints (see
    :class:`DensePoseRCNNWithTTA`).

    Attributes:
        cfg: the config of the model, as it is used.
        model: the network, in evaluation mode.
        tested: the module that pictures go through, called as Detectron2's models are: ``model``,
            or its wrapper for test-time augmentation.
    """

    def __init__(
        self,
        config: str | os.PathLike | CfgNode | None = None,
        weights: str | os.PathLike | None = None,
        device: str | torch.device | None = None,
        precision: str | None = None,
        min_score: float | None = None,
        augment: bool | None = None,
        min_confidence: float = 0.0,
        compile: bool = False,
    ):
        """
        Args:
            config: a YAML file, a CfgNode, or the name of a config of the package or of a model:
                the shipped one, or an official one, whose checkpoint is downloaded once. Default:
                the shipped model.
            weights: file or URL of a checkpoint, or "official" for the one that the official
                project has published for this config. Default: those of the model, or
                MODEL.WEIGHTS of a config.
            device: of torch. Default: cuda if there is a GPU, else cpu.
            precision: fp32, bf16 or fp16, of the network without heads of masks and keypoints.
                Default: MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION, usually fp32. On a CPU, bf16
                is faster if the CPU computes it (AVX512-BF16 or AMX), and slower if not.
            min_score: people with a lower score are left out. Default:
                MODEL.ROI_HEADS.SCORE_THRESH_TEST, .05 as a rule; the commands take .5.
            augment: whether to average over a picture's versions (sizes, mirror images, rotations)
                as TEST.AUG describes them. Default: TEST.AUG.ENABLED.
            min_confidence: 0 to 1; pixels whose part has a lower probability become background, see
                :func:`densepose_results`. Only for chart models.
            compile: whether to compile the network with torch.compile, into CUDA graphs on a GPU
                (see :func:`compile_model`). Meant for GPUs: the first picture of each size takes
                up to a minute, and a CPU gains nothing.

        Raises:
            ModuleNotFoundError: ``compile`` needs a package that is not installed.
            OSError: a file is missing, or cannot be fetched.
            ValueError: config, weights or a setting cannot be used, or do not belong together;
                TEST.AUG.FLIP without a surface that says what a mirror image shows; or ``compile``
                without a compiler.
        """
        cfg, weights = config_and_weights(config, weights)
        cfg.defrost()
        cfg.MODEL.DEVICE = str(_device(device))
        cfg.MODEL.WEIGHTS = weights
        if "TIMM" in cfg.MODEL:
            cfg.MODEL.TIMM.WEIGHTS = ""  # the checkpoint has them
        if precision is not None:
            cfg.MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION = precision
        if min_score is not None:
            if not 0 <= min_score <= 1:
                raise ValueError(f"min_score = {min_score}, expected 0 to 1")
            cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = float(min_score)
        if augment is not None:
            cfg.TEST.AUG.ENABLED = bool(augment)
        check_config(cfg)
        check_min_confidence(min_confidence, has_parts=not is_cse_config(cfg))
        cfg.freeze()
        self.cfg = cfg
        self.min_confidence = min_confidence
        self.model: Any = build_model(cfg).eval()
        if self.model.device.type == "cpu":
            # Equal up to rounding, and faster: benchmarks/bench_backbone.py.
            self.model.to(memory_format=torch.channels_last)
        _CompleteCheckpointer(self.model).load(weights)
        dtype = PRECISIONS[cfg.MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION]
        if dtype != torch.float32:
            lower_precision(self.model, dtype)
        self._is_compiled = compile
        if compile:
            compile_model(self.model)
        self.tested: nn.Module = self.model
        if cfg.TEST.AUG.ENABLED:
            self.tested = DensePoseRCNNWithTTA(cfg, self.model).eval()

    @property
    def lanes(self) -> int:
        """How many calls to make at the same time, for the most pictures a second.

        On a CPU, two calls with half of the cores each are faster than one call with all of them
        after another, and leave no core idle while files are written.
        """
        # A model that is compiled, or switches heads off for augmentation, takes no two calls.
        takes_two = self.tested is self.model and not self._is_compiled
        on_cpu = self.model.device.type == "cpu"
        return min(torch.get_num_threads(), 2) if on_cpu and takes_two else 1

    def identity(self) -> dict:
        """What results depend on, in terms of JSON: a hash of config and weights, and settings."""
        cfg = self.cfg.clone()
        cfg.defrost()
        precision = cfg.MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION
        min_score = cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST
        cfg.MODEL.DEVICE = cfg.MODEL.WEIGHTS = cfg.OUTPUT_DIR = ""
        cfg.MODEL.ROI_DENSEPOSE_HEAD.INFERENCE_PRECISION = "fp32"
        cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
        model = hashlib.sha256(cfg.dump().encode())
        for parameter in self.model.state_dict().values():
            model.update(parameter.detach().cpu().reshape(-1).view(torch.uint8).numpy())
        return {
            "model": model.hexdigest()[:16],
            "precision": precision,
            "min_score": min_score,
            "min_confidence": self.min_confidence or None,
        }

    def __call__(self, picture: Picture) -> People:
        """The people of one picture, best score first.

        Args:
            picture: an array (H, W, 3) of uint8 in **BGR** order, as OpenCV reads it; a Pillow
                image; or the path of a file. Grey, opacity and 16 bits are converted (see
                :func:`to_bgr`).

        Returns:
            a list of :class:`Person`, with conversions of all of them (see :class:`People`).
        """
        return self.batch([picture])[0]

    def batch(self, pictures: Sequence[Picture]) -> list[People]:
        """The people of several pictures, in one batch.

        Smaller pictures are padded to the largest, so results differ slightly from those of single
        pictures, unless all have the same size.
        """
        arrays = batch_to_bgr(pictures)
        if not arrays:
            return []
        with torch.inference_mode():
            found = self._found([self._model_input(picture) for picture in arrays])
        # Outside inference mode: the caller could not change its tensors in place.
        sizes = [picture.shape[:2] for picture in arrays]
        return people_of_batch(found, sizes, self.min_confidence)

    def _found(self, inputs: list[dict]) -> list[Instances]:
        heads = self.model.roi_heads
        is_plain = self.tested is self.model and type(self.model) is GeneralizedRCNN
        if is_plain and not heads.mask_on and not heads.keypoint_on:
            # Detectron2's postprocessing would wait for a GPU to know how many boxes are empty.
            return self.model.inference(inputs, do_postprocess=False)
        return [output["instances"] for output in self.tested(inputs)]

    def _model_input(self, picture: np.ndarray) -> dict:
        height, width = picture.shape[:2]
        picture = self._resized(picture)
        if self.cfg.INPUT.FORMAT == "RGB":
            picture = picture[:, :, ::-1]
        image = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        return {"image": image, "height": height, "width": width}

    def _resized(self, picture: np.ndarray) -> np.ndarray:
        shortest, longest = self.cfg.INPUT.MIN_SIZE_TEST, self.cfg.INPUT.MAX_SIZE_TEST
        if shortest == 0:
            return picture
        height, width = picture.shape[:2]
        shape = T.ResizeShortestEdge.get_output_shape(height, width, shortest, longest)
        # A very long and narrow picture would end up without rows.
        new_height, new_width = (max(length, 1) for length in shape)
        return T.ResizeTransform(height, width, new_height, new_width).apply_image(picture)


def _device(device: str | torch.device | None) -> torch.device:
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"no device {device!r}; expected cpu, cuda or cuda:0") from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: torch finds no GPU here")
    count = torch.cuda.device_count()
    if found.type == "cuda" and (found.index or 0) >= count:
        raise ValueError(f"device {device!r}: torch finds {counted(count, 'GPU')}, counted from 0")
    return found


class _CompleteCheckpointer(DensePoseCheckpointer):
    """Refuses a checkpoint that lacks parameters of the model."""

    def _load_model(self, checkpoint):
        incompatible = super()._load_model(checkpoint)
        missing = incompatible.missing_keys
        if missing:
            raise ValueError(
                f"{self.source} lacks {counted(len(missing), 'parameter')} of this config's model,"
                f" the first is {missing[0]}: it is of another model, or of a backbone alone"
            )
        return incompatible
