import contextlib
import json
import os
import re
import subprocess
import time
from dataclasses import replace

import numpy as np
import pytest

from densepose_ext.annotation import leases
from densepose_ext.annotation.leases import Leases
from densepose_ext.annotation.store import Conflict, Store, Who
from densepose_ext.commands.main import main
from densepose_ext.data.annotation_file import read_annotations
from densepose_ext.data.rle import encode_part_masks, paint_part_masks
from densepose_ext.processes.bare import command
from projects_tests.annotation.small_project import (
    OTHER,
    WHO,
    annotate_person,
    example,
    make_pictures,
    open_store,
    place_all,
    regions,
    true_iuv,
    truth,
    views,
)
from projects_tests.reference import ROOT
from projects_tests.tiny_dataset import make_dataset


def written(folder) -> dict:
    return json.loads((folder / "annotations.json").read_text())


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a project with one person, annotated and accepted."""
    folder = tmp_path_factory.mktemp("finished")
    store = open_store(folder)
    person = annotate_person(store)
    store.accept(person, WHO)
    store.close()
    return folder


@pytest.mark.slow
class TestWhatIsWritten:
    def test_check_finds_nothing_wrong(self, finished, capsys, caplog):
        file = str(finished / "annotations.json")
        assert main(["check", file, "--images", str(finished / "pictures")]) == 0
        assert not caplog.records
        assert re.search(r"people with dense pose +1\n", capsys.readouterr().out)

    def test_points_are_where_they_were_clicked(self, finished):
        [person] = read_annotations(finished / "annotations.json").people
        body = views().body
        x0, y0, w, h = person["bbox"]
        true = [
            true_iuv(x0 + x * w / 256, y0 + y * h / 256)
            for x, y in zip(person["dp_x"], person["dp_y"])
        ]
        expected = body.points(*np.array(true).T)
        places = body.points(person["dp_I"].astype(int), person["dp_U"], person["dp_V"])
        distance = np.linalg.norm(places - expected, axis=1)
        assert np.median(distance) < 1e-4
        # at a border of charts, U and V in 5 digits may be of the triangle beside
        assert distance.max() < 0.012
        near = np.linalg.norm(body.places[person["dp_vertex"]] - places, axis=1)
        assert near.max() < 0.03
        assert person["ref_model"] == "open"
        assert len(places) > 60

    def test_masks_and_silhouette(self, finished):
        [person] = written(finished)["annotations"]
        assert (paint_part_masks(person["dp_masks"]) == regions()).all()
        [record] = read_annotations(finished / "annotations.json").people
        assert record["area"] == pytest.approx(truth()["area"], rel=0.1)

    def test_it_evaluates_and_trains(self, finished):
        from densepose_ext.data.coco import load_densepose_coco
        from densepose_ext.evaluation.people import GroundTruth

        file = finished / "annotations.json"
        for by_vertices in (False, True):
            [person] = GroundTruth(file, by_vertices=by_vertices).people(1)
            assert person.has_points
            assert person.mask().pixels.any()
        [image] = load_densepose_coco(file, finished / "pictures", surface="open")
        assert "dp_U" in image["annotations"][0]

    def test_it_comes_back_as_people(self, finished, tmp_path):
        store = open_store(tmp_path, people=finished / "annotations.json")
        [person] = store.project.people.values()
        assert person.stage == "review"
        store.save()
        store.close()
        keys = ("bbox", "dp_I", "dp_U", "dp_V", "dp_vertex", "dp_masks", "area")
        before, after = (written(f)["annotations"][0] for f in (finished, tmp_path))
        assert {key: before[key] for key in keys} == {key: after[key] for key in keys}
        assert np.allclose(before["dp_x"], after["dp_x"], atol=2e-3)


class TestOneProject:
    def test_the_log_is_the_project(self, store, tmp_path):
        person = store.add_person(1, truth()["bbox"], WHO).id
        store.lease(person, WHO)
        store.paint(person, regions(), WHO)
        store.finish_regions(person, WHO)
        store.cannot_tell(person, 3, WHO)
        before = store.project.people
        store.close()
        again = open_store(tmp_path)
        assert again.project.people == before
        again.close()

    def test_it_is_open_once(self, store, tmp_path):
        with pytest.raises(ValueError, match="open in another program"):
            open_store(tmp_path)

    def test_files_of_others_are_not_overwritten(self, tmp_path):
        file = tmp_path / "annotations.json"
        file.write_text("mine")
        with pytest.raises(ValueError, match="exists, but has no log"):
            open_store(tmp_path)
        assert file.read_text() == "mine"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["annotations.json", "pictures"]

    def test_a_folder_is_no_file_to_write(self, tmp_path):
        make_pictures(tmp_path / "pictures")
        with pytest.raises(IsADirectoryError, match="pictures is a folder, expected a file"):
            Store(tmp_path / "pictures", tmp_path / "pictures", views())

    def test_new_pictures_are_taken_in(self, store, tmp_path):
        store.close()
        (tmp_path / "pictures" / "0.png").write_bytes((tmp_path / "pictures/1.png").read_bytes())
        (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
        again = open_store(tmp_path)
        names = {key: picture.file_name for key, picture in again.project.pictures.items()}
        assert names == {1: "1.png", 2: "0.png"}
        assert len(again.faults) == 1
        assert "broken.png" in again.faults[0]
        again.close()

    def test_what_lies_outside_is_not_read(self, tmp_path):
        pictures = make_pictures(tmp_path / "pictures")
        outside = tmp_path / "outside.png"
        outside.write_bytes((pictures / "1.png").read_bytes())
        (pictures / "link.png").symlink_to(outside)
        store = open_store(tmp_path)
        assert [p.file_name for p in store.project.pictures.values()] == ["1.png"]
        store.close()

    def test_another_body(self, store, tmp_path, monkeypatch):
        store.close()
        monkeypatch.setattr(type(views().body.surface), "name", "smpl")
        with pytest.raises(ValueError, match="created with --surface open, not smpl"):
            open_store(tmp_path)


class TestPeople:
    def test_somebody_elses_person(self, store):
        person = store.add_person(1, truth()["bbox"], WHO).id
        with pytest.raises(Conflict, match="has expired"):
            store.paint(person, regions(), WHO)
        assert store.lease(person, WHO)
        assert not store.lease(person, OTHER)
        with pytest.raises(Conflict, match="Ada is working on person 1"):
            store.paint(person, regions(), OTHER)
        assert store.next_person("regions", OTHER) is None
        store.release(person, OTHER)
        assert store.next_person("regions", OTHER) is None
        store.release(person, WHO)
        assert store.next_person("regions", OTHER).id == person

    def test_a_page_goes_on_after_its_lease_if_nobody_came_between(self, store):
        person = store.add_person(1, truth()["bbox"], WHO).id
        page = replace(WHO, version=store.project.people[person].version)
        store.paint(person, regions(), page)
        assert store.leases.holder(person) == "Ada"
        store.release(person, WHO)
        with pytest.raises(Conflict, match="has expired"):  # the page has seen the version before
            store.paint(person, regions(), page)

    def test_the_number_of_a_removed_person_is_not_used_again(self, store, tmp_path):
        person = store.add_person(1, truth()["bbox"], WHO).id
        store.lease(person, WHO)
        store.remove(person, WHO)
        with pytest.raises(Conflict, match="person 1 has been removed"):
            store.lease(person, WHO)
        store.close()
        with contextlib.closing(open_store(tmp_path)) as again:
            assert again.add_person(1, truth()["bbox"], WHO).id == person + 1

    def test_leases_end(self):
        now = [0.0]
        held = Leases(lambda: now[0])
        assert held.take(1, "a", "Ada")
        now[0] = leases.DURATION - 1
        assert not held.take(1, "b", "Bob")
        assert held.take(1, "a", "Ada")
        now[0] += leases.DURATION + 1
        assert held.holder(1) is None
        assert held.take(1, "b", "Bob")
        assert not held.holds(1, "a")

    def test_a_page_that_is_out_of_date(self, store):
        person = store.add_person(1, truth()["bbox"], WHO).id
        store.lease(person, WHO)
        version = store.project.people[person].version
        stale = Who(WHO.name, WHO.session, version)
        store.paint(person, regions(), stale)
        with pytest.raises(Conflict, match="has changed"):
            store.paint(person, regions() * 0, stale)
        assert (paint_part_masks(store.project.people[person].regions) == regions()).all()

    @pytest.mark.parametrize("box", [[0, 0, 1, 50], [500, 0, 50, 50], [0, 0, 9, np.nan], [1, 2]])
    def test_boxes_that_are_none(self, store, box):
        with pytest.raises(ValueError, match="box"):
            store.add_person(1, box, WHO)

    def test_a_box_is_cut_at_the_border(self, store):
        assert store.add_person(1, [-20, 10, 100, 1000], WHO).box == [0, 10, 80, 182]

    def test_regions_stay_in_place_when_the_box_moves(self, store):
        person = store.add_person(1, [20, 20, 64, 128], WHO).id
        store.lease(person, WHO)
        painted = np.zeros((256, 256), np.uint8)
        painted[64:128, 128:] = 14
        store.paint(person, painted, WHO)
        store.set_box(person, [20, 20, 128, 128], WHO)
        moved = paint_part_masks(store.project.people[person].regions)
        expected = np.zeros((256, 256), np.uint8)
        expected[64:128, 64:128] = 14
        assert (moved == expected).all()

    def test_points_that_are_laid_again_keep_their_answers(self, store):
        person = store.add_person(1, truth()["bbox"], WHO).id
        store.lease(person, WHO)
        painted = np.zeros((256, 256), np.uint8)
        painted[:80], painted[100:200] = 14, 1
        store.paint(person, painted, WHO)
        store.finish_regions(person, WHO)
        for point in (0, 20):
            store.cannot_tell(person, point, WHO)
        before = store.project.people[person].points[20]
        store.send_back(person, "regions", "the torso is larger", WHO)
        painted[200:240] = 1
        store.paint(person, painted, WHO)
        store.finish_regions(person, WHO)
        found = store.project.people[person]
        torso = [n for n, point in enumerate(found.points) if point[2] == 1]
        answered = {found.points[n] for n in found.answers[0]}
        assert before in answered  # the head's
        assert not set(torso) & set(found.answers[0])

    def test_a_person_in_need_of_regions(self, store):
        person = store.add_person(1, truth()["bbox"], WHO).id
        store.lease(person, WHO)
        with pytest.raises(ValueError, match="has no regions"):
            store.finish_regions(person, WHO)
        with pytest.raises(Conflict, match="'regions', not 'points'"):
            store.cannot_tell(person, 0, WHO)
        with pytest.raises(ValueError, match="regions of shape"):
            store.paint(person, np.full((256, 256), 15, np.uint8), WHO)

    def test_nobody_can_tell_anything(self, store, tmp_path):
        person = store.add_person(1, truth()["bbox"], WHO).id
        store.lease(person, WHO)
        store.paint(person, regions(), WHO)
        store.finish_regions(person, WHO)
        store.finish_points(person, WHO)
        store.save()
        [record] = written(tmp_path)["annotations"]
        assert "dp_masks" in record
        assert "dp_x" not in record
        [read] = read_annotations(tmp_path / "annotations.json").people
        assert read["area"] > 0

    def test_pictures_whose_boxes_are_not_drawn_are_not_empty(self, store, tmp_path):
        store.save()
        assert written(tmp_path)["images"] == []
        store.set_boxes_done(1, True, WHO)
        store.save()
        assert [image["id"] for image in written(tmp_path)["images"]] == [1]


@pytest.mark.slow
class TestTwoAnnotators:
    def test_each_places_all_points(self, tmp_path):
        store = open_store(tmp_path, annotators=2)
        person = annotate_person(store)
        found = store.project.people[person]
        assert found.stage == "points"
        assert store.next_person("points", WHO) is None
        store.release(person, WHO)
        assert store.next_person("points", OTHER).id == person
        store.cannot_tell(person, 0, OTHER)
        place_all(store, person, OTHER)
        assert found.stage == "review"
        assert found.annotators == ["Ada", "Bob"]
        assert found.answers[0] != {} != found.answers[1]
        first = found.answer(0)
        store.take(person, 0, 1, OTHER)
        assert found.answer(0) is found.answers[1][0]
        assert first is found.answers[0][0]
        store.close()


class TestPeopleFromAFile:
    def test_masks_and_keypoints_are_kept(self, tmp_path):
        file = make_dataset(tmp_path / "data", images=2, dense=lambda number: number == 2)
        options = (tmp_path / "data", tmp_path / "annotations.json", views())
        store = Store(*options, people=file)
        stages = [person.stage for person in store.project.people.values()]
        assert stages == ["regions", "regions", "review", "review"]
        store.save()
        store.close()
        kept = ("bbox", "segmentation", "keypoints", "num_keypoints", "area", "iscrowd")
        before = json.loads(file.read_text())["annotations"]
        after = written(tmp_path)["annotations"]
        assert len(before) == len(after)
        for old, new in zip(before, after):
            assert {key: new[key] for key in kept} == {key: old[key] for key in kept}
        again = Store(*options, people=file)
        assert len(again.project.people) == 4
        again.close()

    def test_a_file_of_other_pictures(self, tmp_path):
        file = make_dataset(tmp_path / "data")
        contents = json.loads(file.read_text())
        for image in contents["images"]:
            image["file_name"] = "x" + image["file_name"]
        file.write_text(json.dumps(contents))
        with pytest.raises(ValueError, match="none of its 3 images is among the pictures"):
            Store(tmp_path / "data", tmp_path / "annotations.json", views(), people=file)

    def test_pictures_of_another_size(self, tmp_path):
        file = make_dataset(tmp_path / "data")
        contents = json.loads(file.read_text())
        contents["images"][0]["width"] = 100
        file.write_text(json.dumps(contents))
        with pytest.raises(ValueError, match=r"image 1 has 100 x 160 pixels, .* has 200 x 160"):
            Store(tmp_path / "data", tmp_path / "annotations.json", views(), people=file)


ANNOTATOR = """
import sys
from pathlib import Path
from projects_tests.annotation.small_project import *
store = open_store(Path(sys.argv[1]))
person = store.add_person(1, truth()["bbox"], WHO).id
store.lease(person, WHO)
store.paint(person, regions(), WHO)
store.finish_regions(person, WHO)
print("ready", flush=True)
for n in range(10**6):
    store.cannot_tell(person, n % 50, WHO)
    print(n, flush=True)
"""


@pytest.mark.slow
def test_killed_while_annotating(tmp_path):
    """Actions that were acknowledged are there when the project is opened again."""
    example()
    process = subprocess.Popen(
        [*command(ANNOTATOR), str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.7)
    process.kill()
    lines = process.communicate()[0].split()
    store = open_store(tmp_path)
    [person] = store.project.people.values()
    # 1 add + 1 paint + 1 lay come before the answers
    assert len(lines) <= person.version - 3 + 1 <= len(lines) + 2
    store.save()
    store.close()
    assert len(written(tmp_path)["annotations"]) == 1
    assert encode_part_masks(regions()) == written(tmp_path)["annotations"][0]["dp_masks"]
