"""Reads numbers, arrays and plain containers from a pickle, and refuses everything else.

Unpickling can run arbitrary code. A list of allowed names is not enough: numpy's own
``dtype.__setstate__`` does not check its arguments, so a damaged file can crash the process, or
alter float32 for the rest of it. So numpy's names resolve to classes of ours here, which check
their arguments and read the values with ``numpy.frombuffer``.
"""

from __future__ import annotations

import codecs
import pickle
import re
from collections import OrderedDict
from typing import BinaryIO

import numpy as np


def read_plain_pickle(stream: BinaryIO):
    """The object in a pickle of any protocol; strings of Python 2 are decoded as latin1.

    Returns:
        dicts, lists, tuples, sets, strings, bytes, numbers, None, and arrays of numbers.

    Raises:
        ValueError: it is not a pickle, is damaged, or holds anything else, which the message names.
    """
    try:
        return _plain(_unpickler(stream).load())
    except (
        pickle.UnpicklingError,
        *(EOFError, ValueError, TypeError, LookupError, AttributeError, ImportError),
        *(OverflowError, MemoryError, RecursionError),
    ) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _unpickler(stream: BinaryIO) -> pickle.Unpickler:
    # The classes are made anew for every file, because a pickle can set attributes of its classes.
    class Dtype:
        def __init__(self, name, align=False, copy=False):
            if not re.fullmatch("b1|[iu][1248]|f[248]", str(name)):
                raise pickle.UnpicklingError(f"it holds an array of {name}, not of numbers")
            self.dtype = np.dtype(name)

        def __setstate__(self, state):
            if state[1] not in ("<", ">", "=", "|"):
                raise pickle.UnpicklingError(f"it holds an array with byte order {state[1]!r}")
            self.dtype = self.dtype.newbyteorder(state[1])

    class Array:
        def __setstate__(self, state):
            _, shape, dtype, is_fortran, data = state
            self.value = array(data, dtype, shape, "F" if is_fortran else "C")

    def array(data, dtype, shape, order):
        data = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(data, dtype.dtype).reshape(shape, order=order).copy()

    def frombuffer(data, dtype, shape, order, axis_order=None):
        new = Array()
        new.value = array(data, dtype, shape, "C" if order == "K" else order)
        if axis_order is not None:
            new.value = new.value.transpose(axis_order)
        return new

    def scalar(dtype, data):
        return frombuffer(data, dtype, (), "C")

    def encode(text, encoding):
        if codecs.lookup(encoding).name != "iso8859-1":
            raise pickle.UnpicklingError(f"it holds bytes in the encoding {encoding!r}")
        return text.encode("latin1")

    names = {
        ("collections", "OrderedDict"): OrderedDict,
        ("_codecs", "encode"): encode,
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Dtype,
    }
    for builtins in ("builtins", "__builtin__"):
        names[builtins, "bytes"] = lambda: b""  # how old protocols write empty bytes
        names[builtins, "set"], names[builtins, "frozenset"] = set, frozenset
    for core in ("core", "_core"):
        names["numpy." + core + ".multiarray", "_reconstruct"] = lambda *arguments: Array()
        names["numpy." + core + ".multiarray", "scalar"] = scalar
        names["numpy." + core + ".numeric", "_frombuffer"] = frombuffer

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str):
            if (module, name) not in names:
                raise pickle.UnpicklingError(f"it holds a {module}.{name}")
            return names[module, name]

    return Unpickler(stream, encoding="latin1")


def _plain(value):
    """The same value with numpy arrays in place of their stand-ins."""
    if value is None or isinstance(value, (bool, int, float, str, bytes, bytearray)):
        return value
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(map(_plain, value))
    found = getattr(value, "value", None)
    if isinstance(found, np.ndarray):
        return found
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__} where a value is expected")
