"""A resumable run over pictures: reads, predicts, writes."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from detectron2.utils import comm
from tqdm import tqdm

from ..data.json_file import read_json
from ..engine.launch import launch
from ..files.sole_use import sole_use
from ..processes.cores import number_of_cores
from .choosing import CHOICES, chosen
from .inputs import Source
from .opening import ModelSettings, Predictor
from .people import People
from .presets import PRESETS
from .record import RunRecord
from .resizing import resized_people, resized_picture
from .stream import Frame, ahead, predict_frames, read_frame
from .writers import FORMATS, PART_MASK, Format, Options, output_files, write_files

#: The format with one file for the whole run.
JSON = "json"

#: All formats with files for each picture.
_BY_NAME = {
    **FORMATS,
    **{name: preset.format for name, preset in PRESETS.items()},
    "part-mask": PART_MASK,
}

#: How long finished processes wait for the others.
_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class Run:
    """Settings of a run over pictures.

    Attributes:
        folder: for the outputs.
        formats: names of FORMATS or PRESETS, "part-mask", and "json" for results.json.
        model: the model, and how it is used.
        options: of the output files.
        batch: pictures per batch of the network.
        workers: number of reading threads, and of writing threads.
        processes: number of processes on this machine, which share the pictures; on GPUs, one each.
        machines: number of machines, which share the pictures and the folder.
        machine_rank: of this machine.
        dist_url: rendezvous of the machines, such as tcp://first-machine:1234; auto: one machine.
    """

    folder: Path
    formats: tuple[str, ...]
    model: ModelSettings = field(default_factory=ModelSettings)
    options: Options = field(default_factory=Options)
    batch: int = 1
    workers: int = 2
    processes: int = 1
    machines: int = 1
    machine_rank: int = 0
    dist_url: str = "auto"

    @property
    def own_formats(self) -> list[Format]:
        """The formats with files for each picture."""
        return [_BY_NAME[form] for form in self.formats if form != JSON]


@dataclass(frozen=True)
class Summary:
    """The outcome of a run.

    Attributes:
        pictures: processed now. already: processed by an earlier run.
        people: found on the pictures processed now.
        unreadable: (path, reason) of pictures that could not be read.
    """

    pictures: int
    already: int
    people: int
    unreadable: list[tuple[str, str]]


def run_over(
    sources: Sequence[Source], run: Run, image_ids: dict[str, int] | None = None
) -> Summary | None:
    """Runs a model over pictures.

    Pictures that the folder's record lists as done, and whose files exist, are skipped. Pictures
    that cannot be read are recorded, and do not stop the run.

    Args:
        image_ids: file name -> id, for results.json. Default: counted from 1.

    Returns:
        the outcome on all machines; None on machines other than the first.

    Raises:
        OSError, ValueError: model or folder cannot be used, another program uses the folder, it
            holds outputs of other pictures, or a file cannot be written.
    """
    _check(run)
    several = run.processes * run.machines > 1
    model = replace(run.model, device="cpu", compile=False) if several else run.model
    predictor = model.predictor()
    settings = run_settings(predictor, run.options)
    settings["image_ids"] = "counted" if image_ids is None else "given"
    with sole_use(run.folder) if run.machine_rank == 0 else nullcontext():
        return _run_together(sources, run, image_ids, settings, None if several else predictor)


def _run_together(
    sources: Sequence[Source],
    run: Run,
    image_ids: dict[str, int] | None,
    settings: dict,
    predictor: Predictor | None,
) -> Summary | None:
    """Starts the processes of this machine and, on the first one, sums up what all have done."""
    todo = []
    if run.machine_rank == 0:
        with RunRecord(run.folder, settings, JSON in run.formats) as record:
            record.absorb_parts()
            todo = _todo(sources, run, record, image_ids)
    launch(
        _work,
        run.processes,
        run.machines,
        run.machine_rank,
        run.dist_url,
        args=(todo, run, settings, predictor),
        timeout=_PATIENCE,
    )
    if run.machine_rank:
        return None
    with RunRecord(run.folder, settings, JSON in run.formats) as record:
        record.absorb_parts()
        taken = [source for source, _ in todo]
        lines = [record.done[s.file_name] for s in taken if s.file_name in record.done]
        failed = [s for s in taken if s.file_name in record.failed]
        return Summary(
            pictures=len(taken) - len(failed),
            already=len(sources) - len(taken),
            people=sum(line["people"] for line in lines),
            unreadable=[(s.path, record.failed[s.file_name]["error"]) for s in failed],
        )


def _check(run: Run) -> None:
    """Raises ValueError if the settings cannot be used, or not together."""
    unknown = sorted({*run.formats} - {*_BY_NAME, JSON})
    if unknown or not run.formats:
        found = ", ".join(map(repr, unknown)) or "()"
        raise ValueError(f"format {found}; expected some of {', '.join(FORMATS)}, json")
    if run.options.person not in CHOICES:
        raise ValueError(f"person {run.options.person!r}; expected one of {', '.join(CHOICES)}")
    for key in ("batch", "workers", "processes"):
        if getattr(run, key) < 1:
            raise ValueError(f"{key} = {getattr(run, key)}, expected 1 or more")
    if not 0 <= run.machine_rank < run.machines:
        raise ValueError(f"machine rank {run.machine_rank}, expected 0 to {run.machines - 1}")
    if run.machines > 1 and run.dist_url == "auto":
        raise ValueError("several machines need a URL to connect to, tcp://HOST:PORT")
    gpus = torch.cuda.device_count()
    if run.model.device != "cpu" and 0 < gpus < run.processes:
        raise ValueError(f"{run.processes} processes for {gpus} GPUs; expected at most one per GPU")


def run_settings(predictor: Predictor, options: Options) -> dict:
    """The settings that outputs depend on, as JSON values."""
    return {
        **predictor.identity(),
        "bgr": options.bgr,
        "surface": options.surface,
        "person": None if options.person == "all" else options.person,
        "size": None if options.size is None else list(options.size),
        "parts": list(options.parts) or None,
        "grow": options.grow or None,
    }


def read_image_ids(path: str | os.PathLike, sources: Sequence[Source]) -> dict[str, int]:
    """Ids of pictures by file name, from the ``images`` of a COCO file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a COCO file, or has no entry for one of the pictures.
    """
    content: Any = read_json(Path(path))
    try:
        ids = {image["file_name"]: int(image["id"]) for image in content["images"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a COCO file with images: {error!r}") from error
    missing = [source for source in sources if source.file_name not in ids]
    if missing:
        raise ValueError(
            f"{path} has no image {missing[0].file_name!r}; it lacks {len(missing)} of"
            f" {len(sources)} pictures"
        )
    return {source.file_name: ids[source.file_name] for source in sources}


def _todo(
    sources: Sequence[Source], run: Run, record: RunRecord, image_ids: dict[str, int] | None
) -> list[tuple[Source, int]]:
    """The pictures that are not done yet, with their ids."""
    highest = max((line["id"] for line in record.done.values()), default=0)
    todo = []
    for source in sources:
        line = record.done.get(source.file_name)
        files = output_files(run.folder, source.name, run.own_formats)
        if line is not None and line["file"] != source.stamp():
            raise ValueError(
                f"{run.folder} has outputs of another {source.file_name} than {source.path}, or of"
                " an earlier version of it; choose another folder, or remove this one"
            )
        lacks_results = JSON in run.formats and (line or {}).get("results") is None
        if line is not None and not lacks_results and all(map(os.path.exists, files)):
            continue
        if image_ids is not None:
            number = image_ids[source.file_name]
        elif line is not None:
            number = line["id"]
        else:
            highest += 1
            number = highest
        todo.append((source, number))
    return todo


def _work(
    todo: list[tuple[Source, int]],
    run: Run,
    settings: dict,
    predictor: Predictor | None,
) -> None:
    """The work of one process. All processes use the ``todo`` of the first."""
    rank, count = comm.get_rank(), comm.get_world_size()
    device = run.model.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if predictor is None:
        own = f"cuda:{comm.get_local_rank()}" if device == "cuda" else device
        predictor = replace(run.model, device=own).predictor()
    if device == "cpu" and run.processes > 1:
        torch.set_num_threads(max(number_of_cores() // run.processes, 1))
    todo = comm.all_gather(todo)[0]
    share = todo[rank::count]
    ids = {source.name: number for source, number in share}
    frames = ahead(read_frame, (source for source, _ in share), run.workers)
    predicted = predict_frames(frames, predictor.batch, run.batch, predictor.lanes)
    written = ahead(functools.partial(_write, run, ids), predicted, run.workers)
    bar = tqdm(written, "predicting", len(share), unit="picture", disable=True if rank else None)
    with RunRecord(run.folder, settings, JSON in run.formats, part=rank) as record:
        for outcome, (source, number) in zip(bar, share):
            if outcome.error:
                record.fail(source.file_name, number, outcome.error)
            else:
                people = outcome.size, outcome.people, outcome.entries
                record.add(source.file_name, number, *people, source.stamp())
    # The first process merges the records of the others once these are done.
    comm.synchronize()


@dataclass(frozen=True)
class _Outcome:
    """What is kept of a picture once its files are written."""

    error: str
    size: tuple[int, int] = (0, 0)
    people: int = 0
    entries: list[dict] = field(default_factory=list)


def _write(run: Run, ids: dict[str, int], predicted: tuple[Frame, People | None]) -> _Outcome:
    frame, people = predicted
    if people is None:
        return _Outcome(frame.error)
    people, picture = chosen(people, run.options.person), frame.picture
    if run.options.size is not None:
        people = resized_people(people, run.options.size)
        picture = resized_picture(picture, run.options.size)
    write_files(run.folder, frame.name, run.own_formats, picture, people, run.options)
    entries = people.to_json(ids[frame.name]) if JSON in run.formats else []
    return _Outcome("", people.size, len(people), entries)
