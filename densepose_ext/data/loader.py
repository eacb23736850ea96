"""Maps batches of samples to model inputs, in this process or in workers."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence

import torch
from detectron2.data import DatasetFromList
from detectron2.data.build import trivial_batch_collator
from torch.utils.data import DataLoader, Dataset

from .packing import PackedBatch
from .sampler import Sample, TrainingBatches
from .seeding import Purpose, generator, seeded


class MappedImages(Dataset):
    """The mapped images of a dataset; each depends only on its sample.

    An image for which the mapper returns None (it cannot be read) is replaced by another one.
    """

    def __init__(
        self,
        images: list[dict],
        mapper: Callable[[dict], dict | None],
        batch_sizes: Sequence[int] | None = None,
    ):
        """
        Args:
            batch_sizes: sizes of which one is drawn per batch, and passed to the mapper as
                "shortest_edge" of each image.
        """
        self._images = DatasetFromList(images, copy=False)
        self._mapper = mapper
        self._batch_sizes = batch_sizes

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, sample: Sample) -> dict:
        """
        Raises:
            ValueError: no image of the dataset can be read.
        """
        mapped = self._map(sample.image, sample)
        if mapped is None:
            others = generator(sample.seed, Purpose.REPLACEMENT, sample.position)
            for image in others.permutation(len(self)).tolist():
                mapped = self._map(image, sample)
                if mapped is not None:
                    break
            else:
                raise ValueError(
                    f"none of the {len(self)} images to train on can be read, the first is"
                    f" {self._images[0]['file_name']}"
                )
        return mapped

    def edge(self, sample: Sample) -> int | None:
        """The shortest edge for all pictures of a sample's batch; None: drawn per picture."""
        if self._batch_sizes is None:
            return None
        draw = generator(sample.seed, Purpose.SIZE, sample.batch).integers
        return self._batch_sizes[draw(len(self._batch_sizes))]

    def _map(self, image: int, sample: Sample) -> dict | None:
        record = self._images[image]
        edge = self.edge(sample)
        if edge is not None:
            record["shortest_edge"] = edge
        with seeded(sample.seed, Purpose.AUGMENTATION, sample.position):
            return self._mapper(record)


def training_loader(
    images: list[dict],
    mapper: Callable[[dict], dict | None],
    batches: TrainingBatches,
    num_workers: int = 0,
    batch_sizes: Sequence[int] | None = None,
) -> DataLoader:
    """An infinite loader of batches (lists of mapped images), the same for any number of workers.

    ``batches`` is its ``batch_sampler``, on which a resumed run sets the first iteration.
    """
    return DataLoader(
        MappedImages(images, mapper, batch_sizes),
        batch_sampler=batches,
        num_workers=num_workers,
        collate_fn=PackedBatch if num_workers else trivial_batch_collator,
        multiprocessing_context=start_method(num_workers),
        worker_init_fn=leave_interrupts_to_the_trainer,
        # Starting to iterate draws a number: from this generator, not from the global one.
        generator=torch.Generator(),
    )


def start_method(num_workers: int) -> str | None:
    """How a loader's workers start, as DataLoader takes it: by fork where Python 3.14 gave that up.

    They then start at once, without importing torch and Detectron2 each. A method set with
    ``multiprocessing.set_start_method`` is kept, as is the default of other systems and Pythons.
    """
    default = multiprocessing.get_all_start_methods()[0]
    chosen = multiprocessing.get_start_method(allow_none=True) or default
    return "fork" if num_workers and chosen == default == "forkserver" else None


def leave_interrupts_to_the_trainer(worker: int) -> None:
    """Makes a worker ignore Ctrl-C, which reaches all processes of a terminal.

    The trainer still needs it to finish its step.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
