"""Training batches of labelled pictures and of such that a frozen model labels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from detectron2.utils.events import get_event_storage
from torch.utils.data import DataLoader

from ..data.mixing import Mixture
from ..data.sampler import Sample, TrainingBatches
from ..data.seeding import Purpose, generator, seeded
from .labelling import Labeller, with_true_categories
from .pictures import UnlabelledPictures

logger = logging.getLogger(f"detectron2.{__name__}")

#: Pictures in which nobody is found are replaced by others this often, then by a labelled one.
ATTEMPTS = 4
#: Batches between two lines in the log.
LOG_PERIOD = 100


@dataclass
class UnlabelledSet:
    """Pictures, how they are labelled, and how often they come.

    Attributes:
        name: for the log.
        pictures: read in this process or in workers.
        batches: which picture fills which place of a batch, were all places this set's.
        label: a picture, a generator -> annotations.
        ratio: pictures of this set for each labelled one.
        surface: the body that the labels refer to.
        by_true_category: detections get the class of the set's own annotations.
        num_workers: processes that read.
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
    """What came of a set since the last line of the log."""

    pictures: int = 0
    people: int = 0
    empty: int = 0
    unreadable: int = 0
    replaced: int = 0


class BootstrappedLoader:
    """Batches (lists of mapped images) for ever: each a function of the seed and the iteration.

    A picture of an unlabelled set is labelled by its frozen model and then mapped as a labelled one
    is: resized, flipped, its colours changed, so that the student does not see what its teacher
    saw. One in which nobody is found is replaced by another of its set.

    Attributes:
        batch_sampler: of the labelled set, where a run that is resumed sets seed and iteration.
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
            labelled: as ``training_loader`` makes it.
            mapper: of its images.
            batch_size: of all processes together.
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
                collate_fn=list,
                generator=labelled.generator,
            )
            for one in unlabelled
        ]
        self._counts = [_Counts() for _ in unlabelled]
        for one, share in zip(unlabelled, self._mixture.shares[1:]):
            logger.info(
                f"bootstrapping from {one.name}: {len(one.pictures)} pictures, {share:.1%} of each"
                " batch"
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
        """Mapped images out of what was read for a set's places of a batch."""
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
        """A dataset's record of each picture, None where nobody is found."""
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
        """Every now and then a line in the log, and numbers for metrics.json."""
        if batches % LOG_PERIOD and batches != 1:
            return
        for one, counts in zip(self._sets, self._counts):
            people = counts.people / max(counts.pictures, 1)
            logger.info(
                f"{one.name}: in the last {min(batches, LOG_PERIOD)} batches"
                f" {counts.pictures} pictures were bootstrapped, {people:.1f} people in each;"
                f" {counts.empty} had nobody with a score over the filter's,"
                f" {counts.unreadable} could not be read, {counts.replaced} places went to"
                " labelled pictures"
            )
            _put_scalars(one.name, people, counts)
        self._counts = [_Counts() for _ in self._sets]


def _put_scalars(name: str, people: float, counts: _Counts) -> None:
    try:
        storage = get_event_storage()
    except AssertionError:  # outside of training there is none
        return
    total = counts.pictures + counts.empty
    storage.put_scalar(f"bootstrap/{name}/people", people, smoothing_hint=False)
    storage.put_scalar(
        f"bootstrap/{name}/empty", counts.empty / max(total, 1), smoothing_hint=False
    )
