"""The table of geodesics: layout, index types, cache."""

import multiprocessing
import os
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densepose_ext.files.cache import cache_folder, content_key
from densepose_ext.surface.geodesics import GeodesicTable, cached_geodesics, write_geodesics


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def symmetric(n, seed=0):
    matrix = np.random.default_rng(seed).random((n, n)).astype(np.float32)
    matrix = np.maximum(matrix, matrix.T)
    np.fill_diagonal(matrix, 0)
    return matrix


def rows_of(matrix):
    return (matrix[i, :i] for i in range(len(matrix)))


@settings(max_examples=20, deadline=None)
@given(n=st.integers(2, 40), seed=st.integers(0, 99), chunk=st.integers(1, 200))
def test_every_pair_in_both_orders_however_the_rows_come(tmp_path_factory, n, seed, chunk):
    path = tmp_path_factory.mktemp("table") / "table.npy"
    matrix = symmetric(n, seed)
    flat = np.concatenate(list(rows_of(matrix)))
    write_geodesics(path, n, (flat[k : k + chunk] for k in range(0, len(flat), chunk)))
    i, j = np.mgrid[:n, :n]
    np.testing.assert_array_equal(GeodesicTable(path).distances(i, j), matrix)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.uint32, np.int64, np.uint64])
def test_small_index_types_do_not_wrap_round(kind):
    n = min(2000, np.iinfo(kind).max)  # 2000 * 1999 / 2 passes 16 bits
    matrix = symmetric(n)
    table = cached_geodesics("test", str(n), n, lambda: rows_of(matrix))
    random = np.random.default_rng(1)
    i, j = random.integers(0, n, (2, 500)).astype(kind)
    np.testing.assert_array_equal(table.distances(i, j), matrix[i, j])


def test_broadcasts_and_accepts_nothing():
    matrix = symmetric(9)
    table = cached_geodesics("test", "k", 9, lambda: rows_of(matrix))
    np.testing.assert_array_equal(table.distances(4, np.arange(9)), matrix[4])
    assert table.distances([], []).shape == (0,)


def test_bad_indices_are_named():
    table = cached_geodesics("test", "k", 9, lambda: rows_of(symmetric(9)))
    with pytest.raises(IndexError, match=r"from 9 to 9.*0 to 8"):
        table.distances(9, 1)
    with pytest.raises(IndexError, match="-1"):
        table.distances([1, -1], 1)
    with pytest.raises(TypeError, match="float64"):
        table.distances(1.5, 1)


def test_built_once():
    matrix = symmetric(30)
    cached_geodesics("test", "k", 30, lambda: rows_of(matrix))
    table = cached_geodesics("test", "k", 30, lambda: pytest.fail("built twice"))
    assert table.distances(1, 2) == matrix[1, 2]


@pytest.mark.parametrize("rows", [[np.ones(2)], [np.ones(4)], [np.ones(3), np.ones(9)]])
def test_wrong_number_of_distances_leaves_nothing(cache, rows):
    with pytest.raises(ValueError, match="expected 3"):
        cached_geodesics("test", "k", 3, lambda: rows)
    assert not [path for path in cache.iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize("value", [-1.0, np.nan])
def test_values_that_are_no_distances(tmp_path, value):
    with pytest.raises(ValueError, match=str(value)):
        write_geodesics(tmp_path / "table.npy", 3, [np.array([1, value, 1])])


def test_shortened_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "table.npy"
    write_geodesics(path, 9, rows_of(symmetric(9)))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"table\.npy"):
        GeodesicTable(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"table\.npy"):
        GeodesicTable(path)


def _build(folder, log):
    os.environ["DENSEPOSE_EXT_CACHE"] = folder

    def rows():
        with open(log, "a") as stream:
            stream.write("built\n")
        time.sleep(0.3)
        yield from rows_of(symmetric(50))

    assert cached_geodesics("test", "k", 50, rows).num_vertices == 50


def test_two_processes_at_once_build_one_table(tmp_path, cache):
    log = tmp_path / "log"
    fork = multiprocessing.get_context("fork")
    processes = [fork.Process(target=_build, args=(str(cache), str(log))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
        assert process.exitcode == 0
    assert log.read_text() == "built\n"


def test_key_follows_content_and_is_remembered(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    assert content_key(first) == content_key(second)
    first.write_bytes(b"other")
    os.utime(first, ns=(1, 1))
    changed = content_key(first)
    assert changed != content_key(second)
    # same size and time of change: the file is not read again, as 1.5 GB should not be
    first.write_bytes(b"OTHER")
    os.utime(first, ns=(1, 1))
    assert content_key(first) == changed


def test_spoilt_memory_of_keys_is_only_a_slower_start(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"content")
    key = content_key(path)
    (cache_folder() / "content-keys-v1.json").write_text("{")
    assert content_key(path) == key
