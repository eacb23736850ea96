"""The options of requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..video.run import DRAWINGS
from .formats import ANSWERS
from .refusal import Refusal

#: Default minimum score of people, as in the commands.
MIN_SCORE = 0.5


@dataclass(frozen=True)
class Options:
    """Options of a request with a picture.

    Attributes:
        format: a name in ``ANSWERS``.
        model: a name, or "" for the default.
        min_score: people with a lower score are left out; None: the default.
    """

    format: str = "json"
    model: str = ""
    min_score: float | None = None


@dataclass(frozen=True)
class FilmOptions:
    """Options of a request with a video.

    Attributes:
        model, min_score: see :class:`Options`.
        draw: a name in ``DRAWINGS``.
        smooth: weight of past frames when I, U and V are smoothed over time; 0: no smoothing.
    """

    model: str = ""
    min_score: float | None = None
    draw: str = "parts"
    smooth: float = 0


#: Option -> description.
PURPOSES = {
    "format": "format of the response",
    "model": "name of a model, see /models",
    "min_score": f"people with lower scores are left out, 0 to 1; default {MIN_SCORE}",
}

#: The same for videos.
FILM_PURPOSES = {
    "model": PURPOSES["model"],
    "min_score": PURPOSES["min_score"],
    "draw": "what to draw, as for densepose-ext video; default parts",
    "smooth": "smooth I, U and V over time: weight of past frames, 0 to below 1; default 0",
}


def read_options(query: Sequence[tuple[str, str]]) -> Options:
    """Reads the options in the query of a URL.

    Raises:
        Refusal: an option is unknown, given twice, or has an invalid value.
    """
    given = _given(query, PURPOSES)
    form = given.get("format", "json")
    if form not in ANSWERS:
        raise Refusal(400, f"there is no format {form[:80]!r}; there are: {', '.join(ANSWERS)}")
    return Options(form, given.get("model", ""), _score(given))


def read_film_options(query: Sequence[tuple[str, str]]) -> FilmOptions:
    """Reads the options for a video in the query of a URL.

    Raises:
        Refusal: see :func:`read_options`.
    """
    given = _given(query, FILM_PURPOSES)
    draw = given.get("draw", "parts")
    if draw not in DRAWINGS:
        raise Refusal(400, f"there is no drawing {draw[:80]!r}; there are: {', '.join(DRAWINGS)}")
    smooth = _number(given["smooth"]) if "smooth" in given else 0
    if not 0 <= smooth < 1:
        raise Refusal(
            400, f"smooth is {given['smooth'][:80]!r}; expected a number from 0 to below 1"
        )
    return FilmOptions(given.get("model", ""), _score(given), draw, smooth)


def _given(query: Sequence[tuple[str, str]], purposes: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for key, value in query:
        if key not in purposes:
            raise Refusal(400, f"there is no option {key[:80]!r}; there are: {', '.join(purposes)}")
        if key in given:
            raise Refusal(400, f"the option {key} is given twice")
        given[key] = value
    if given.get("model") == "":
        raise Refusal(400, "the option model is empty")
    return given


def _score(given: dict[str, str]) -> float | None:
    if "min_score" not in given:
        return None
    score = _number(given["min_score"])
    if not 0 <= score <= 1:
        raise Refusal(
            400, f"min_score is {given['min_score'][:80]!r}; expected a number from 0 to 1"
        )
    return score


def _number(text: str) -> float:
    """The number, or NaN."""
    try:
        return float(text)
    except ValueError:
        return math.nan
