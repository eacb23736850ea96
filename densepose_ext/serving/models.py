"""The models that a server offers; most are opened on first use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..files.download import cached_path
from ..model_zoo import DEFAULT, names, official, official_names
from ..prediction.exported import is_exported
from ..prediction.opening import Predictor, open_predictor
from ..prediction.people import People
from .options import MIN_SCORE
from .refusal import Refusal


@dataclass(frozen=True)
class Choice:
    """A model on offer.

    Attributes:
        name: its name in requests.
        source: the argument for :func:`open_predictor`.
        kind: shipped, official, exported or config.
    """

    name: str
    source: str
    kind: str


class Models:
    """Models by name. Requests choose among these, and cannot open other files.

    Attributes:
        choices: by name, the default first.
    """

    def __init__(
        self,
        given: Sequence[str] = (),
        min_score: float = 0.2,
        device: str | None = None,
        precision: str | None = None,
        opening: Callable[..., Predictor] = open_predictor,
    ):
        """
        Args:
            given: names, configs and exported models, the default first; opened at once. The
                shipped models, and official ones in the cache, are offered as well.
            min_score: minimum score of detections; each costs time.
            device, precision, opening: see :func:`open_predictor`.

        Raises:
            OSError, ValueError, ModuleNotFoundError: a given model cannot be opened.
        """
        self.min_score = min_score
        self._settings = {"device": device, "precision": precision}
        self._opening = opening
        self.choices = {choice.name: choice for choice in _choices(given)}
        self._given: dict[str, Predictor] = {}
        self._last: tuple[str, Predictor] | None = None
        self._lowest: dict[str, float] = {}
        for name in list(self.choices)[: max(len(set(given)), 1)]:
            self._given[name] = self._open(self.choices[name])

    @property
    def default(self) -> str:
        """Name of the model for requests that do not choose one."""
        return next(iter(self.choices))

    def loaded(self) -> set[str]:
        """Names of the models that are in memory."""
        return set(self._given) | ({self._last[0]} if self._last else set())

    def lowest(self, name: str) -> float:
        """The minimum score of a model's detections."""
        return self._lowest.get(name, self.min_score)

    def check(self, name: str) -> None:
        """Raises Refusal if there is no model of this name."""
        if name not in self.choices:
            raise Refusal(
                400, f"there is no model {name[:80]!r}; there are: {', '.join(self.choices)}"
            )

    def score(self, name: str, wanted: float | None) -> float:
        """The minimum score for a request.

        Args:
            wanted: None: the default.

        Raises:
            Refusal: the score is below the model's minimum.
        """
        lowest = self.lowest(name)
        if wanted is None:
            return max(MIN_SCORE, lowest)
        if wanted < lowest:
            raise Refusal(
                400, f"min_score is {wanted:g}; expected {lowest:g} to 1 for the model {name}"
            )
        return wanted

    def predictor(self, name: str) -> Predictor:
        """The predictor of a model. Besides the given ones, only the last one stays in memory.

        Raises:
            Refusal: it cannot be opened.
        """
        if name in self._given:
            return self._given[name]
        if self._last is None or self._last[0] != name:
            self._last = None  # frees memory first
            try:
                self._last = name, self._open(self.choices[name])
            except (OSError, ValueError, ModuleNotFoundError) as error:
                raise Refusal(500, f"the model {name} cannot be opened: {error}") from error
        return self._last[1]

    def _open(self, choice: Choice) -> Predictor:
        if choice.kind != "exported":
            return self._opening(choice.source, min_score=self.min_score, **self._settings)
        predictor = self._opening(choice.source, **self._settings)
        self._lowest[choice.name] = max(predictor.min_score, self.min_score)
        return predictor


def _choices(given: Sequence[str]) -> list[Choice]:
    choices = [_choice(source) for source in dict.fromkeys(given)]
    others = [DEFAULT, *names()]
    others += [name for name in official_names() if cached_path(official(name).url).is_file()]
    taken = {choice.source for choice in choices}
    choices += [_choice(name) for name in dict.fromkeys(others) if name not in taken]
    counts: dict[str, int] = {}
    for n, choice in enumerate(choices):
        counts[choice.name] = counts.get(choice.name, 0) + 1
        if counts[choice.name] > 1:  # two files of the same name
            choices[n] = replace(choice, name=f"{choice.name} ({counts[choice.name]})")
    return choices


def _choice(source: str) -> Choice:
    source = os.fspath(source)
    if source in names():
        return Choice(source, source, "shipped")
    if is_exported(source):
        path = Path(source).resolve()
        return Choice((path.parent if path.is_file() else path).name, source, "exported")
    if source in official_names() and not os.path.isfile(source):
        return Choice(source, source, "official")
    return Choice(Path(source).name.removesuffix(".yaml"), source, "config")


def above(people: People, score: float) -> People:
    """The people with at least this score."""
    return People([person for person in people if person.score >= score], people.size)
