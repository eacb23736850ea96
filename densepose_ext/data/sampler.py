"""Which images make which batch of a training run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from detectron2.config import CfgNode
from detectron2.data.samplers import RepeatFactorTrainingSampler
from torch.utils.data import Sampler

from .seeding import Purpose, generator

#: Images are grouped by shape within this many batches, of which at most one is of both shapes.
STRETCH = 32


class Sample(NamedTuple):
    """One image of a batch.

    Attributes:
        image: its number in the dataset.
        seed: of the run.
        position: number of this sample in the run, which with the seed decides how it is augmented.
        batch: number of its batch in the run: the iteration.
    """

    image: int
    seed: int
    position: int
    batch: int


class TrainingBatches(Sampler):
    """Endless batches, each of which is a function of the seed and its iteration.

    Detectron2's samplers start anew when a run is resumed, and its grouping by aspect ratio keeps
    images back for later batches. Here an epoch is a permutation drawn from (seed, epoch), epochs
    follow one another, and batch t is cut out of them at its place, whatever came before. To group
    images by shape, a stretch of batches is sorted by group, cut, and its batches are put in
    random order. No image is left out for want of others of its shape.

    Several processes share one batch: what a run trains on does not depend on their number.

    Attributes:
        seed, first_iteration: may be changed until iteration begins.
        places: (seed, iteration) -> (batch size,) bool, the places of a batch that this set fills;
            None for all. May be changed until iteration begins.
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
            repeats: (N,) how often each of N images comes in an epoch. A fraction is met on
                average: over E epochs an image comes E * repeats times, rounded up or down.
            batch_size: images an iteration, of all processes together.
            groups: (N,) numbers; images of the same number are to come together. None: as they are
                drawn.
            rank, world_size: of this process, and how many there are.

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
        """This process's share of a batch: the places that this set fills."""
        samples = self.whole_batch(iteration)
        if self.places is None:
            return samples
        chosen = self.places(self.seed, iteration)[self._rank * len(samples) :]
        return [sample for sample, is_chosen in zip(samples, chosen) if is_chosen]

    def whole_batch(self, iteration: int) -> list[Sample]:
        """This process's share of a batch, whichever places this set fills."""
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
        """Images ``first`` to ``first + count`` of all epochs, one after another."""
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
        """(N,) how often each image has come before an epoch."""
        # Images of equal fractions get their additional draw in different epochs. The offsets are
        # whole 1/2^20, so that whole repeats stay whole in floating point.
        offsets = generator(self.seed, Purpose.REPEATS).integers(2**20, size=len(self._repeats))
        return np.floor(epoch * self._repeats + offsets / 2**20).astype(np.int64)

    def _epoch_of(self, position: int) -> int:
        epoch = int(position / self._repeats.sum())  # but for the rounding of fractions
        while self._drawn_before(epoch).sum() > position:
            epoch -= 1
        while self._drawn_before(epoch + 1).sum() <= position:
            epoch += 1
        return epoch


def repeats_from_config(cfg: CfgNode, images: list[dict]) -> np.ndarray:
    """(N,) how often each image comes in an epoch, by DATALOADER.SAMPLER_TRAIN.

    Raises:
        ValueError: the sampler is another one.
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
    """(N,) groups that cost little padding in a batch: upright or square images, and wide ones."""
    return np.array([image["width"] > image["height"] for image in images], dtype=np.int64)
