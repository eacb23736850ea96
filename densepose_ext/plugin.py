"""Dense pose in Detectron2's own launchers, unmodified.

``DETECTRON2_ENV_MODULE=densepose_ext.plugin python tools/train_net.py --config-file ...`` trains
and tests a dense pose config just as this project's ``train_net.py`` does. Detectron2 imports the
module named by that variable during its own import, before a launcher imports names from it, and
calls :func:`setup_environment`. The replaced functions check the config first and treat other
models as before; :func:`deactivate` restores the originals.

Launchers of Python configs need none of this: ``configs/lazy`` names all parts itself.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

_undo: list[Callable[[], None]] = []


def setup_environment() -> None:
    """Called by Detectron2 during its import.

    Its submodules can be imported by then, but maybe not yet when this module is imported: so they
    are imported inside functions.
    """
    activate()


def is_active() -> bool:
    """Whether Detectron2's launchers support dense pose."""
    return bool(_undo)


def activate() -> None:
    """Makes Detectron2's launchers support dense pose. A second call changes nothing."""
    if is_active():
        return
    # Active from here on: the imports below may call this function again.
    _undo.append(lambda: None)
    try:
        _replace_config_reader()
        _replace_in_default_trainer()
        _replace_bound_names()
    except BaseException:
        deactivate()
        raise


def deactivate() -> None:
    """Undoes :func:`activate`. Names that launchers have already imported stay replaced."""
    while _undo:
        _undo.pop()()


def _replace(owner, name: str, value) -> None:
    """Sets an attribute, and remembers how to undo that: an inherited one is deleted again."""
    own = vars(owner)
    original = own.get(name)
    existed = name in own

    def undo() -> None:
        if existed:
            setattr(owner, name, original)
        else:
            delattr(owner, name)

    setattr(owner, name, value)
    _undo.append(undo)


def _replace_config_reader() -> None:
    """Reading a dense pose YAML file adds the keys of dense pose; other files add none."""
    from detectron2.config import CfgNode

    from .config import add_densepose_config, check_config, is_densepose_config, is_own_config

    read = CfgNode.merge_from_file

    @functools.wraps(read)
    def merge_from_file(self, cfg_filename: str, allow_unsafe: bool = True) -> None:
        loaded = CfgNode(self.load_yaml_with_base(cfg_filename, allow_unsafe=allow_unsafe))
        if is_densepose_config(loaded) and "ROI_DENSEPOSE_HEAD" not in self.MODEL:
            add_densepose_config(self)
        read(self, cfg_filename, allow_unsafe=allow_unsafe)
        if is_own_config(self):
            self.OUTPUT_DIR = os.path.expanduser(self.OUTPUT_DIR)
            check_config(self)

    _replace(CfgNode, "merge_from_file", merge_from_file)


def _for_densepose(original: classmethod, ours: Callable) -> classmethod:
    """A trainer's class method that calls ``ours(cfg, ...)`` for dense pose models."""
    from .config import is_own_config

    function = original.__func__

    @functools.wraps(function)
    def method(cls, cfg, *args, **kwargs):
        if is_own_config(cfg):
            return ours(cfg, *args, **kwargs)
        return function(cls, cfg, *args, **kwargs)

    return classmethod(method)


def _replace_in_default_trainer() -> None:
    """Model, optimizer, loaders, evaluator, hooks, checkpointer; DDP and AMP on the CPU."""
    from detectron2.engine import DefaultTrainer, defaults

    from .config import is_own_config
    from .data.build import build_densepose_test_loader
    from .engine import trainer
    from .engine.hooks import with_training_hooks
    from .engine.optimizer import build_optimizer
    from .modeling.build import build_model

    for name, ours in (
        ("build_model", build_model),
        ("build_optimizer", build_optimizer),
        ("build_train_loader", trainer.build_train_loader),
        ("build_test_loader", build_densepose_test_loader),
    ):
        _replace(DefaultTrainer, name, _for_densepose(vars(DefaultTrainer)[name], ours))

    build_own_hooks = DefaultTrainer.build_hooks

    @functools.wraps(build_own_hooks)
    def build_hooks(self):
        hooks = build_own_hooks(self)
        return with_training_hooks(self, hooks) if is_own_config(self.cfg) else hooks

    _replace(DefaultTrainer, "build_hooks", build_hooks)

    def init_subclass(cls, **kwargs):
        # A launcher's trainer overrides build_evaluator: wrap the override.
        super(DefaultTrainer, cls).__init_subclass__(**kwargs)
        own = vars(cls).get("build_evaluator")
        if isinstance(own, classmethod):
            cls.build_evaluator = _for_densepose(own, trainer.build_evaluator)

    _replace(DefaultTrainer, "__init_subclass__", classmethod(init_subclass))
    for name, part in trainer.parts_of_default_trainer().items():
        _replace(defaults, name, part)


def _replace_bound_names() -> None:
    """Classes that launchers import from Detectron2's packages."""
    import detectron2.checkpoint
    import detectron2.modeling

    from .config import is_own_config
    from .engine.checkpoint import DensePoseCheckpointer
    from .modeling.test_time_augmentation import DensePoseRCNNWithTTA

    original = detectron2.modeling.GeneralizedRCNNWithTTA

    class GeneralizedRCNNWithTTA(original):
        __doc__ = original.__doc__

        def __new__(cls, cfg, *args, **kwargs):
            if is_own_config(cfg):
                return DensePoseRCNNWithTTA(cfg, *args, **kwargs)
            return super().__new__(cls)

    _replace(detectron2.modeling, "GeneralizedRCNNWithTTA", GeneralizedRCNNWithTTA)
    _replace(detectron2.checkpoint, "DetectionCheckpointer", DensePoseCheckpointer)
