"""Training batches that mix labelled images with images labelled by a frozen model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from detectron2.utils.events import get_event_storage
from torch.utils.data import DataLoader

from ..data.loader import leave_interrupts_to_the_trainer, start_method
from ..data.mixing import Mixture
from ..data.sampler import Sample, TrainingBatches
from ..data.seeding import Purpose, generator, seeded
from ..processes.messages import counted
from .labelling import Labeller, with_true_categories
from .pictures import UnlabelledPictures

logger = logging.getLogger(f"detectron2.{__name__}")

#: Number of unlabelled images to try before a labelled one takes the place.
ATTEMPTS = 4
#: Number of batches between log lines.
LOG_PERIOD = 100


@dataclass
class UnlabelledSet:
    """An unlabelled dataset: its images, how to label them, and how often to use them.

    Attributes:
        name: for the log.
        pictures: reads the images, in this process or in workers.
        batches: samples the images, as if this dataset filled every batch.
        label: (images, generators) -> annotations.
        ratio: images of this dataset per labelled image.
        surface: the body that the labels refer to.
        by_true_category: give detections the class of the dataset's annotations.
        num_workers: number of processes that read.
    """

    name: str
    pictures: UnlabelledPictures
    batches: TrainingBatches
    label: Labeller
    ratio: float
    surface: str | None = None
    by_true_category: bool = False
    num_workers: int = 0


@dataclass
class _Counts:
    """Counts of a dataset since the last log line."""

    pictures: int = 0
    people: int = 0
    empty: int = 0
    unreadable: int = 0
    replaced: int = 0


class BootstrappedLoader:
    """An infinite loader of batches (lists of mapped images), determined by seed and iteration.

    Unlabelled images are labelled by the frozen model, then mapped like labelled ones: resizing,
    flips and colour jitter make the student's input differ from its teacher's. An image in which
    nobody is found is replaced by another one of its dataset.

    Attributes:
        batch_sampler: of the labelled dataset; a resumed run sets its seed and first iteration.
    """

    def __init__(
        self,
        labelled: DataLoader,
        unlabelled: Sequence[UnlabelledSet],
        mapper: Callable[[dict], dict | None],
        batch_size: int,
    ):
        """
        Args:
            labelled: the loader of the labelled dataset.
            mapper: maps the records of images, as for the labelled dataset.
            batch_size: total over all processes.
        """
        self.batch_sampler: TrainingBatches = labelled.batch_sampler
        self.dataset = labelled.dataset
        self._labelled = labelled
        self._sets = unlabelled
        self._mapper = mapper
        self._mixture = Mixture([1.0, *(s.ratio for s in unlabelled)], batch_size)
        for number, batches in enumerate([self.batch_sampler, *(s.batches for s in unlabelled)]):
            batches.places = self._places_of(number)
        self._loaders = [
            DataLoader(
                one.pictures,
                batch_sampler=one.batches,
                num_workers=one.num_workers,
                multiprocessing_context=start_method(one.num_workers),
                collate_fn=list,
                worker_init_fn=leave_interrupts_to_the_trainer,
                generator=labelled.generator,
            )
            for one in unlabelled
        ]
        self._counts = [_Counts() for _ in unlabelled]
        for one, share in zip(unlabelled, self._mixture.shares[1:]):
            logger.info(
                f"bootstrapping from {one.name}: {counted(len(one.pictures), 'image')},"
                f" {share:.1%} of each batch"
            )

    def _places_of(self, number: int) -> Callable[[int, int], np.ndarray]:
        return lambda seed, iteration: self._mixture.sets(seed, iteration) == number

    def __iter__(self) -> Iterator[list[dict]]:
        first = self.batch_sampler.first_iteration
        for one in self._sets:
            one.batches.seed, one.batches.first_iteration = self.batch_sampler.seed, first
        for iteration, (batch, *read) in enumerate(zip(self._labelled, *self._loaders), first):
            batch = list(batch)
            for number, pictures in enumerate(read):
                batch += self._label(number, pictures, iteration)
            self._report(iteration + 1 - first)
            yield batch

    def _label(
        self, number: int, read: list[tuple[Sample, np.ndarray | None]], iteration: int
    ) -> list[dict]:
        """Labels and maps the images read for a dataset's places in a batch."""
        done: dict[int, dict] = {}  # by position
        waiting = dict.fromkeys(sample.position for sample, _ in read)
        for attempt in range(1, ATTEMPTS + 1):
            seen = [(sample, picture) for sample, picture in read if picture is not None]
            self._counts[number].unreadable += len(read) - len(seen)
            for sample, image in zip((s for s, _ in seen), self._labelled_images(number, seen)):
                mapped = self._mapped(image, sample) if image is not None else None
                if mapped is not None:
                    done[sample.position] = mapped
            left = [sample for sample, _ in read if sample.position not in done]
            if not left or attempt == ATTEMPTS:
                break
            read = [self._another(number, sample, attempt) for sample in left]
        for sample in self.batch_sampler.whole_batch(iteration):
            if sample.position in waiting and sample.position not in done:
                self._counts[number].replaced += 1
                done[sample.position] = self.dataset[sample]
        return [done[position] for position in waiting]

    def _another(
        self, number: int, sample: Sample, attempt: int
    ) -> tuple[Sample, np.ndarray | None]:
        pictures = self._sets[number].pictures
        draws = generator(sample.seed, Purpose.REPLACEMENT, sample.position, attempt)
        return pictures[sample._replace(image=int(draws.integers(len(pictures))))]

    def _labelled_images(
        self, number: int, seen: list[tuple[Sample, np.ndarray]]
    ) -> list[dict | None]:
        """A dataset record for each image; None if nobody is found."""
        one, counts = self._sets[number], self._counts[number]
        draws = [generator(s.seed, Purpose.PSEUDO_LABELS, s.position) for s, _ in seen]
        images: list[dict | None] = []
        for (sample, picture), people in zip(seen, one.label([p for _, p in seen], draws)):
            source = one.pictures.pictures[sample.image]
            if one.by_true_category:
                people = with_true_categories(people, source.annotations)
            if not people:
                counts.empty += 1
                images.append(None)
                continue
            counts.pictures += 1
            counts.people += len(people)
            images.append(
                {
                    "file_name": source.path,
                    "image_id": f"{one.name}/{sample.position}",
                    "height": picture.shape[0],
                    "width": picture.shape[1],
                    "pixels": picture,
                    "surface": one.surface,
                    "annotations": people,
                }
            )
        return images

    def _mapped(self, image: dict, sample: Sample) -> dict | None:
        edge = self.dataset.edge(sample)
        if edge is not None:
            image["shortest_edge"] = edge
        with seeded(sample.seed, Purpose.AUGMENTATION, sample.position):
            return self._mapper(image)

    def _report(self, batches: int) -> None:
        """Every LOG_PERIOD batches, logs a line, and writes scalars for metrics.json."""
        if batches % LOG_PERIOD and batches != 1:
            return
        for one, counts in zip(self._sets, self._counts):
            people = counts.people / max(counts.pictures, 1)
            logger.info(
                f"{one.name}: in the last {counted(min(batches, LOG_PERIOD), 'batch')}"
                f" {counted(counts.pictures, 'image')} labelled, with {people:.1f} people each;"
                f" {counts.empty} had nobody with the minimum score,"
                f" {counts.unreadable} could not be read, {counts.replaced} were replaced by"
                " labelled images"
            )
            _put_scalars(one.name, people, counts)
        self._counts = [_Counts() for _ in self._sets]


def _put_scalars(name: str, people: float, counts: _Counts) -> None:
    try:
        storage = get_event_storage()
    except AssertionError:  # there is none outside training
        return
    total = counts.pictures + counts.empty
    storage.put_scalar(f"bootstrap/{name}/people", people, smoothing_hint=False)
    storage.put_scalar(
        f"bootstrap/{name}/empty", counts.empty / max(total, 1), smoothing_hint=False
    )
