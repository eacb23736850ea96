"""A multi-task cascade of the dense pose, mask and keypoint branches, with cross-talk.

DensePose, CVPR 2018, section 3.3: all branches get the same RoIs. The outputs of a stage are
projected to the width of the RoI features and added to them, as input of the next stage. The first
stage consists of the model's own branches, so a checkpoint of a model without a cascade fits it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from detectron2.structures import Instances
from detectron2.utils.events import get_event_storage
from torch import nn

from .cross_talk import CrossTalk
from .stage import TASKS, BranchOutput, CascadeStage


class DensePoseCascade(nn.Module):
    """The stages after the first, and the cross-talk between stages."""

    def __init__(
        self,
        stages: Sequence[CascadeStage],
        roi_channels: Mapping[str, int],
        *,
        cross_talk: Mapping[str, Sequence[str]] | None = None,
        talk_features: bool = True,
        stop_gradients: bool = False,
        loss_weights: Sequence[float] = (),
    ):
        """
        Args:
            stages: from the second on.
            roi_channels: of the RoI features, by task.
            cross_talk: task -> other tasks whose outputs it gets; None: all. Each gets its own.
            talk_features: pass the last features too, not only the outputs.
            stop_gradients: let no gradients flow into the previous stage.
            loss_weights: of each stage, including the first. Default: 1.

        Raises:
            ValueError: a task is unknown, has no head or is not in the cascade; or the number of
                weights is wrong.
        """
        super().__init__()
        self.tasks = tuple(task for task in TASKS if task in roi_channels)
        self.sources = {
            task: tuple(
                other
                for other in self.tasks
                if other == task or cross_talk is None or other in cross_talk.get(task, ())
            )
            for task in self.tasks
        }
        self.loss_weights = tuple(loss_weights) or (1.0,) * (len(stages) + 1)
        self.stop_gradients = stop_gradients
        self._check(stages, roi_channels, cross_talk or {})
        self.count = len(stages)
        for number, stage in enumerate(stages, start=2):
            self.add_module(f"stage{number}", stage)
            channels = {task: stage.channels(task) for task in self.tasks}
            talk = {
                task: CrossTalk(
                    roi_channels[task],
                    {other: channels[other][0] for other in sources},
                    {other: channels[other][1] for other in sources} if talk_features else {},
                )
                for task, sources in self.sources.items()
            }
            self.add_module(f"talk{number}", nn.ModuleDict(talk))

    def _check(self, stages, roi_channels, cross_talk) -> None:
        named = {*roi_channels, *cross_talk, *(task for of in cross_talk.values() for task in of)}
        unknown = sorted(named - set(TASKS))
        if unknown:
            raise ValueError(f"a cascade of {unknown[0]!r}, expected some of {', '.join(TASKS)}")
        if named - set(self.tasks):
            absent = sorted(named - set(self.tasks))[0]
            raise ValueError(f"cross-talk from {absent!r}, which is not in the cascade")
        if "densepose" not in self.tasks:
            raise ValueError("a cascade without 'densepose', which is required")
        for task in set(self.tasks) - {"densepose"}:
            if any(stage._head(task) is None for stage in stages):
                raise ValueError(f"a cascade of {task!r} with a stage that has no {task}_head")
        if len(self.loss_weights) != len(stages) + 1:
            raise ValueError(
                f"{len(self.loss_weights)} loss weights of a cascade, expected one for each of its"
                f" {len(stages) + 1} stages"
            )

    @property
    def last(self) -> CascadeStage:
        """The last stage, whose outputs are the model's."""
        return self.get_submodule(f"stage{self.count + 1}")

    def stage_outputs(
        self,
        first: CascadeStage,
        rois: Mapping[str, torch.Tensor],
        of_last: Mapping[str, torch.Tensor | slice],
        precision: Callable[[], AbstractContextManager] = nullcontext,
    ) -> Iterator[dict[str, BranchOutput]]:
        """The outputs of each stage in turn, by task.

        Args:
            first: the model's own branches.
            rois: task -> (N, channels, s, s), features of the same N RoIs.
            of_last: the tasks wanted from the last stage -> indices of their RoIs. Earlier stages
                process all RoIs, but only tasks that later ones need.
            precision: context for the precision of dense pose.
        """
        needed = [tuple(of_last)]
        for _ in range(self.count):
            needed.insert(0, self.tasks_needed_for(needed[0], 1))
        previous: dict[str, BranchOutput] = {}
        for number, tasks in enumerate(needed, start=1):
            stage = first if number == 1 else self.get_submodule(f"stage{number}")
            outputs = {}
            for task in tasks:
                index = of_last[task] if number == len(needed) else slice(None)
                features = rois[task][index]
                with precision() if task == "densepose" else nullcontext():
                    if number > 1:
                        passed = {other: previous[other][index] for other in self.sources[task]}
                        talk = self.get_submodule(f"talk{number}")[task]
                        features = talk(features, passed)
                    outputs[task] = stage.branch_output(task, features)
            yield outputs
            previous = outputs
            if self.stop_gradients:
                previous = {task: output.detach() for task, output in outputs.items()}

    def tasks_needed_for(self, tasks: Iterable[str], stages: int | None = None) -> tuple[str, ...]:
        """The tasks whose outputs these need, ``stages`` before (default: in the first stage)."""
        needed = tuple(tasks)
        for _ in range(self.count if stages is None else stages):
            needed = tuple(t for t in self.tasks if any(t in self.sources[task] for task in needed))
        return needed

    def losses(
        self,
        first: CascadeStage,
        rois: Mapping[str, torch.Tensor],
        trained: Mapping[str, tuple[torch.Tensor, list[Instances]]],
        densepose_loss: Callable,
    ) -> dict[str, torch.Tensor]:
        """Weighted losses of all stages, named as by the branches, with ``_stage1`` etc. appended.

        Args:
            first, rois: as for :meth:`stage_outputs`.
            trained: task -> indices of the RoIs that train it, and these RoIs, image by image.
            densepose_loss: (RoIs, maps) -> dict of losses.
        """
        losses = {}
        wanted = {task: index for task, (index, _) in trained.items()}
        stages = zip(self.loss_weights, self.stage_outputs(first, rois, wanted))
        for number, (weight, outputs) in enumerate(stages, start=1):
            is_last = number == self.count + 1
            stage = first if number == 1 else self.get_submodule(f"stage{number}")
            with get_event_storage().name_scope(f"stage{number}"):
                for task, (index, proposals) in trained.items():
                    output = outputs[task] if is_last else outputs[task][index]
                    if task == "densepose":
                        maps = stage.densepose_predictor.output(output.outputs)
                        found = densepose_loss(proposals, maps)
                    else:
                        found = stage.forward_from_output(task, output, proposals)
                    for name, loss in found.items():
                        losses[f"{name}_stage{number}"] = loss * weight
        return losses

    def densepose_only(self) -> tuple[DensePoseCascade, tuple[str, ...]]:
        """The part of the cascade that dense pose of the last stage needs, and the tasks that it
        needs of the first stage. Weights are shared."""
        only = copy.copy(self)
        only._modules = dict(self._modules)
        needed: tuple[str, ...] = ("densepose",)
        for number in range(self.count + 1, 1, -1):
            stage = copy.copy(self.get_submodule(f"stage{number}"))
            stage._modules = {
                name: module if name.split("_")[0] in needed else None
                for name, module in stage._modules.items()
            }
            only._modules[f"stage{number}"] = stage
            talk = self.get_submodule(f"talk{number}")
            only._modules[f"talk{number}"] = nn.ModuleDict({task: talk[task] for task in needed})
            needed = self.tasks_needed_for(needed, 1)
        return only, needed
