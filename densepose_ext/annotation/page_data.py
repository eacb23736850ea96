"""The read API of the page: the state of a project as JSON."""

from __future__ import annotations

import numpy as np

from ..data.rle import paint_part_masks
from ..surface.parts import ANNOTATION_SIDE, COARSE_MIRROR, COARSE_PART_NAMES, FINE_PART_NAMES
from .figure import region_colours
from .mistakes import far_from_model, far_from_neighbours
from .pictures import TILE
from .project import STAGES, Answer, Person
from .proposals import Proposals
from .store import Store, Who
from .turning import turn_from_points, turn_from_regions
from .views import Views


class PageData:
    """Answers the page's read requests from the store, the views and, if present, the model."""

    def __init__(self, store: Store, views: Views, proposals: Proposals | None):
        self.store, self.views, self.proposals = store, views, proposals

    def project(self) -> dict:
        """The project's settings, and the state of each picture and person."""
        with self.store.lock:
            pictures = {
                picture.id: {
                    "id": picture.id,
                    "name": picture.file_name,
                    "width": picture.width,
                    "height": picture.height,
                    "boxesDone": picture.boxes_done,
                    "people": [],
                }
                for picture in self.store.project.pictures.values()
            }
            counts = dict.fromkeys(STAGES, 0)
            for person in self.store.project.people.values():
                counts[person.stage] += 1
                pictures[person.image]["people"].append(
                    {
                        "id": person.id,
                        "box": person.box,
                        "stage": person.stage,
                        "holder": self.store.leases.holder(person.id),
                        "note": person.note,
                    }
                )
        return {
            "out": str(self.store.out),
            "annotators": self.store.annotators,
            "regions": COARSE_PART_NAMES,
            "parts": FINE_PART_NAMES,
            "mirror": COARSE_MIRROR.tolist(),
            "colours": region_colours().tolist(),
            "side": ANNOTATION_SIDE,
            "viewSide": self.views.side,
            "tile": TILE,
            "hasModel": self.proposals is not None,
            "faults": self.store.faults,
            "error": self.store.output_error,
            "counts": counts,
            "pictures": list(pictures.values()),
        }

    def person(self, number: int, who: Who) -> dict:
        """A person as shown to an annotator: with their own answers only, in review with all."""
        with self.store.lock:
            person = self._person(number)
            result = {
                "id": person.id,
                "image": person.image,
                "box": person.box,
                "stage": person.stage,
                "version": person.version,
                "note": person.note,
                "runs": map_runs(_painted(person)),
                "points": person.points,
                "annotators": person.annotators,
                "keypoints": person.source.get("keypoints", []),
            }
            if person.stage == "points":
                layer = self.store.layer(number, who.name)
                answers = person.answers[layer] if layer < len(person.answers) else {}
                result |= {"layer": layer, "answers": _answers(answers)}
            elif person.stage in ("review", "accepted"):
                result["layers"] = [_answers(answers) for answers in person.answers]
                result["taken"] = person.taken
            return result

    def proposal(self, number: int) -> dict:
        """The regions that the model proposes for a person; empty if it did not find the person."""
        if self.proposals is None:
            raise ValueError("there is no model")
        with self.store.lock:
            person = self._person(number)
            picture, box = self.store.project.pictures[person.image], list(person.box)
        found = self.proposals.of(person, picture)
        side = (ANNOTATION_SIDE, ANNOTATION_SIDE)
        painted = np.zeros(side, np.uint8) if found is None else found.regions(box)
        return {"runs": map_runs(painted), "found": found is not None}

    def boxes(self, image: int) -> dict:
        """Boxes that the model finds in a picture."""
        if self.proposals is None:
            raise ValueError("there is no model")
        if image not in self.store.project.pictures:
            raise ValueError(f"there is no picture {image}")
        found = self.proposals.people(self.store.project.pictures[image])
        return {"boxes": [{"box": one.box, "score": round(one.score, 3)} for one in found]}

    def views_of(self, number: int, region: int, who: Who) -> dict:
        """How to rotate the views of a region for a person, and which view to show first."""
        with self.store.lock:
            person = self._person(number)
            answers = self._own(person, who)
            chosen = [
                n
                for n, (_, _, of) in enumerate(person.points)
                if of == region and n in answers and answers[n].part
            ]
            pixels = np.array([person.points[n][:2] for n in chosen]).reshape(-1, 2)
            places = self._places([answers[n] for n in chosen])
            every = np.array([p[:2] for p in person.points if p[2] == region]).reshape(-1, 2)
            regions, box = person.regions, list(person.box)
            picture = self.store.project.pictures[person.image]
        views = self.views.of(region)
        turn = turn_from_points(views, pixels, places)
        if turn is None and self.proposals is not None:
            found = self.proposals.of(person, picture, run=False)
            if found is not None and len(every):
                iuv = found.iuv(every)
                seen = iuv[:, 0] > 0
                places = self.views.body.points(iuv[seen, 0].astype(int), *iuv[seen, 1:].T)
                turn = turn_from_points(views, every[seen], places)
        if turn is None:
            turn = turn_from_regions(regions, box, region)
        return {"best": turn.best, "rolls": [round(roll, 1) for roll in turn.rolls]}

    def marks(self, number: int, point: int, who: Who) -> dict:
        """The positions of a point's answers on the six views of its region, by annotator.

        Each mark is [x, y, whether it is visible]. Answers of other annotators are hidden until
        review.
        """
        with self.store.lock:
            person = self._person(number)
            if not 0 <= point < len(person.points):
                raise ValueError(f"point {point}, expected 0 to {len(person.points) - 1}")
            region = person.points[point][2]
            is_open = person.stage in ("review", "accepted")
            layers = person.answers if is_open else [self._own(person, who)]
            found = [answers.get(point) for answers in layers]
        return {
            "region": region,
            "layers": [
                self.views.marks(region, a.part, a.u, a.v) if a is not None and a.part else None
                for a in found
            ],
        }

    def review(self, number: int) -> dict:
        """Points that are likely to be wrong, and the distances between annotators in metres."""
        with self.store.lock:
            person = self._person(number)
            picture = self.store.project.pictures[person.image]
            numbers = np.array(
                [n for n in range(len(person.points)) if (a := person.answer(n)) and a.part], int
            )
            pixels = np.array([person.points[n][:2] for n in numbers]).reshape(-1, 2)
            regions = np.array([person.points[n][2] for n in numbers], int)
            places = self._places([person.answer(n) for n in numbers])
            pairs = [
                (n, a.get(n), b.get(n))
                for a, b in zip(person.answers[:1], person.answers[1:2])
                for n in range(len(person.points))
            ]
        suspicions = []
        for region in np.unique(regions):
            own = regions == region
            suspicions += far_from_neighbours(numbers[own], pixels[own], places[own])
        found = self.proposals.of(person, picture, False) if self.proposals is not None else None
        if found is not None and len(numbers):
            iuv = found.iuv(pixels)
            seen = iuv[:, 0] > 0
            predicted = np.full(places.shape, np.nan)
            parts = iuv[seen, 0].astype(int)
            predicted[seen] = self.views.body.points(parts, *iuv[seen, 1:].T)
            suspicions += far_from_model(numbers, places, predicted)
        both = [(n, a, b) for n, a, b in pairs if a and b and a.part and b.part]
        first, second = (self._places([pair[k] for pair in both]) for k in (1, 2))
        apart = np.linalg.norm(first - second, axis=1)
        return {
            "suspicions": [
                {"point": s.point, "distance": round(s.distance, 3), "reason": s.reason}
                for s in sorted(suspicions, key=lambda s: -s.distance)
            ],
            "apart": {n: round(float(d), 3) for (n, *_), d in zip(both, apart)},
        }

    def _person(self, number: int) -> Person:
        person = self.store.project.people.get(number)
        if person is None:
            raise ValueError(f"there is no person {number}")
        return person

    def _own(self, person: Person, who: Who) -> dict[int, Answer]:
        if person.stage != "points":
            return {n: a for n in range(len(person.points)) if (a := person.answer(n))}
        layer = self.store.layer(person.id, who.name)
        return person.answers[layer] if layer < len(person.answers) else {}

    def _places(self, answers: list) -> np.ndarray:
        """Positions (P, 3) of answers on the body."""
        if not answers:
            return np.zeros((0, 3))
        part, u, v = zip(*((a.part, a.u, a.v) for a in answers))
        return self.views.body.points(np.array(part), np.array(u), np.array(v))


def _painted(person: Person) -> np.ndarray:
    if not person.regions:
        return np.zeros((ANNOTATION_SIDE, ANNOTATION_SIDE), np.uint8)
    return paint_part_masks(person.regions)


def _answers(answers: dict[int, Answer]) -> dict:
    return {n: {"part": a.part, "view": a.view, "at": a.at} for n, a in answers.items()}


def map_runs(painted: np.ndarray) -> list[int]:
    """Run-length encodes a map (256, 256), row by row: value, length, value, length, ..."""
    flat = painted.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] + 1))
    lengths = np.diff(starts, append=flat.size)
    return np.stack([flat[starts], lengths], 1).ravel().tolist()


def map_of_runs(runs: object) -> np.ndarray:
    """The inverse of :func:`map_runs`.

    Raises:
        ValueError: the runs do not fill a map of 256 x 256.
    """
    numbers = runs if isinstance(runs, list) else []
    if len(numbers) % 2 or not all(type(n) is int and 0 <= n <= 65536 for n in numbers):
        raise ValueError("runs of regions: expected whole numbers, values and lengths in turn")
    values, lengths = np.array(numbers, np.int64).reshape(-1, 2).T
    if lengths.sum() != ANNOTATION_SIDE**2 or values.max(initial=0) > len(COARSE_PART_NAMES) - 1:
        raise ValueError(
            f"runs of regions: {lengths.sum()} pixels, expected {ANNOTATION_SIDE**2} of 0 to 14"
        )
    return np.repeat(values, lengths).astype(np.uint8).reshape(ANNOTATION_SIDE, ANNOTATION_SIDE)
