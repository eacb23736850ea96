"""Average precision from similarity matrices: COCO's protocol with the official DensePose rules.

Detections are matched to people greedily, best first, at every threshold and in every area range;
precision is averaged over thresholds and 101 recall points. Comments mark what differs from COCO's
own evaluation; published DensePose numbers include all of it.

Arrays: D detections and G people of one image, A area ranges, T thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .gps import masked_similarity
from .scoring import ImageScores

#: Thresholds that AP and AR are averaged over.
THRESHOLDS = np.linspace(0.5, 0.95, 10)

#: Lower thresholds, for AP20, AP30 and AP40; see :func:`scored_thresholds`.
LOW_THRESHOLDS = (0.2, 0.3, 0.4)

#: Area ranges in pixels, bounds inclusive: all, medium, large.
AREA_RANGES = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}

RECALLS = np.linspace(0, 1, 101)

#: Box IoU at which an unmatched detection takes over a person's ignore flag.
_SAME_BOX = 0.8

#: The three similarities, by the name of the metrics.
MODES = ("gps", "gpsm", "iou")


def similarity(scores: ImageScores, mode: str) -> np.ndarray:
    """Similarities of all pairs, (D, G), in one of the MODES."""
    if mode == "gps":
        return scores.gps
    return masked_similarity(scores.gps, scores.mask_iou) if mode == "gpsm" else scores.mask_iou


@dataclass
class ImageMatches:
    """The matches of one image.

    Attributes:
        matched: (A, T, D) bool: the detection is matched to a person.
        ignored: (A, T, D) bool: the detection is neither a true nor a false positive.
        people: (A,) number of people in the ground truth.
    """

    matched: np.ndarray
    ignored: np.ndarray
    people: np.ndarray


def match(
    similarity: np.ndarray,
    box_iou: np.ndarray,
    detection_areas: np.ndarray,
    areas: np.ndarray,
    has_points: np.ndarray,
    crowd: np.ndarray,
    thresholds: np.ndarray = THRESHOLDS,
) -> ImageMatches:
    """Matches the detections of an image, given best first, to its people in all area ranges.

    Args:
        similarity, box_iou: (D, G). detection_areas: (D,). areas: (G,).
        has_points: (G,) bool; people without are ignored. crowd: (G,) bool; crowds can be matched
            any number of times.
        thresholds: (T,) rising.
    """
    low, high = np.array(list(AREA_RANGES.values())).T[..., None]
    # (A, G): a crowd with points is not ignored, unlike in COCO
    ignored_people = ~has_points | (areas < low) | (areas > high)
    count, num_people = similarity.shape
    shape = len(low), len(thresholds), count
    matched, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    taken = np.zeros((*shape[:2], num_people), bool)
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]
    if num_people:
        for d in range(count):
            near = (similarity[d] >= least) & (similarity[d] > 0)
            free = near & (~taken | crowd)
            chosen, found = _last_best(similarity[d], free & ~ignored_people[:, None])
            # Ignored people are considered only if no other is left.
            spare, found_spare = _last_best(similarity[d], free & ignored_people[:, None])
            chosen = np.where(found, chosen, spare)
            ignored[..., d] = ~found & found_spare
            matched[..., d] = found | found_spare
            a, t = np.nonzero(matched[..., d])
            taken[a, t, chosen[a, t]] = True
        _take_over_flags(box_iou, ignored_people, crowd, taken[:, -1], matched, ignored)
    outside = (detection_areas < low) | (detection_areas > high)
    ignored |= ~matched & outside[:, None]
    # COCO would count detections in an image without people as false positives
    ignored |= ignored_people.all(1)[:, None, None]
    return ImageMatches(matched, ignored, (~ignored_people).sum(1))


def _last_best(similarity: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most similar of the allowed people; of equals, the last.

    Args:
        similarity: (G,). allowed: (A, T, G) bool.

    Returns:
        index (A, T), and whether anybody is allowed (A, T) bool.
    """
    values = np.where(allowed, similarity, -1)[..., ::-1]
    return values.shape[-1] - 1 - values.argmax(-1), allowed.any(-1)


def _take_over_flags(
    box_iou: np.ndarray,
    ignored_people: np.ndarray,
    crowd: np.ndarray,
    taken: np.ndarray,
    matched: np.ndarray,
    ignored: np.ndarray,
) -> None:
    """A peculiarity of the official evaluation, kept because published numbers depend on it.

    A detection that is unmatched at the LAST threshold, and whose box coincides (IoU of .8 or more)
    with that of a person unmatched there, takes this person's ignore flag at ALL thresholds; of
    several such people, that of the one with the highest IoU. If the person is ignored, the two are
    matched at the last threshold. A crowd can be matched repeatedly, here as elsewhere.

    Args:
        box_iou: (D, G). ignored_people: (A, G). crowd: (G,). taken: (A, G), at the last threshold.
        matched, ignored: (A, T, D); changed, as is ``taken``.
    """
    for d in np.flatnonzero((box_iou >= _SAME_BOX).any(1)):
        for a in np.flatnonzero(~matched[:, -1, d]):
            candidates = np.flatnonzero((box_iou[d] >= _SAME_BOX) & (~taken[a] | crowd))
            if len(candidates):
                # Of equal boxes the last one, where ignored people come last.
                order = np.lexsort(
                    (candidates, ignored_people[a, candidates], box_iou[d, candidates])
                )
                person = candidates[order[-1]]
                ignored[a, :, d] = ignored_people[a, person]
                if ignored_people[a, person]:
                    matched[a, -1, d] = taken[a, person] = True


@dataclass
class Matches:
    """The matches of a dataset in one category and mode, the detections of all images in one list.

    Attributes:
        scores: (N,) descending. image: (N,) number of the image of each detection.
        true, false: (A, T, N) bool: true and false positives.
        people: (A, images) number of people to be found in each image.
    """

    scores: np.ndarray
    image: np.ndarray
    true: np.ndarray
    false: np.ndarray
    people: np.ndarray


def match_dataset(images: Sequence[ImageScores], mode: str, thresholds: np.ndarray) -> Matches:
    """Matches all images; of equal scores the earlier image comes first."""
    results = [
        match(
            similarity(image, mode),
            image.box_iou,
            image.detection_areas,
            image.areas,
            image.has_points,
            image.crowd,
            thresholds,
        )
        for image in images
    ]
    scores = np.concatenate([image.scores for image in images])
    number = np.repeat(np.arange(len(images)), [len(image.scores) for image in images])
    order = np.argsort(-scores, kind="stable")
    matched = np.concatenate([result.matched for result in results], axis=2)[..., order]
    counted = ~np.concatenate([result.ignored for result in results], axis=2)[..., order]
    return Matches(
        scores[order],
        number[order],
        matched & counted,
        ~matched & counted,
        np.stack([result.people for result in results], axis=1),
    )


def precision_recall(
    true: np.ndarray, false: np.ndarray, people: float
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolated precision at the 101 recall points, and the final recall.

    Args:
        true, false: (T, N) counts of each detection, best first.
        people: number to be found, positive.

    Returns:
        precision (T, 101), recall (T,).
    """
    precision = np.zeros((len(true), len(RECALLS)))
    if not true.shape[1]:
        return precision, np.zeros(len(true))
    true, false = true.cumsum(1, dtype=float), false.cumsum(1, dtype=float)
    recall = true / people
    # as in COCO, the spacing avoids 0 / 0
    envelope = true / (true + false + np.spacing(1))
    envelope = np.maximum.accumulate(envelope[:, ::-1], axis=1)[:, ::-1]
    for t in range(len(true)):
        index = np.searchsorted(recall[t], RECALLS, side="left")
        reached = index < recall.shape[1]
        precision[t, reached] = envelope[t, index[reached]]
    return precision, recall[:, -1]


def summarize(
    categories: Sequence[Matches], thresholds: np.ndarray, over_all: bool = False
) -> dict[str, float]:
    """AP, AR and their variants, between 0 and 1; -1 without ground truth.

    Args:
        categories: the matches of each category; a mean is over those with people.
        thresholds: (T,) that they were matched at.
        over_all: average AP and AR over all thresholds, not over .5 to .95.
    """
    metrics: dict[str, float] = {}
    average = np.isin(thresholds, THRESHOLDS) | over_all
    ap, ar = {}, {}
    for a, name in enumerate(AREA_RANGES):
        curves = [
            precision_recall(category.true[a], category.false[a], category.people[a].sum())
            for category in categories
            if category.people[a].sum() > 0
        ]
        if curves:
            ap[name] = np.mean([precision.mean(1) for precision, _ in curves], axis=0)
            ar[name] = np.mean([recall for _, recall in curves], axis=0)
        else:
            ap[name] = ar[name] = np.full(len(thresholds), -1.0)

    def at(values: np.ndarray, threshold: float) -> float:
        return float(values[np.abs(thresholds - threshold).argmin()])

    metrics["AP"] = float(ap["all"][average].mean())
    for low in LOW_THRESHOLDS:
        if np.abs(thresholds - low).min() < 1e-3:
            metrics[f"AP{low * 100:.0f}"] = at(ap["all"], low)
    metrics |= {"AP50": at(ap["all"], 0.5), "AP75": at(ap["all"], 0.75)}
    metrics["APm"] = float(ap["medium"][average].mean())
    metrics["APl"] = float(ap["large"][average].mean())
    metrics["AR"] = float(ar["all"][average].mean())
    metrics |= {"AR50": at(ar["all"], 0.5), "AR75": at(ar["all"], 0.75)}
    metrics["ARm"] = float(ar["medium"][average].mean())
    metrics["ARl"] = float(ar["large"][average].mean())
    return metrics


def scored_thresholds(minimum: float = 0.5, even: bool = False) -> np.ndarray:
    """The thresholds to match at: .5 to .95 by .05, and those of .2, .3, .4 from ``minimum`` on.

    AP and AR are averaged over .5 to .95 regardless of the minimum. With ``even``, the thresholds
    are those from ``minimum`` on by .05, over which the official evaluation of CSE averages.

    Raises:
        ValueError: the minimum is outside of 0 to 1.
    """
    if not 0 <= minimum <= 1:
        raise ValueError(f"minimum threshold {minimum}, expected 0 to 1")
    if even and minimum < THRESHOLDS[0]:
        return np.linspace(minimum, 0.95, round((0.95 - minimum) / 0.05) + 1)
    low = [value for value in LOW_THRESHOLDS if minimum <= value + 1e-3]
    return np.concatenate([low, THRESHOLDS])
