"""The options of a request: what they are, and reading them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .formats import ANSWERS
from .refusal import Refusal

#: Lowest score of people unless a request says otherwise, as in the commands.
MIN_SCORE = 0.5


@dataclass(frozen=True)
class Options:
    """What a request asks for.

    Attributes:
        format: a name in ``ANSWERS``.
        model: a name, or "" for the default.
        min_score: people with a lower score are left out; None: the default.
    """

    format: str = "json"
    model: str = ""
    min_score: float | None = None


#: Option: what it does.
PURPOSES = {
    "format": "form of the answer",
    "model": "name of a model, see /models",
    "min_score": f"people with lower scores are left out, 0 to 1; default {MIN_SCORE}",
}


def read_options(query: Sequence[tuple[str, str]]) -> Options:
    """The options in the query of an address.

    Raises:
        Refusal: one is unknown, given twice, or has a value that it cannot have.
    """
    given: dict[str, str] = {}
    for key, value in query:
        if key not in PURPOSES:
            raise Refusal(400, f"there is no option {key[:80]!r}; there are: {', '.join(PURPOSES)}")
        if key in given:
            raise Refusal(400, f"the option {key} is given twice")
        given[key] = value
    form = given.get("format", "json")
    if form not in ANSWERS:
        raise Refusal(400, f"there is no format {form[:80]!r}; there are: {', '.join(ANSWERS)}")
    if given.get("model") == "":
        raise Refusal(400, "the option model is empty")
    score = _score(given["min_score"]) if "min_score" in given else None
    return Options(form, given.get("model", ""), score)


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise Refusal(400, f"min_score is {text[:80]!r}; expected a number from 0 to 1")
    return score
