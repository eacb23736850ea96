"""The official data files: closest vertices, geodesics, and what is wrong with a file."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat
from scipy.spatial.distance import cdist

from densepose_ext.surface.official import OfficialSurface, download_cache
from densepose_ext.surface.pickled_array import read_pickled_array
from projects_tests.reference import ROOT

CONFORMANCE = os.environ.get("DENSEPOSE_EXT_CONFORMANCE", ROOT.parent / "shared" / "conformance")
FOLDER = Path(CONFORMANCE) / "evaluation"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DENSEPOSE_EXT_CACHE", str(tmp_path / "cache"))


def write_surface(folder, n=40, m=60, index_type=np.int64, seed=0):
    """A made-up surface in the official forms. Returns (parts, uv, vertices, distances)."""
    random = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    parts = random.integers(1, 4, m)
    uv = random.integers(0, 6, (m, 2)) / 5  # a coarse grid: many ties
    vertices = random.integers(0, n, m)
    vertices[0] = n - 1
    matrix = np.abs(random.normal(size=(n, n))).astype(np.float32)
    lower = np.concatenate([matrix[i, :i] for i in range(n)])
    savemat(
        folder / "SMPL_subdiv.mat",
        {"U_subdiv": uv[:, 0], "V_subdiv": uv[:, 1], "Part_ID_subdiv": parts.astype(np.uint8)},
    )
    index = (vertices[:, None] + 1).astype(index_type)
    savemat(folder / "SMPL_SUBDIV_TRANSFORM.mat", {"index": index})
    with open(folder / "Pdist_matrix.pkl", "wb") as stream:
        pickle.dump({"Pdist_matrix": lower[:, None]}, stream, protocol=2)
    full = np.tril(matrix, -1)
    return parts, uv, vertices, full + full.T


@pytest.mark.parametrize("index_type", [np.uint8, np.uint16, np.int32, np.int64])
def test_geodesics_for_every_index_type(tmp_path, index_type):
    n = 200  # 200 * 199 / 2 passes 8 bits; test_geodesics goes past 16
    _, _, _, matrix = write_surface(tmp_path / "s", n=n, m=400, index_type=index_type)
    surface = OfficialSurface(tmp_path / "s")
    parts = np.repeat([1, 2, 3], 50)
    u, v = np.random.default_rng(1).random((2, 150))
    a = surface.closest_vertex(parts, u, v)
    b = surface.closest_vertex(parts, v, u)
    assert a.dtype == np.int64
    np.testing.assert_array_equal(surface.geodesic(a, b), matrix[a, b])


def test_closest_vertex_is_the_first_on_ties(tmp_path):
    parts, uv, vertices, _ = write_surface(tmp_path / "s", m=200)
    surface = OfficialSurface(tmp_path / "s")
    grid = np.stack(np.meshgrid(np.arange(11) / 10, np.arange(11) / 10), -1).reshape(-1, 2)
    for part in (1, 2, 3):
        of_part = np.flatnonzero(parts == part)
        expected = vertices[of_part[cdist(grid, uv[of_part]).argmin(1)]]
        found = surface.closest_vertex(np.full(len(grid), part), grid[:, 0], grid[:, 1])
        np.testing.assert_array_equal(found, expected)


def test_converted_once_and_without_the_pickle_in_memory(tmp_path, monkeypatch):
    write_surface(tmp_path / "s")
    surface = OfficialSurface(tmp_path / "s")
    before = surface.geodesic(3, 7)
    monkeypatch.setattr(
        "densepose_ext.surface.geodesics.write_geodesics",
        lambda *arguments: pytest.fail("converted twice"),
    )
    assert OfficialSurface(tmp_path / "s").geodesic(7, 3) == before


@pytest.mark.slow
def test_conversion_in_bounded_memory(tmp_path):
    n = 9000  # 162 MB as float32, 240 MB as the text that Python 3 writes
    write_surface(tmp_path / "s", n=3)
    random = np.random.default_rng(0)
    distances = random.random((n * (n - 1) // 2, 1), np.float32)
    with open(tmp_path / "s/Pdist_matrix.pkl", "wb") as stream:
        pickle.dump({"Pdist_matrix": distances}, stream, protocol=4)
    code = (
        "import resource, sys; from densepose_ext.surface.official import OfficialSurface;"
        "surface = OfficialSurface(sys.argv[1]);"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "print(surface.geodesic(8999, 8998));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    output = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        capture_output=True, text=True, check=True, cwd=ROOT,
    ).stdout.split()  # fmt: skip
    assert np.float32(output[0]) == distances[-1, 0]
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(output[1]) * unit < 80e6


@pytest.mark.parametrize(
    ("protocol", "length"),
    # protocols 0 and 1 are text: no large file has them
    [(p, n) for p in range(pickle.HIGHEST_PROTOCOL + 1) for n in (10, 5000, 3_000_000)[: 1 + p]],
)
def test_pickles_of_every_protocol(tmp_path, protocol, length):
    values = np.random.default_rng(0).random((length, 1)).astype(np.float32)
    path = tmp_path / "array.pkl"
    with open(path, "wb") as stream:
        pickle.dump({"other": 1, "Pdist_matrix": values}, stream, protocol=protocol)
    stored = read_pickled_array(path, "Pdist_matrix")
    assert stored.shape == (length, 1)
    np.testing.assert_array_equal(np.concatenate(list(stored.values())), values[:, 0])


def test_a_pickle_of_python_2(tmp_path):
    """What Python 2 wrote: byte strings, module names of its time."""
    values = np.arange(3000, dtype="<f4")
    data = (
        b"\x80\x02}U\x0cPdist_matrixcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\x00\x85U\x01b\x87R(K\x01M\xb8\x0bK\x01\x86cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"
        + (12000).to_bytes(4, "little")
        + values.tobytes()
        + b"tbs."
    )
    (tmp_path / "p.pkl").write_bytes(data)
    reference = pickle.loads(data, encoding="latin1")["Pdist_matrix"]
    stored = read_pickled_array(tmp_path / "p.pkl", "Pdist_matrix")
    assert stored.shape == reference.shape
    np.testing.assert_array_equal(np.concatenate(list(stored.values())), values)


class _Malicious:
    def __reduce__(self):
        return os.system, ("echo owned",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(_Malicious()), "system"),
        (pickle.dumps({"Pdist_matrix": _Malicious()}), "system"),
        (b"not a pickle", "not a pickle of"),
        (b"", "not a pickle of"),
        (pickle.dumps({"other": np.ones(3)}), "Pdist_matrix"),
        (pickle.dumps([1]), "Pdist_matrix"),
        (pickle.dumps({"Pdist_matrix": np.ones((9999, 1))}, protocol=4)[:60000], "not a pickle of"),
        (pickle.dumps({"Pdist_matrix": np.ones((4, 1), np.float32)}, protocol=2), "4 distances"),
        (pickle.dumps({"Pdist_matrix": np.ones((3, 1), np.float32)}, protocol=2), "n = 40"),
    ],
)
def test_unusable_pickles_are_named(tmp_path, content, message):
    write_surface(tmp_path / "s")
    (tmp_path / "s/Pdist_matrix.pkl").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        OfficialSurface(tmp_path / "s").geodesic(0, 1)
    assert "Pdist_matrix.pkl" in str(error.value)


@pytest.mark.parametrize(
    "name", ["SMPL_subdiv.mat", "SMPL_SUBDIV_TRANSFORM.mat", "Pdist_matrix.pkl"]
)
def test_a_missing_file_says_which_where_and_how(tmp_path, name):
    write_surface(tmp_path / "s")
    (tmp_path / "s" / name).unlink()
    with pytest.raises(FileNotFoundError) as error:
        OfficialSurface(tmp_path / "s").geodesic(0, 1)
    for part in (
        name,
        str(tmp_path / "s"),
        f"https://dl.fbaipublicfiles.com/densepose/data/{name}",
    ):
        assert part in str(error.value)


def test_unusable_matrices_are_named(tmp_path):
    folder = tmp_path / "s"
    for contents, message in [
        ({"index": np.zeros((60, 1), int)}, "under 1"),
        ({"index": np.ones((7, 1), int)}, "7 vertices"),
        ({"other": np.ones(3)}, "no matrix of numbers index"),
        ({"index": np.ones((0, 1))}, "empty"),
        ({"index": "text"}, "no matrix of numbers index"),
    ]:
        write_surface(folder)
        savemat(folder / "SMPL_SUBDIV_TRANSFORM.mat", contents)
        with pytest.raises(ValueError, match=message):
            OfficialSurface(folder).closest_vertex([1], [0.5], [0.5])
    (folder / "SMPL_SUBDIV_TRANSFORM.mat").write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"TRANSFORM\.mat is not a readable MATLAB"):
        OfficialSurface(folder).closest_vertex([1], [0.5], [0.5])


def test_bad_points_are_named(tmp_path):
    write_surface(tmp_path / "s")
    surface = OfficialSurface(tmp_path / "s")
    with pytest.raises(ValueError, match="part 25"):
        surface.closest_vertex([25], [0.5], [0.5])
    with pytest.raises(ValueError, match="finite"):
        surface.closest_vertex([1], [np.nan], [0.5])
    assert surface.closest_vertex([], [], []).shape == (0,)


def test_folder(tmp_path, monkeypatch):
    with pytest.raises(NotADirectoryError, match="nowhere"):
        OfficialSurface(tmp_path / "nowhere")
    monkeypatch.setenv("FVCORE_CACHE", str(tmp_path))
    assert OfficialSurface().folder == download_cache() == tmp_path / "densepose" / "data"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no conformance folder")
def test_made_up_official_files():
    surface = OfficialSurface(FOLDER)
    chart = loadmat(FOLDER / "SMPL_subdiv.mat")
    parts, u, v = (chart[k].ravel() for k in ("Part_ID_subdiv", "U_subdiv", "V_subdiv"))
    index = loadmat(FOLDER / "SMPL_SUBDIV_TRANSFORM.mat")["index"].ravel() - 1
    with open(FOLDER / "Pdist_matrix.pkl", "rb") as stream:
        flat = pickle.load(stream, encoding="latin1")["Pdist_matrix"].ravel()
    queries = np.random.default_rng(0).integers(0, 256, (2, 3000)) / 255
    of = np.random.default_rng(1).choice(np.unique(parts), 3000)
    expected = np.empty(3000, int)
    for part in np.unique(of):
        mine, of_part = of == part, np.flatnonzero(parts == part)
        nearest = cdist(queries[:, mine].T, np.stack([u, v], 1)[of_part]).argmin(1)
        expected[mine] = index[of_part[nearest]]
    found = surface.closest_vertex(of, *queries)
    np.testing.assert_array_equal(found, expected)
    a, b = np.maximum(found[:1500], found[1500:]), np.minimum(found[:1500], found[1500:])
    expected = np.where(a == b, 0, flat[np.where(a == b, 0, a * (a - 1) // 2 + b)])
    np.testing.assert_array_equal(surface.geodesic(found[1500:], found[:1500]), expected)
