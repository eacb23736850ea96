"""The state of an annotation project, built by applying its events.

It is deterministic: nothing here depends on time, files or random numbers. Coordinates are pixels
from the upper left corner of the image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..data.rle import encode_part_masks, paint_part_masks
from ..surface.parts import ANNOTATION_SIDE

#: Stages of a person, in order. People "left out" keep their box, and get no dense pose.
STAGES = ("regions", "points", "review", "accepted", "left out")


@dataclass
class Picture:
    """A picture of the project; ``file_name`` is relative to the folder, with slashes."""

    id: int
    file_name: str
    width: int
    height: int
    boxes_done: bool = False


@dataclass
class Answer:
    """Where an annotator placed a point on the body.

    Attributes:
        part, u, v: I (1..24), U and V; part 0 if the annotator could not tell.
        vertex: nearest vertex of the mesh, -1 if unknown.
        view, at: the rendered view that was clicked, and the pixel in it.
    """

    part: int
    u: float = 0.0
    v: float = 0.0
    vertex: int = -1
    view: int = -1
    at: tuple[float, float] = (0.0, 0.0)


@dataclass
class Person:
    """A person, and how far their annotation is.

    Points are numbered from 0, and so are the annotators of each person.

    Attributes:
        box: x, y, width, height.
        source: keys kept from the COCO annotation that the person was imported from.
        regions: ``dp_masks``; None until they are drawn.
        points: (x, y, region 1..14) of the points to place.
        answers: per annotator (events call their number the layer), point -> answer.
        annotators: names of the annotators.
        finished: annotators who have placed all points.
        taken: point -> annotator whose answer was chosen in review; the first one's by default.
        note: a reviewer's reason for sending the person back.
        version: number of events so far, by which a page finds out that it is out of date.
    """

    id: int
    image: int
    box: list[float]
    source: dict = field(default_factory=dict)
    stage: str = "regions"
    regions: list | None = None
    points: list[tuple[float, float, int]] = field(default_factory=list)
    answers: list[dict[int, Answer]] = field(default_factory=list)
    annotators: list[str] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    taken: dict[int, int] = field(default_factory=dict)
    note: str = ""
    version: int = 0

    def answer(self, point: int) -> Answer | None:
        """The answer to use for a point; None if there is none."""
        layer = self.taken.get(point, 0)
        return self.answers[layer].get(point) if layer < len(self.answers) else None


class Project:
    """Pictures and people by id.

    Attributes:
        last_person: highest number of a person so far; the number of a removed person is not used
            again, since a page may still show that person.
    """

    def __init__(self) -> None:
        self.pictures: dict[int, Picture] = {}
        self.people: dict[int, Person] = {}
        self.last_person = 0
        self.categories: list[dict] = [{"id": 1, "name": "person", "supercategory": "person"}]
        self.surface = ""

    def apply(self, event: dict) -> None:
        """Applies an event of :class:`~.store.Store`."""
        getattr(self, f"_{event['do']}")(event)
        if "person" in event and event["person"] in self.people:
            self.people[event["person"]].version += 1

    def _begin(self, event: dict) -> None:
        self.surface = event["surface"]

    def _pictures(self, event: dict) -> None:
        for record in event["pictures"]:
            self.pictures[record["id"]] = Picture(**record)

    def _import(self, event: dict) -> None:
        if event.get("categories"):
            self.categories = event["categories"]
        for record in event["people"]:
            self._add({"person": record["id"], **record})

    def _add(self, event: dict) -> None:
        keys = ("image", "box", "source", "stage", "regions")
        person = Person(event["person"], **{key: event[key] for key in keys if key in event})
        person.box = [float(value) for value in person.box]
        self.people[person.id] = person
        self.last_person = max(self.last_person, person.id)
        if "answers" in event:
            person.points = [_point(point) for point in event["points"]]
            person.answers = [{n: _answer(found) for n, found in enumerate(event["answers"])}]
            person.annotators, person.finished = [event.get("by", "")], [0]

    def _remove(self, event: dict) -> None:
        del self.people[event["person"]]

    def _boxes_done(self, event: dict) -> None:
        self.pictures[event["image"]].boxes_done = event["value"]

    def _box(self, event: dict) -> None:
        person = self.people[event["person"]]
        if person.regions is not None:
            person.regions = moved_regions(person.regions, person.box, event["box"])
        person.box = [float(value) for value in event["box"]]

    def _paint(self, event: dict) -> None:
        self.people[event["person"]].regions = event["regions"]

    def _lay(self, event: dict) -> None:
        """Sets the points to place. Points that were there before keep their answers."""
        person = self.people[event["person"]]
        before = {point: n for n, point in enumerate(person.points)}
        person.points = [_point(point) for point in event["points"]]
        kept = {n: before[point] for n, point in enumerate(person.points) if point in before}
        person.answers = [
            {n: answers[old] for n, old in kept.items() if old in answers}
            for answers in person.answers
        ]
        person.taken = {n: person.taken[old] for n, old in kept.items() if old in person.taken}
        person.finished = []
        person.stage, person.note = "points", ""

    def _answer(self, event: dict) -> None:
        person = self.people[event["person"]]
        self._join(person, event)
        person.answers[event["layer"]][event["point"]] = _answer(event["answer"])

    def _clear(self, event: dict) -> None:
        self.people[event["person"]].answers[event["layer"]].pop(event["point"], None)

    def _finish(self, event: dict) -> None:
        person = self.people[event["person"]]
        self._join(person, event)
        layer = event["layer"]
        for n in range(len(person.points)):
            person.answers[layer].setdefault(n, Answer(0))
        if layer not in person.finished:
            person.finished.append(layer)
        if len(person.finished) >= event["needed"]:
            person.stage = "review"

    @staticmethod
    def _join(person: Person, event: dict) -> None:
        while len(person.answers) <= event["layer"]:
            person.answers.append({})
            person.annotators.append(event["by"])

    def _take(self, event: dict) -> None:
        self.people[event["person"]].taken[event["point"]] = event["layer"]

    def _accept(self, event: dict) -> None:
        self.people[event["person"]].stage = "accepted"

    def _send_back(self, event: dict) -> None:
        person = self.people[event["person"]]
        person.stage, person.note = event["stage"], event["note"]
        person.finished = []

    def _leave_out(self, event: dict) -> None:
        self.people[event["person"]].stage = "left out"


def _point(values) -> tuple[float, float, int]:
    x, y, region = values
    return float(x), float(y), int(region)


def _answer(values: list) -> Answer:
    part, u, v, vertex, view, x, y = values
    return Answer(part, u, v, vertex, view, (x, y))


def moved_regions(regions: list, old: list[float], new: list[float]) -> list:
    """Resamples ``dp_masks`` to a new box, so that they cover the same pixels of the image.

    Args:
        old, new: boxes x, y, width, height.
    """
    painted = paint_part_masks(regions)
    inside, index = [], []
    for axis in (0, 1):
        middle = new[axis] + (np.arange(ANNOTATION_SIDE) + 0.5) * new[axis + 2] / ANNOTATION_SIDE
        place = np.floor((middle - old[axis]) * ANNOTATION_SIDE / old[axis + 2]).astype(int)
        inside.append((place >= 0) & (place < ANNOTATION_SIDE))
        index.append(place.clip(0, ANNOTATION_SIDE - 1))
    (columns, rows), (seen_x, seen_y) = index, inside
    moved = painted[rows[:, None], columns] * (seen_y[:, None] & seen_x)
    return encode_part_masks(moved.astype(np.uint8))
