"""Reading checkpoints: published ones, and nothing that runs code."""

from __future__ import annotations

import pickle

from detectron2.checkpoint import DetectionCheckpointer
from detectron2.utils.file_io import PathManager

from .modeling.roi_heads import DensePoseROIHeads

#: What a pickled checkpoint may name: numpy arrays and plain containers.
_ALLOWED = {
    ("collections", "OrderedDict"),
    ("_codecs", "encode"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *(
        (f"numpy.{core}.{module}", name)
        for core in ("core", "_core")
        for module, name in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}")
        return super().find_class(module, name)


class DensePoseCheckpointer(DetectionCheckpointer):
    """DetectionCheckpointer that is strict about dense pose models.

    - A ``.pkl`` file may hold arrays and plain containers only.
    - A model that is loaded to be used, not trained (nothing else is loaded with it: no trainer),
      must find every parameter in the shape it has.

    Other models are loaded as Detectron2 loads them.
    """

    @property
    def _is_densepose(self) -> bool:
        model = getattr(self.model, "module", self.model)
        return isinstance(getattr(model, "roi_heads", None), DensePoseROIHeads)

    def _load_file(self, filename: str):
        if not (filename.endswith(".pkl") and self._is_densepose):
            return super()._load_file(filename)
        with PathManager.open(filename, "rb") as f:
            try:
                _ArrayUnpickler(f, encoding="latin1").load()
            except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{filename} is not a checkpoint of arrays and plain containers: {error}"
                ) from error
        return super()._load_file(filename)

    def _load_model(self, checkpoint):
        incompatible = super()._load_model(checkpoint)
        wrong = incompatible.incorrect_shapes if incompatible is not None else []
        if wrong and self._is_densepose and not self.checkpointables:
            name, found, expected = wrong[0]
            raise ValueError(
                f"the checkpoint is of another model: {len(wrong)} parameters have another shape,"
                f" the first is {name} with {tuple(found)}, expected {tuple(expected)}"
            )
        return incompatible
