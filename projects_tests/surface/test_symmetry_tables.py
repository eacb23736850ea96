"""The mirror map of the official charts, out of their tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from densepose_ext.surface.official import OfficialSurface
from densepose_ext.surface.parts import FINE_MIRROR
from densepose_ext.surface.symmetry import SYMMETRY_FILE, MirrorTables
from projects_tests.reference import conformance_file

KEYS = ("U_transforms", "V_transforms")


def tables(seed: int = 0) -> dict[str, np.ndarray]:
    """Random ones, in the official form: (1, 24) of objects of 256 x 256."""
    rng = np.random.default_rng(seed)
    made = {}
    for key in KEYS:
        made[key] = np.empty((1, 24), dtype=object)
        made[key][0] = [rng.random((256, 256)) for _ in range(24)]
    return made


@pytest.fixture(scope="module")
def contents():
    return tables()


@pytest.fixture(scope="module")
def path(contents, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / SYMMETRY_FILE
    savemat(path, contents)
    return path


@pytest.fixture(scope="module")
def mirror(path):
    return MirrorTables(path).mirror


def test_looked_up_at_v_and_u_truncated_in_the_part_before_the_flip(mirror, contents):
    rng = np.random.default_rng(1)
    i = rng.integers(1, 25, 500)
    u, v = rng.random((2, 500), dtype=np.float32)
    found_i, found_u, found_v = mirror(i, u, v)
    for n in range(500):
        place = int(v[n] * 255), int(u[n] * 255)
        assert found_i[n] == FINE_MIRROR[i[n]]
        assert found_u[n] == np.float32(contents["U_transforms"][0, i[n] - 1][place])
        assert found_v[n] == np.float32(contents["V_transforms"][0, i[n] - 1][place])


def test_parts_go_left_to_right_and_back(mirror):
    i = np.arange(1, 25)
    zeros = np.zeros(24)
    there = mirror(i, zeros, zeros)[0]
    assert there.tolist()[:6] == [1, 2, 4, 3, 6, 5]
    np.testing.assert_array_equal(mirror(there, zeros, zeros)[0], i)


@pytest.mark.parametrize(("value", "place"), [(0, 0), (1, 255), (1.001, 255), (-0.001, 0)])
def test_corners_and_rounding_errors(mirror, contents, value, place):
    _, u, v = mirror(np.array([7]), np.array([value]), np.array([value]))
    assert u[0] == np.float32(contents["U_transforms"][0, 6][place, place])
    assert v[0] == np.float32(contents["V_transforms"][0, 6][place, place])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=3))
def test_any_shape(mirror, shape):
    i = np.full(shape, 3)
    assert [values.shape for values in mirror(i, i * 0.1, i * 0.2)] == [tuple(shape)] * 3


def test_a_single_file_is_a_surface_that_flips(path):
    surface = OfficialSurface(path.parent)
    expected = MirrorTables(path).mirror(np.array([5]), np.array([0.3]), np.array([0.6]))
    np.testing.assert_array_equal(surface.mirror(np.array([5]), [0.3], [0.6]), expected)


@pytest.mark.skipif(
    conformance_file(f"annotations/{SYMMETRY_FILE}") is None, reason="no conformance folder"
)
def test_the_official_form():
    found = MirrorTables(conformance_file(f"annotations/{SYMMETRY_FILE}"))
    assert found.tables.shape == (2, 24, 256, 256)
    assert np.isfinite(found.tables).all()


def without(key):
    return lambda made: made.pop(key)


def short(made):
    made["V_transforms"] = made["V_transforms"][:, :23]


def small(made):
    made["U_transforms"][0, 5] = np.zeros((255, 256))


def empty(made):
    made["U_transforms"][0, 5] = np.zeros((0, 0))


def no_real_numbers(made):
    made["U_transforms"][0, 5] = np.zeros((256, 256), complex)


def no_number(made):
    made["V_transforms"][0, 5] = np.full((256, 256), np.nan)


def one_array(made):
    made["U_transforms"] = np.zeros((24, 256, 256))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "key"),
    [
        (without("U_transforms"), "U_transforms"),
        (without("V_transforms"), "V_transforms"),
        (short, "V_transforms"),
        (small, "U_transforms"),
        (empty, "U_transforms"),
        (no_real_numbers, "U_transforms"),
        (one_array, "U_transforms"),
    ],
)
def test_tables_of_another_form(tmp_path, change, key):
    made = tables()
    change(made)
    path = tmp_path / SYMMETRY_FILE
    savemat(path, made)
    with pytest.raises(ValueError, match=rf"{SYMMETRY_FILE}: expected {key} with 24 tables of 256"):
        MirrorTables(path)


def test_tables_that_are_not_finite(tmp_path):
    made = tables()
    no_number(made)
    savemat(tmp_path / SYMMETRY_FILE, made)
    with pytest.raises(ValueError, match=rf"{SYMMETRY_FILE}: V_transforms has values that are not"):
        MirrorTables(tmp_path / SYMMETRY_FILE)


@pytest.mark.slow
@pytest.mark.parametrize("compress", [True, False])
def test_damaged_files(tmp_path, contents, compress):
    made = tmp_path / "made.mat"
    flat = {key: table.copy() for key, table in contents.items()}
    for table in flat.values():
        table[0] = [np.zeros((256, 256))] * 24
    savemat(made, flat, do_compression=compress)
    stored = made.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / SYMMETRY_FILE
    damaged = [stored[: rng.integers(len(stored))] for _ in range(20)]
    if compress:  # zlib notices; the process does not survive all that scipy does not notice
        middle = len(stored) // 2
        damaged.append(stored[:middle] + b"\xff" * 8 + stored[middle + 8 :])
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=SYMMETRY_FILE):
            MirrorTables(path)


@pytest.mark.parametrize("content", [b"", b"no MATLAB file", b"\x89HDF\r\n\x1a\n" + bytes(600)])
def test_files_that_are_no_matlab_files(tmp_path, content):
    path = tmp_path / SYMMETRY_FILE
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{SYMMETRY_FILE} is not a readable MATLAB file"):
        MirrorTables(path)


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"UV_symmetry_transforms\.mat.*https://"):
        OfficialSurface(tmp_path).mirror(np.array([1]), np.array([0.0]), np.array([0.0]))
