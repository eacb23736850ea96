"""Output of an evaluation: scores first, then tables and the report page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..processes.messages import one_line
from .gallery import Gallery
from .report import Report, scores_table, text_tables, write_metrics
from .scorecard import Scorecard

logger = logging.getLogger(f"detectron2.{__name__}")

METRICS_FILE, REPORT_FILE = "metrics.json", "report.html"


@contextmanager
def scores_survive(what: str) -> Iterator[None]:
    """Logs any error inside and goes on: a failure to report must not lose scores.

    Args:
        what: "cannot write report.html".
    """
    try:
        yield
    except OSError as error:
        logger.error(f"{what}: {one_line(error)}")
    except Exception as error:
        logger.error(f"{what}: {type(error).__name__}: {error}", exc_info=True)


def publish(
    card: Scorecard,
    gallery: Gallery,
    facts: dict,
    say: Callable[[str], None],
    folder: Path | None = None,
    page: bool = True,
) -> tuple[dict[str, dict[str, float]], list[Path]]:
    """Logs and writes the results. Failures of tables, files or pictures are only logged.

    Args:
        card: the scores of all images.
        gallery: of the people to show.
        facts: dataset, surface, kappa, and so on.
        say: logs a table, given as text.
        folder: for metrics.json and report.html; None: write neither.
        page: whether to write report.html.

    Returns:
        the metrics, as of :meth:`Scorecard.metrics`; and the files that could be written.
    """
    metrics = card.metrics()
    written: list[Path] = []
    if folder is not None:
        with scores_survive(f"cannot write {folder / METRICS_FILE}"):
            folder.mkdir(parents=True, exist_ok=True)
            write_metrics({**metrics, **facts}, folder / METRICS_FILE)
            written.append(folder / METRICS_FILE)
    report = None
    with scores_survive("cannot make the report; the scores are complete"):
        report = Report.of(card, gallery, facts)
        for table in text_tables(report):
            say(table)
    if report is None:
        say(scores_table(metrics, {}, facts))
    elif folder is not None:
        with scores_survive(f"cannot write {folder / METRICS_FILE}"):
            write_metrics(report.to_json(), folder / METRICS_FILE)
        if page:
            with scores_survive(f"cannot write {folder / REPORT_FILE}"):
                from .page import write_report  # takes Matplotlib, slow to import

                write_report(report, card.truth, folder / REPORT_FILE)
                written.append(folder / REPORT_FILE)
    return metrics, written
