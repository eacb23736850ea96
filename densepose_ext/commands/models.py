"""``densepose-ext models``: list the shipped and official models."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    parser.add_argument("name", nargs="?", help="print the paths of this model's files")


def run(args: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    if args.name:
        _print_one(args.name)
    else:
        _print_all()
    return 0


def _print_one(name: str) -> None:
    from ..files.download import cached_path
    from ..model_zoo import get, names, official

    if name in names():
        shipped = get(name)
        rows = {"config": shipped.config, "weights": shipped.weights, "card": shipped.card}
    else:
        from ..model_zoo.official_models import LICENCE

        model = official(name)
        path = cached_path(model.url)
        state = "cached" if path.is_file() else "downloaded on first use"
        rows = {"config": model.config, "URL": model.url, "weights": f"{path} ({state})"}
        rows["licence"] = LICENCE
    for key, value in rows.items():
        print(f"{key:<9}{value}")


def _print_all() -> None:
    import os

    from ..files.download import cached_path
    from ..model_zoo import DEFAULT, get, names, official, official_names
    from ..model_zoo.official_models import LICENCE

    print("shipped with the package, trained on renderings, Apache-2.0:")
    for name in names():
        megabytes = os.path.getsize(get(name).weights) / 1e6
        default = "  default" if name == DEFAULT else ""
        print(f"  {name}  {megabytes:.1f} MB{default}")
    print(f"\nofficial, downloaded once ({LICENCE}):")
    models = [official(name) for name in official_names()]
    width = max(len(model.name) for model in models)
    heads = ("box AP", "segm AP", "GPS AP", "GPSm AP", "MB")
    print(f"  {'':<{width}}" + "".join(f"{head:>9}" for head in heads) + "  cached")
    for model in models:
        figures = (model.box_ap, model.segm_ap, model.gps_ap, model.gpsm_ap)
        cached = "yes" if cached_path(model.url).is_file() else "no"
        print(
            f"  {model.name:<{width}}"
            + "".join(f"{figure:>9.1f}" for figure in figures)
            + f"{model.megabytes:>9.0f}  {cached}"
        )
    print(
        "\nThe official models' scores are the published ones: on COCO minival; for animals and"
        "\nevolution/, on their own test sets. They were not measured again."
    )
