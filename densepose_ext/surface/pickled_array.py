"""Reads one large array from a pickle without loading it whole, and without running code from it.

``Pdist_matrix.pkl`` is a dictionary with one array of 1.5 GB, pickled by Python 2. Unpickling it
takes three times that memory and would run any code the file names. Here the pickle's instructions
may name only what a list allows, and the bytes of the array stay in the file: only their offset is
noted.
"""

import codecs
import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_CHUNK = 1 << 22

#: Strings from this length on stay in the file.
_LARGE = 4096


@dataclass
class _Span:
    """Bytes left in the file."""

    offset: int
    length: int
    utf8: bool  # Python 3 writes bytes as text, each byte as the character with its code

    def chunks(self, path: Path) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder("utf-8")() if self.utf8 else None
        with open(path, "rb") as stream:
            stream.seek(self.offset)
            left = self.length
            while left:
                chunk = stream.read(min(_CHUNK, left))
                if not chunk:
                    raise ValueError(f"{path} ends in the middle of the array")
                left -= len(chunk)
                yield decoder.decode(chunk).encode("latin-1") if decoder else chunk


class StoredArray:
    """An array whose values are still in the file.

    Attributes:
        shape, dtype, size: as of a numpy array.
    """

    shape: tuple[int, ...] = ()
    dtype: np.dtype = np.dtype(float)
    path: Path

    def __setstate__(self, state):
        _, shape, dtype, _, self._data = state
        self.shape, self.dtype = tuple(int(length) for length in shape), np.dtype(dtype)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=object)) if self.shape else 0

    def values(self) -> Iterator[np.ndarray]:
        """Yields the values in the order of the file, in chunks of a few megabytes."""
        if isinstance(self._data, _Span):
            chunks = self._data.chunks(self.path)
        else:
            data = self._data
            chunks = iter([data.encode("latin-1") if isinstance(data, str) else bytes(data)])
        rest = b""
        for chunk in chunks:
            chunk = rest + chunk
            whole = len(chunk) // self.dtype.itemsize * self.dtype.itemsize
            rest = chunk[whole:]
            yield np.frombuffer(chunk[:whole], self.dtype)


def _new_array(kind=None, shape=None, order=None) -> StoredArray:
    return StoredArray()


def _frombuffer(data, dtype, shape, order) -> StoredArray:
    array = StoredArray()
    array.__setstate__((1, shape, dtype, order == "F", data))
    return array


def _encode(text, encoding):
    """Replaces ``_codecs.encode``, with which Python 3 writes bytes in old protocols."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text


_ALLOWED = {
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): np.dtype,
    ("numpy", "ndarray"): StoredArray,
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in [
            ("multiarray", "_reconstruct", _new_array),
            ("numeric", "_frombuffer", _frombuffer),
        ]
    },
}


class _SpanUnpickler(pickle._Unpickler):
    """Python's pure-Python unpickler, whose instructions can be replaced."""

    def __init__(self, stream):
        super().__init__(stream, encoding="latin1")
        self._stream = stream

    def find_class(self, module, name):
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}") from None

    def persistent_load(self, pid):
        raise pickle.UnpicklingError(f"it refers to something outside, {pid!r}")

    dispatch = dict(pickle._Unpickler.dispatch)


def _leave_in_file(opcode: bytes, length_format: str, utf8: bool) -> None:
    """Replaces the instruction that reads a string: large strings are skipped and noted."""
    original = pickle._Unpickler.dispatch[opcode[0]]

    def load(self):
        start = self._stream.tell()
        if self._unframer.current_frame is None:  # frames, of protocol 4, hold small things only
            (length,) = struct.unpack(
                length_format, self._stream.read(struct.calcsize(length_format))
            )
            if length >= _LARGE:
                self.append(_Span(self._stream.tell(), length, utf8))
                self._stream.seek(length, 1)
                return
            self._stream.seek(start)
        original(self)

    _SpanUnpickler.dispatch[opcode[0]] = load


for _opcode, _format, _utf8 in [
    (pickle.BINSTRING, "<i", False),
    (pickle.BINBYTES, "<I", False),
    (pickle.BINBYTES8, "<Q", False),
    (pickle.BYTEARRAY8, "<Q", False),
    (pickle.BINUNICODE, "<I", True),
    (pickle.BINUNICODE8, "<Q", True),
]:
    _leave_in_file(_opcode, _format, _utf8)


def read_pickled_array(path: Path, key: str | None = None) -> StoredArray:
    """The array ``key`` of a pickled dictionary of numpy arrays of numbers; None: the one array.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not such a pickle.
    """
    with open(path, "rb") as stream:
        try:
            content = _SpanUnpickler(stream).load()
        except (
            pickle.UnpicklingError,
            EOFError,
            struct.error,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            AttributeError,
            OverflowError,
        ) as error:
            raise ValueError(f"{path} is not a pickle of arrays: {error}") from error
    array = content if key is None else content.get(key) if isinstance(content, dict) else None
    if not isinstance(array, StoredArray) or array.dtype.kind not in "iuf":
        raise ValueError(f"{path} has no array of numbers {key or ''}".rstrip())
    array.path = path
    return array
