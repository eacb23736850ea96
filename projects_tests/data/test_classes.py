"""One number for each category of datasets that are trained on together."""

import pytest
from detectron2.data import MetadataCatalog

from densepose_ext.data.classes import check_test_classes, joint_classes


@pytest.fixture
def loaded():
    """Metadata of datasets: name -> {category: name of its class}."""
    names = []

    def load(**sets):
        for name, categories in sets.items():
            names.append(name)
            ids = sorted(categories)
            MetadataCatalog.get(name).set(
                thing_classes=[categories[category] for category in ids],
                thing_dataset_id_to_contiguous_id={c: n for n, c in enumerate(ids)},
            )
        return list(sets)

    yield load
    for name in names:
        MetadataCatalog.remove(name)


def test_categories_are_joined_by_their_ids(loaded):
    names = loaded(pets={17: "cat", 18: "dog"}, farm={1: "person", 18: "dog", 20: "sheep"})
    assert joint_classes(names) == (
        ["person", "cat", "dog", "sheep"],
        [{0: 1, 1: 2}, {0: 0, 1: 2, 2: 3}],
    )


def test_the_same_classes_stay_as_they_are_under_any_ids(loaded):
    names = loaded(one={1: "person"}, other={7: "person"})
    assert joint_classes(names) == (["person"], [None, None])
    MetadataCatalog.get("unnamed")
    assert joint_classes(["unnamed"]) == (None, [None])
    MetadataCatalog.remove("unnamed")


@pytest.mark.parametrize("other", [{1: "bear"}, {1: "bear", 2: "person"}, {2: "person", 3: "cat"}])
def test_ids_and_names_must_agree(loaded, other):
    names = loaded(people={1: "person"}, other=other)
    with pytest.raises(ValueError, match=r"'other' has .* but 'people' has \['person'\]"):
        joint_classes(names)


def test_datasets_without_ids_are_not_joined(loaded):
    MetadataCatalog.get("bare").set(thing_classes=["cat"])
    with pytest.raises(ValueError, match=r"'bare' has the classes \['cat'\], but"):
        joint_classes([*loaded(people={1: "person"}), "bare"])
    MetadataCatalog.remove("bare")


def test_a_test_set_has_to_number_classes_as_the_model(loaded):
    loaded(people={1: "person"}, dogs={7: "dog"}, both={1: "person", 7: "dog"}, others={3: "horse"})
    for name in ("people", "both", "others"):
        check_test_classes(name, ["person", "dog"])
    with pytest.raises(ValueError, match=r"'dogs' has 'dog' as class 0.* classes person, dog:"):
        check_test_classes("dogs", ["person", "dog"])
    MetadataCatalog.get("unnamed")
    check_test_classes("unnamed", ["person"])
    MetadataCatalog.remove("unnamed")
