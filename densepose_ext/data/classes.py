"""The classes of datasets that are trained on together: one number for each category."""

from __future__ import annotations

from collections.abc import Sequence

from detectron2.data import MetadataCatalog


def joint_classes(names: Sequence[str]) -> tuple[list[str] | None, list[dict[int, int] | None]]:
    """Numbers the classes of loaded datasets together.

    Datasets with the same list of classes keep it. Others are joined by the ids of their
    categories, in the order of the ids, as in the official project.

    Args:
        names: of datasets in Detectron2's catalogues.

    Returns:
        the names of all classes (None: the datasets do not name them), and for each dataset its own
        number -> joint number (None: they are the same).

    Raises:
        ValueError: an id has different names, or a name different ids.
    """
    found = {name: MetadataCatalog.get(name) for name in names}
    lists = {name: metadata.get("thing_classes") for name, metadata in found.items()}
    expected = lists[names[0]]
    if all(classes == expected for classes in lists.values()):
        return expected, [None] * len(names)
    joint: dict[int, str] = {}
    for name, classes in lists.items():
        number_of = found[name].get("thing_dataset_id_to_contiguous_id") or {}
        named = {category: classes[number] for category, number in number_of.items()}
        joint = named | joint
        agree = named and all(joint[category] == word for category, word in named.items())
        if not agree or len(set(joint.values())) < len(joint):
            raise ValueError(
                f"dataset {name!r} has the classes {classes}, but {names[0]!r} has {expected};"
                " datasets trained together must agree on the names and ids of their categories"
                " (DATASETS.WHITELISTED_CATEGORIES and CATEGORY_MAPS help)"
            )
    place = {category: n for n, category in enumerate(sorted(joint))}
    return [joint[category] for category in place], [
        {
            number: place[category]
            for category, number in found[name].thing_dataset_id_to_contiguous_id.items()
        }
        for name in names
    ]


def check_test_classes(name: str, trained: Sequence[str]) -> None:
    """Checks that a loaded test dataset has the classes of a model under the model's numbers.

    Args:
        name: of the test dataset; classes that the model is not trained on do not matter.
        trained: the names of the model's classes.

    Raises:
        ValueError: it has one under another number: detections would be scored as another class.
    """
    for number, word in enumerate(MetadataCatalog.get(name).get("thing_classes") or ()):
        if word in trained and list(trained[number : number + 1]) != [word]:
            raise ValueError(
                f"test dataset {name!r} has {word!r} as class {number}, counted from 0, but the"
                f" model is trained with the classes {', '.join(trained)}: the categories of its"
                " file have to be those of the training datasets, even if nobody is of them"
            )
