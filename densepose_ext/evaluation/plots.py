"""Plots of an evaluation, as base64 of PNGs."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..surface.parts import FINE_PART_NAMES

_BLUE, _ORANGE, _GREY = "#2166ac", "#d6604d", "#bbbbbb"


def _encoded(figure: Figure) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def error_curve(curve: dict) -> str:
    """Share of points within each geodesic error: the paper's figure, with AUC10 and AUC30."""
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    threshold, share = np.array(curve["threshold_cm"]), np.array(curve["share"]) * 100
    axes.plot(threshold, share, color=_BLUE, lw=2)
    axes.fill_between(threshold, share, color=_BLUE, alpha=0.12)
    axes.set(xlim=(0, threshold[-1]), ylim=(0, 100))
    axes.set_xlabel("geodesic error up to (cm)")
    axes.set_ylabel("points of the people found (%)")
    axes.set_title(f"AUC10 {curve['auc10']:.3f}   AUC30 {curve['auc30']:.3f}")
    axes.grid(alpha=0.3)
    return _encoded(figure)


def group_bars(table: dict[str, dict]) -> str:
    """Share of points with the right part, and within 10 cm, of each row of a table."""
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    names = [name for name, row in table.items() if row["points"]]
    at = np.arange(len(names))
    right = [100 * table[name]["right_part"] for name in names]
    axes.barh(at - 0.2, right, 0.38, color=_BLUE, label="right part")
    if all("within_10cm" in table[name] for name in names):
        near = [100 * table[name]["within_10cm"] for name in names]
        axes.barh(at + 0.2, near, 0.38, color=_ORANGE, label="within 10 cm")
    axes.set_yticks(at, names)
    axes.invert_yaxis()
    axes.set(xlim=(0, 100), xlabel="points of the people found (%)")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    axes.grid(axis="x", alpha=0.3)
    return _encoded(figure)


def interval_bars(
    values: dict[str, float], intervals: dict[str, tuple[float, float] | None], what: str
) -> str:
    """A bar for each name with its 95% interval, in percent, from the top down.

    Args:
        values, intervals: by name; None for no interval.
        what: the label of the axis.
    """
    figure = Figure(figsize=(7.2, 0.9 + 0.34 * len(values)), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(values))
    axes.barh(at, list(values.values()), 0.62, color=_BLUE, alpha=0.75)
    for place, (name, value) in zip(at, values.items()):
        low, high = intervals.get(name) or (value, value)
        reach = [[max(value - low, 0)], [max(high - value, 0)]]
        axes.errorbar(value, place, xerr=reach, fmt="none", ecolor="black", capsize=3)
    axes.set_yticks(at, list(values))
    axes.invert_yaxis()
    axes.axvline(0, color="black", lw=0.8)
    axes.set_xlabel(what)
    axes.grid(axis="x", alpha=0.3)
    return _encoded(figure)


def gps_histogram(values: list[float]) -> str:
    """How many people have which GPS; those not found have 0."""
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.hist(values, np.linspace(0, 1, 21), color=_BLUE, edgecolor="white")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlim=(0, 1), xlabel="GPS of a person (0 for the not found)", ylabel="people")
    axes.grid(axis="y", alpha=0.3)
    return _encoded(figure)


def precision_bars(metrics: dict, intervals: dict, names: dict[str, str]) -> str:
    """AP, AP50, AP75, APm, APl of each similarity, with 95% intervals."""
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    shown = ("AP", "AP50", "AP75", "APm", "APl")
    width = 0.8 / len(metrics)
    for n, (mode, values) in enumerate(metrics.items()):
        at = np.arange(len(shown)) + (n - (len(metrics) - 1) / 2) * width
        heights = np.array([max(values[name], 0) * 100 for name in shown])
        bounds = np.array(
            [intervals.get(mode, {}).get(name, (values[name],) * 2) for name in shown]
        ).clip(0)
        reach = np.abs(bounds.T * 100 - heights)
        axes.bar(at, heights, width * 0.92, color=[_BLUE, _ORANGE, _GREY][n], label=names[mode])
        axes.errorbar(at, heights, reach, fmt="none", ecolor="black", elinewidth=1, capsize=2)
    axes.set_xticks(np.arange(len(shown)), shown)
    axes.set(ylim=(0, 100), ylabel="%")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    axes.grid(axis="y", alpha=0.3)
    return _encoded(figure)


def confusion_matrix(confusion: list[list[int]]) -> str:
    """Confusion of parts, as shares of the true part's points."""
    table = np.array(confusion, float)
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    share[table.sum(1) == 0] = np.nan
    figure = Figure(figsize=(8.4, 7.2), layout="constrained")
    axes = figure.subplots()
    mesh = axes.imshow(share * 100, cmap="Blues", vmin=0, vmax=100)
    names = list(FINE_PART_NAMES)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names) - 1), names[1:], fontsize=8)
    axes.set(xlabel="predicted", ylabel="annotated")
    figure.colorbar(mesh, label="points (%)", shrink=0.8)
    for i, j in zip(*np.nonzero(np.nan_to_num(share) >= 0.05)):
        axes.text(
            j, i, f"{share[i, j] * 100:.0f}", ha="center", va="center", fontsize=6,
            color="white" if share[i, j] > 0.5 else "black",
        )  # fmt: skip
    return _encoded(figure)


def learning_curve(losses: dict[str, list[tuple[int, float]]]) -> str:
    """Losses over the iterations of a training run, raw and smoothed.

    Args:
        losses: (iteration, value) in order, by name; "total_loss" is not drawn.
    """
    figure = Figure(figsize=(10.6, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, (name, values) in enumerate(losses.items()):
        if name == "total_loss" or not values:
            continue
        iteration, value = np.array(values).T
        width = max(len(value) // 12, 1)
        padded = np.pad(value, (width // 2, width - 1 - width // 2), mode="edge")
        smooth = np.convolve(padded, np.full(width, 1 / width), mode="valid")
        axes.plot(iteration, value, color=f"C{number % 10}", lw=0.7, alpha=0.3)
        axes.plot(iteration, smooth, color=f"C{number % 10}", lw=2, label=name)
    axes.set(xlabel="step", ylabel="weighted loss", yscale="log")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
    axes.grid(alpha=0.3)
    return _encoded(figure)
