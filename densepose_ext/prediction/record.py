"""The progress of a run, recorded in its folder so that an interrupted run can be resumed.

``pictures.jsonl`` begins with a line on the run, followed by a line per finished picture, with its
id and size. ``results.json`` holds the people of all pictures in the official format. It is a valid
JSON list at any time: new entries overwrite its closing bracket, which is written again behind
them. Each line of ``pictures.jsonl`` says where its entries end, so what an interrupted run wrote
after the last one is cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from ..files.atomic import naming

PICTURES_FILE = "pictures.jsonl"
RESULTS_FILE = "results.json"

_OPENING, _CLOSING = b"[", b"\n]\n"


class RunRecord:
    """Finished pictures, and their entries in the results.

    Attributes:
        done: file name -> its line of ``pictures.jsonl``: ``id``, ``file_name``, ``width``,
            ``height``, ``people``, ``file`` (the picture's size in bytes and modification time),
            and ``results``: where its entries start and end, null in a run without results.
        failed: file name -> such a line with ``error``, for a picture that could not be read.
    """

    def __init__(self, folder: Path, settings: dict, results: bool, part: int = 0):
        """Opens the record of a folder, or starts one.

        Args:
            settings: what must not change when the run is resumed, as JSON values.
            results: whether to write ``results.json``.
            part: rank of the process among those that share the run; each has its own files.

        Raises:
            OSError: the files cannot be written.
            ValueError: they are of a run with other settings, or not of a run.
        """
        self.done: dict[str, dict] = {}
        self.failed: dict[str, dict] = {}
        self._folder = folder
        self._settings = settings
        self._pictures_path = folder / _numbered(PICTURES_FILE, part)
        self._results_path = folder / _numbered(RESULTS_FILE, part)
        self._results: IO[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._read()
        self._pictures = open(self._pictures_path, "a", encoding="utf-8", newline="\n")  # noqa: SIM115
        try:
            if not self._pictures.tell():
                self._write_line({"settings": settings})
            if results:
                self._open_results()
        except BaseException:
            self.close()
            raise

    def _read(self) -> None:
        if not self._pictures_path.exists():
            if self._results_path.exists():
                raise ValueError(
                    f"{self._results_path} exists without the {PICTURES_FILE} of the run that made"
                    " it; choose another folder"
                )
            return
        whole = 0
        with open(self._pictures_path, "rb") as stream:
            for number, text in enumerate(stream):
                try:
                    line = json.loads(text) if text.endswith(b"\n") else None
                except ValueError:
                    line = None
                if not isinstance(line, dict):
                    if not number and text.endswith(b"\n"):
                        self._check({})
                    break  # the run was interrupted while it wrote this line
                whole += len(text)
                if number:
                    self._take(line)
                else:
                    self._check(line)
        os.truncate(self._pictures_path, whole)

    def _check(self, first_line: dict) -> None:
        before = first_line.get("settings")
        if not isinstance(before, dict):
            raise ValueError(f"{self._pictures_path} is not of a run; choose another folder")
        for key, value in self._settings.items():
            if before.get(key) != value:
                raise ValueError(
                    f"{self._pictures_path} is of a run with {key} {before.get(key)!r}, not"
                    f" {value!r}; choose another folder, or remove this one"
                )

    def _take(self, line: dict) -> None:
        if "error" in line:
            self.failed[line["file_name"]] = line
        else:
            self.failed.pop(line["file_name"], None)
            self.done[line["file_name"]] = line

    def _open_results(self) -> None:
        path = self._results_path
        ends = [line["results"][1] for line in self.done.values() if line["results"]]
        self._end = max(ends, default=len(_OPENING))
        if not path.exists() or path.stat().st_size < self._end:
            # The file was removed, and with it the entries of all pictures.
            self._end = len(_OPENING)
            for line in self.done.values():
                line["results"] = None
        self._results = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115
        self._put([])

    def add(
        self,
        file_name: str,
        image_id: int,
        size: tuple[int, int],
        people: int,
        entries: list[dict] | None,
        file: list[int] | None = None,
    ) -> None:
        """Records a finished picture, whose files are all written.

        Args:
            size: (H, W).
            entries: of the results; ignored in a run without results, or if they are there already.
                None: not known, so the picture has none.
            file: the stamp by which changes of the picture are noticed, see ``Source.stamp``.
        """
        place = self.done.get(file_name, {}).get("results")
        if place is None and entries is not None and self._results is not None:
            start = self._end
            self._put(entries)
            place = [start, self._end]
        line = {"id": image_id, "file_name": file_name, "width": size[1], "height": size[0]}
        self._note(line | {"people": people, "file": file, "results": place})

    def fail(self, file_name: str, image_id: int, error: str) -> None:
        """Records a picture that could not be read."""
        self._note({"id": image_id, "file_name": file_name, "error": error})

    def _note(self, line: dict) -> None:
        self._take(line)
        self._write_line(line)

    def _write_line(self, line: dict) -> None:
        with naming(self._pictures_path):
            self._pictures.write(json.dumps(line) + "\n")
            self._pictures.flush()

    def _put(self, entries: Iterable[dict]) -> None:
        """Writes entries over the closing bracket, and the bracket after them."""
        text = b""
        for entry in entries:
            text += b",\n" if self._end + len(text) > len(_OPENING) else b"\n"
            text += json.dumps(entry, separators=(",", ":")).encode()
        is_first = self._end == len(_OPENING)
        with naming(self._results_path):
            self._results.seek(0 if is_first else self._end)
            self._results.write((_OPENING if is_first else b"") + text + _CLOSING)
            self._results.truncate()
            self._results.flush()
        self._end += len(text)

    def absorb_parts(self) -> None:
        """Moves the records of the other processes, of this run or an interrupted one, into this.

        If interrupted and called again, it moves the rest.
        """
        for path in sorted(self._folder.glob(_numbered(PICTURES_FILE, "*"))):
            number = path.suffixes[-2][1:]
            if not number.isdigit():
                continue  # somebody's copy
            number = int(number)
            with RunRecord(self._folder, self._settings, self._results is not None, number) as part:
                for line in part.done.values():
                    size = line["height"], line["width"]
                    entries = part._entries(line["results"])
                    people = line["people"], entries, line.get("file")
                    self.add(line["file_name"], line["id"], size, *people)
                for line in part.failed.values():
                    self.fail(line["file_name"], line["id"], line["error"])
            part._pictures_path.unlink()
            part._results_path.unlink(missing_ok=True)

    def _entries(self, place: list[int] | None) -> list[dict] | None:
        if place is None or self._results is None:
            return None
        self._results.seek(place[0])
        text = self._results.read(place[1] - place[0]).strip(b",\n")
        return [json.loads(entry) for entry in text.split(b",\n")] if text else []

    def close(self) -> None:
        # What could not be written is tried again.
        with naming(self._pictures_path):
            self._pictures.close()
        if self._results is not None:
            with naming(self._results_path):
                self._results.close()

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(self, *error) -> None:
        self.close()


def _numbered(name: str, part: int | str) -> str:
    """The name of a process's file; the first process's has no number."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{part}.{suffix}" if part else name
