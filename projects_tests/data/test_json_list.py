"""Long JSON lists: the same entries as json.loads gives, in any pieces and encoding."""

import gzip
import json

import pytest

from densepose_ext.data import json_list
from densepose_ext.data.json_list import json_entries, read_entry

ENTRIES = [
    {"name": 'Zoë [1], "x\\', "box": [1.5, -2e3], "more": {"a": None, "b": [True, {}]}},
    17,
    "}, {",
    {"name": "日本\u2028\x7f", "data": "A" * 100},
    [],
]


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("indent", [None, 1])
def test_entries_are_those_of_the_whole_file(tmp_path, monkeypatch, chunk, encoding, indent):
    monkeypatch.setattr(json_list, "_CHUNK", chunk)
    path = tmp_path / "list.json"
    text = json.dumps(ENTRIES, indent=indent, ensure_ascii=False)
    path.write_text(f" {text}\n", encoding=encoding)
    found = list(json_entries(path))
    assert [entry for entry, _ in found] == ENTRIES
    if encoding != "utf-16":
        assert [read_entry(path, at) for _, at in found] == ENTRIES


def test_gzip_files_are_read_as_a_whole(tmp_path):
    path = tmp_path / "list.json.gz"
    path.write_bytes(gzip.compress(json.dumps(ENTRIES).encode()))
    assert list(json_entries(path)) == [(entry, None) for entry in ENTRIES]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("nothing", "not JSON"),
        ('{"a": 1}', "expected a list"),
        ("[1, 2", "not JSON.*after 5 bytes"),
        ("[1 2]", "expected a comma"),
        ("[1,]", "not JSON"),
        ("[1] 2", "something follows"),
        ('["\xfc"]', "not JSON.*utf-8"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_list_is_said(tmp_path, text, message):
    path = tmp_path / "list.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=message) as error:
        list(json_entries(path))
    assert str(path) in str(error.value)


def test_a_file_that_has_changed(tmp_path):
    path = tmp_path / "list.json"
    path.write_text("[1, 234]")
    (_, (_, at)) = json_entries(path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match="has changed"):
        read_entry(path, at)
