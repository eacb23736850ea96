"""An open project: checks what annotators do, logs it, and keeps the annotation file up to date.

Every method that changes something writes an event to the log before it returns. To change a
person, a page must hold their lease and have seen their latest version.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from ..data.rle import encode_part_masks
from ..surface.parts import COARSE_PART_NAMES
from .coco_output import CocoText
from .drawn import checked_box, checked_map
from .event_log import EventLog
from .importing import import_people
from .leases import Leases
from .output_file import OutputFile
from .pictures import find_pictures, new_pictures
from .project import Person, Project
from .sampling import sample_points
from .views import NUM_VIEWS, Views

#: The log's name is that of the annotation file with this suffix.
LOG_SUFFIX = ".log.jsonl"


class Conflict(ValueError):
    """The person was changed, or is held, by somebody else."""


@dataclass(frozen=True)
class Who:
    """Who acts: the name of an annotator, and the session of their page.

    Attributes:
        version: version of the person that the page shows; None: do not check it.
    """

    name: str
    session: str
    version: int | None = None


class Store:
    """An open annotation project.

    Attributes:
        project: its state; to be changed only by the methods of this class.
        faults: a message for each unreadable picture.
        annotators: number of people who place the points of each person independently.
    """

    def __init__(
        self,
        pictures: str | os.PathLike,
        out: str | os.PathLike,
        views: Views,
        annotators: int = 1,
        people: str | os.PathLike | None = None,
    ):
        """Opens a project, or creates it.

        Args:
            pictures: folder of the pictures; no files outside it are read.
            out: the annotation file, COCO JSON. Its log is beside it.
            views: views of the body that points are placed on.
            annotators: see above.
            people: COCO JSON with people to import.

        Raises:
            OSError, ValueError: a file cannot be used, does not belong to a project, or is open in
                another program.
        """
        if annotators < 1:
            raise ValueError(f"{annotators} annotators, expected 1 or more")
        self.out, self.folder = Path(out), os.fspath(pictures)
        names = find_pictures(pictures)
        if not self.out.absolute().parent.is_dir():
            raise FileNotFoundError(f"{out}: there is no folder {self.out.absolute().parent}")
        if self.out.is_dir():
            raise IsADirectoryError(f"{out} is a folder, expected a file to write")
        log = self.out.with_name(self.out.name + LOG_SUFFIX)
        if self.out.exists() and not log.exists():
            raise ValueError(
                f"{out} exists, but has no log {log.name}: choose another --out, and give this file"
                " as --people to go on with it"
            )
        self.annotators, self._views = annotators, views
        self.project, self.leases = Project(), Leases()
        self._lock = threading.RLock()
        self._is_closed = False
        self._log = EventLog(log)
        try:
            self._replay(views)
            self.faults = self._take_in(names, people)
        except BaseException:
            self._log.close()
            raise
        self._text = CocoText(views.body.mesh)
        self._output = OutputFile(self.out, self._make_text)
        self._output.changed()

    def _replay(self, views: Views) -> None:
        for event in self._log.events:
            try:
                self.project.apply(event)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise ValueError(
                    f"{self._log.path}: event {event['n']} cannot be applied: {error!r}"
                ) from error
        surface = views.body.surface.name
        if not self._log.events:
            self._write({"do": "begin", "surface": surface})
        elif self.project.surface != surface:
            raise ValueError(
                f"{self.out} was created with --surface {self.project.surface}, not {surface}"
            )
        self._log.events.clear()

    def _take_in(self, names: list[str], people) -> list[str]:
        records, faults = new_pictures(self.folder, names, self.project.pictures)
        if records:
            self._write({"do": "pictures", "pictures": records})
        if people is not None:
            event = import_people(people, self.project, self.folder, self._views.body.mesh)
            if event["people"]:
                self._write(event)
        return faults

    def _make_text(self) -> str:
        with self._lock:
            return self._text(self.project)

    @property
    def lock(self) -> threading.RLock:
        """To be held by other code while it reads the state."""
        return self._lock

    @property
    def output_error(self) -> str:
        """Why the last attempt to write the annotation file failed; else empty."""
        return self._output.error

    def close(self) -> None:
        """Writes the annotation file and closes the log; a second call does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._output.close()
        finally:
            self._log.close()

    def save(self) -> None:
        """Writes the annotation file now."""
        self._output.write()

    def _write(self, event: dict) -> None:
        event["time"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.project.apply(self._log.append(event))
        if hasattr(self, "_output"):
            self._output.changed()

    # People and boxes

    def add_person(self, image: int, box: Sequence[float], who: Who) -> Person:
        """Adds a person. The box (x, y, width, height, pixels) is clipped to the picture."""
        with self._lock:
            number = self.project.last_person + 1
            event = {"do": "add", "person": number, "image": image, "by": who.name}
            self._write({**event, "box": checked_box(box, self._picture(image))})
            return self.project.people[number]

    def set_box(self, person: int, box: Sequence[float], who: Who) -> None:
        """Changes a box. Regions stay where they are in the picture."""
        with self._lock:
            found = self._held(person, who)
            self._do("box", person, who, box=checked_box(box, self._picture(found.image)))

    def remove(self, person: int, who: Who) -> None:
        """Removes a person. The log still has what was drawn."""
        with self._lock:
            self._held(person, who)
            self._do("remove", person, who)

    def leave_out(self, person: int, who: Who) -> None:
        """Keeps a person's box, without dense pose."""
        with self._lock:
            self._held(person, who)
            self._do("leave_out", person, who)

    def set_boxes_done(self, image: int, value: bool, who: Who) -> None:
        """Marks whether everybody in a picture has a box."""
        with self._lock:
            self._picture(image)
            self._write({"do": "boxes_done", "image": image, "value": bool(value), "by": who.name})

    # Stage 1

    def paint(self, person: int, painted: np.ndarray, who: Who) -> None:
        """Saves the regions drawn so far.

        Args:
            painted: (256, 256) uint8, region 0..14 of each pixel of the box.
        """
        with self._lock:
            self._held(person, who, "regions")
            self._do("paint", person, who, regions=encode_part_masks(checked_map(painted)))

    def finish_regions(self, person: int, who: Who) -> None:
        """Ends stage 1, and samples the points for stage 2.

        Raises:
            ValueError: no regions are drawn.
        """
        with self._lock:
            found = self._held(person, who, "regions")
            points = sample_points(found.regions, found.box, person) if found.regions else []
            if not points:
                raise ValueError(f"person {person} has no regions yet")
            self._do("lay", person, who, points=points)

    # Stage 2

    def layer(self, person: int, name: str) -> int:
        """The annotator's number, from 0, under which somebody places a person's points.

        Raises:
            Conflict: others have placed all points.
        """
        found = self._person(person)
        if self.annotators == 1:
            return 0
        if name in found.annotators[: self.annotators]:
            return found.annotators.index(name)
        if len(found.annotators) < self.annotators:
            return len(found.annotators)
        left = [n for n in range(self.annotators) if n not in found.finished]
        if left:
            return left[0]
        raise Conflict(f"the points of person {person} are placed already")

    def place(self, person: int, point: int, view: int, x: float, y: float, who: Who) -> None:
        """Places a point of a person on the body.

        Args:
            point: its number.
            view: 0..5, of the point's region. x, y: pixel of the view.

        Raises:
            ValueError: the region is not at this pixel.
        """
        with self._lock:
            found = self._held(person, who, "points")
            region = self._region(found, point)
            if not 0 <= view < NUM_VIEWS:
                raise ValueError(f"view {view}, expected 0 to {NUM_VIEWS - 1}")
            at = self._views.click(region, view, x, y)
            if at is None:
                raise ValueError(f"this place is not on the {COARSE_PART_NAMES[region]}")
            answer = [at.part, at.u, at.v, at.vertex, view, round(x, 2), round(y, 2)]
            self._answer(person, point, answer, who)

    def cannot_tell(self, person: int, point: int, who: Who) -> None:
        """Records that the annotator cannot tell where a point lies on the body."""
        with self._lock:
            self._region(self._held(person, who, "points"), point)
            self._answer(person, point, [0, 0.0, 0.0, -1, -1, 0.0, 0.0], who)

    def clear(self, person: int, point: int, who: Who) -> None:
        """Removes an answer."""
        with self._lock:
            found = self._held(person, who, "points")
            self._region(found, point)
            layer = self.layer(person, who.name)
            if layer < len(found.answers) and point in found.answers[layer]:
                self._do("clear", person, who, point=point, layer=layer)

    def finish_points(self, person: int, who: Who) -> None:
        """Ends stage 2 for an annotator; points without an answer count as "cannot tell"."""
        with self._lock:
            self._held(person, who, "points")
            layer = self.layer(person, who.name)
            self._do("finish", person, who, layer=layer, needed=self.annotators)

    # Review

    def take(self, person: int, point: int, layer: int, who: Who) -> None:
        """Chooses one annotator's answer for a point."""
        with self._lock:
            found = self._held(person, who, "review")
            self._region(found, point)
            if not 0 <= layer < len(found.answers):
                raise ValueError(f"annotator {layer}, expected 0 to {len(found.answers) - 1}")
            self._do("take", person, who, point=point, layer=layer)

    def accept(self, person: int, who: Who) -> None:
        """Accepts the annotation of a person."""
        with self._lock:
            self._held(person, who, "review")
            self._do("accept", person, who)

    def send_back(self, person: int, stage: str, note: str, who: Who) -> None:
        """Sends a person back to a stage, "regions" or "points"; answers are kept."""
        if stage not in ("regions", "points"):
            raise ValueError(f"stage {stage!r}, expected regions or points")
        with self._lock:
            found = self._held(person, who)
            if stage == "points" and not found.points:
                raise ValueError(f"person {person} has no points to be placed")
            self._do("send_back", person, who, stage=stage, note=note[:500])

    # Leases

    def lease(self, person: int, who: Who) -> bool:
        """Takes or renews a lease; False if another page holds it."""
        with self._lock:
            self._person(person)
            return self.leases.take(person, who.session, who.name)

    def release(self, person: int, who: Who) -> None:
        """Ends a lease."""
        with self._lock:
            self.leases.give_back(person, who.session)

    def next_person(self, stage: str, who: Who) -> Person | None:
        """Leases the first person in a stage whom this annotator can work on; None if nobody."""
        with self._lock:
            for person in sorted(self.project.people.values(), key=lambda p: (p.image, p.id)):
                if person.stage != stage or not self.leases.free_for(person.id, who.session):
                    continue
                if stage == "points" and self._has_finished(person, who.name):
                    continue
                self.leases.take(person.id, who.session, who.name)
                return person
            return None

    def _has_finished(self, person: Person, name: str) -> bool:
        if self.annotators == 1:
            return False
        mine = [n for n, other in enumerate(person.annotators) if other == name]
        return bool(mine) and mine[0] in person.finished

    # Checks

    def _do(self, action: str, person: int, who: Who, **values) -> None:
        self._write({"do": action, "person": person, "by": who.name, **values})

    def _answer(self, person: int, point: int, answer: list, who: Who) -> None:
        layer = self.layer(person, who.name)
        self._do("answer", person, who, point=point, layer=layer, answer=answer)

    def _person(self, person: int) -> Person:
        if person not in self.project.people:
            if 0 < person <= self.project.last_person:
                raise Conflict(f"person {person} has been removed")
            raise ValueError(f"there is no person {person}")
        return self.project.people[person]

    def _picture(self, image: int):
        if image not in self.project.pictures:
            raise ValueError(f"there is no picture {image}")
        return self.project.pictures[image]

    def _held(self, person: int, who: Who, stage: str | None = None) -> Person:
        found = self._person(person)
        if not self.leases.holds(person, who.session):
            holder = self.leases.holder(person)
            if holder:
                raise Conflict(f"{holder} is working on person {person}")
            if who.version != found.version:
                raise Conflict(f"the lease of person {person} has expired: open the person again")
            # Nobody has changed the person since: a page that slept, or outlived a server, goes on.
            self.leases.take(person, who.session, who.name)
        if who.version is not None and who.version != found.version:
            raise Conflict(f"person {person} has changed since it was opened")
        if stage is not None and found.stage != stage:
            raise Conflict(f"person {person} is in stage {found.stage!r}, not {stage!r}")
        return found

    def _region(self, person: Person, point: int) -> int:
        if not 0 <= point < len(person.points):
            raise ValueError(f"point {point}, expected 0 to {len(person.points) - 1}")
        return person.points[point][2]
