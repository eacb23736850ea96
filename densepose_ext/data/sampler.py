"""The sampler of training batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from detectron2.config import CfgNode
from detectron2.data.samplers import RepeatFactorTrainingSampler
from torch.utils.data import Sampler

from .seeding import Purpose, generator

#: Images are grouped by shape within this many batches, at most one of which has both shapes.
STRETCH = 32


class Sample(NamedTuple):
    """One image of a batch.

    Attributes:
        image: index in the dataset.
        seed: of the run.
        position: index of this sample in the run, which determines its augmentation, with the seed.
        batch: index of its batch in the run: the iteration.
    """

    image: int
    seed: int
    position: int
    batch: int


class TrainingBatches(Sampler):
    """An infinite sequence of batches, each determined by the seed and its iteration.

    Detectron2's samplers start over when a run is resumed, and its grouping by aspect ratio keeps
    images back for later batches. Here an epoch is a permutation drawn from (seed, epoch), and
    batch t is the t-th piece of the sequence of epochs, independent of what came before. To group
    images by shape, a stretch of batches is sorted by group, cut, and its batches are shuffled. No
    image is dropped because others of its shape are lacking.

    Processes share each batch, so what a run trains on does not depend on their number.

    Attributes:
        seed, first_iteration: may be changed until iteration begins.
        places: (seed, iteration) -> (batch size,) bool, the places in a batch that this dataset
            fills; None: all. May be changed until iteration begins.
    """

    def __init__(
        self,
        repeats: Sequence[float] | np.ndarray,
        batch_size: int,
        seed: int,
        *,
        groups: Sequence[int] | np.ndarray | None = None,
        rank: int = 0,
        world_size: int = 1,
    ):
        """
        Args:
            repeats: (N,) how often each of N images occurs per epoch. Fractions hold on average:
                in E epochs an image occurs E * repeats times, rounded up or down.
            batch_size: images per iteration, of all processes together.
            groups: (N,) group of each image; a batch holds images of one group. None: no groups.
            rank, world_size: of this process, and the number of processes.

        Raises:
            ValueError: there is nothing to draw, or the processes cannot share a batch evenly.
        """
        self._repeats = np.asarray(repeats, dtype=np.float64)
        if not (self._repeats >= 0).all() or not self._repeats.sum() > 0:
            raise ValueError("there is no image to draw: all repeats are 0, or some are negative")
        if batch_size <= 0 or batch_size % world_size:
            raise ValueError(
                f"SOLVER.IMS_PER_BATCH = {batch_size} images cannot be shared by {world_size}"
                " processes; expected a multiple of their number"
            )
        self._batch_size = batch_size
        self._groups = None if groups is None else np.asarray(groups)
        self._rank, self._world_size = rank, world_size
        self._last_stretch: tuple = (None, None)
        self.seed = seed
        self.first_iteration = 0
        self.places: Callable[[int, int], np.ndarray] | None = None

    def __iter__(self) -> Iterator[list[Sample]]:
        for iteration in itertools.count(self.first_iteration):
            yield self.batch(iteration)

    def batch(self, iteration: int) -> list[Sample]:
        """This process's share of a batch: the places that this dataset fills."""
        samples = self.whole_batch(iteration)
        if self.places is None:
            return samples
        chosen = self.places(self.seed, iteration)[self._rank * len(samples) :]
        return [sample for sample, is_chosen in zip(samples, chosen) if is_chosen]

    def whole_batch(self, iteration: int) -> list[Sample]:
        """This process's share of a batch, as if this dataset filled all places."""
        share = self._batch_size // self._world_size
        first = self._rank * share
        images = self._stretch(iteration // STRETCH)[iteration % STRETCH, first : first + share]
        position = iteration * self._batch_size + first
        return [
            Sample(image, self.seed, position + number, iteration)
            for number, image in enumerate(images.tolist())
        ]

    def _stretch(self, number: int) -> np.ndarray:
        """(STRETCH, batch size) images."""
        key = (self.seed, number)
        if self._last_stretch[0] != key:
            count = STRETCH * self._batch_size
            images = self._drawn(number * count, count)
            if self._groups is not None:
                images = images[np.argsort(self._groups[images], kind="stable")]
            batches = images.reshape(STRETCH, self._batch_size)
            if self._groups is not None:
                batches = generator(self.seed, Purpose.BATCHES, number).permutation(batches)
            self._last_stretch = (key, batches)
        return self._last_stretch[1]

    def _drawn(self, first: int, count: int) -> np.ndarray:
        """Images ``first`` to ``first + count`` of the sequence of epochs."""
        epoch = self._epoch_of(first)
        skip = first - self._drawn_before(epoch).sum()
        parts, missing = [], count
        while missing:
            part = self._order(epoch)[skip : skip + missing]
            parts.append(part)
            missing -= len(part)
            epoch, skip = epoch + 1, 0
        return np.concatenate(parts)

    def _order(self, epoch: int) -> np.ndarray:
        times = self._drawn_before(epoch + 1) - self._drawn_before(epoch)
        images = np.repeat(np.arange(len(times)), times)
        return generator(self.seed, Purpose.ORDER, epoch).permutation(images)

    def _drawn_before(self, epoch: int) -> np.ndarray:
        """(N,) how often each image has occurred before an epoch."""
        # Images with equal fractions get their additional draw in different epochs. The offsets
        # are multiples of 1/2^20, so that integer repeats stay exact in floating point.
        offsets = generator(self.seed, Purpose.REPEATS).integers(2**20, size=len(self._repeats))
        return np.floor(epoch * self._repeats + offsets / 2**20).astype(np.int64)

    def _epoch_of(self, position: int) -> int:
        epoch = int(position / self._repeats.sum())  # up to the rounding of fractions
        while self._drawn_before(epoch).sum() > position:
            epoch -= 1
        while self._drawn_before(epoch + 1).sum() <= position:
            epoch += 1
        return epoch


def repeats_from_config(cfg: CfgNode, images: list[dict]) -> np.ndarray:
    """(N,) how often each image occurs per epoch, by DATALOADER.SAMPLER_TRAIN.

    Raises:
        ValueError: the sampler is not supported.
    """
    name = cfg.DATALOADER.SAMPLER_TRAIN
    if name == "TrainingSampler":
        return np.ones(len(images))
    if name == "RepeatFactorTrainingSampler":
        return RepeatFactorTrainingSampler.repeat_factors_from_category_frequency(
            images, cfg.DATALOADER.REPEAT_THRESHOLD, sqrt=cfg.DATALOADER.REPEAT_SQRT
        ).numpy()
    raise ValueError(
        f"DATALOADER.SAMPLER_TRAIN = {name!r}, expected TrainingSampler or"
        " RepeatFactorTrainingSampler"
    )


def by_orientation(images: list[dict]) -> np.ndarray:
    """(N,) groups of images that need little padding in a batch: wide ones, and all others."""
    return np.array([image["width"] > image["height"] for image in images], dtype=np.int64)
