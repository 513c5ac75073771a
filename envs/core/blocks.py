"""Arrays of bytes, some dozens at a time: what the compiler does one by one.

Public names: `copy_rows`, `fill_bytes`, `look_up`, `ENTRIES`.

An array is given with the place to begin at, which counts through all its axes: a slice would cost
more than the work.  It lies in one piece, and may be aligned anyhow.  What is left at the end is
done as a full block too, which overlaps the one before it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

ENTRIES = 16
"""Of a table that is looked up by one instruction."""
_NARROW, _WIDE = 8, 16
"""Bytes that are copied, or filled and looked up, by one instruction."""


@numba.njit(cache=True)
def copy_rows(cells, at, stride, out, to, out_stride, rows, count):
    """Copy some rows of bytes.

    Args:
        cells: uint8, copied from.
        at: place of the first row's first byte.
        stride: bytes from a row to the next.
        out: uint8, copied to.
        to: as `at`.
        out_stride: as `stride`; below 0 the rows are turned upside down.
        rows: how many.
        count: bytes in each.
    """
    for _ in range(rows):
        if count < _NARROW:
            for k in range(count):
                out.flat[to + k] = cells.flat[at + k]
        else:
            _copy(cells, at, out, to)
            if count > 2 * _NARROW:
                for k in range(_NARROW, count - _NARROW, _NARROW):
                    _copy(cells, at + k, out, to + k)
            _copy(cells, at + count - _NARROW, out, to + count - _NARROW)
        at += stride
        to += out_stride


@numba.njit(cache=True)
def fill_bytes(out, to, count, value):
    """Write `value` into `count` bytes of `out`, from `to` on."""
    if count < _WIDE:
        for k in range(count):
            out.flat[to + k] = value
        return
    for k in range(0, count - _WIDE, _WIDE):
        _fill(out, to + k, np.uint8(value))
    _fill(out, to + count - _WIDE, np.uint8(value))


@numba.njit(cache=True)
def look_up(cells, at, tables, out, to, count):
    """Write what each of `count` cells is by each table, one table's after the other's.

    Args:
        cells: uint8, indices into the tables; none is beyond them.
        at: place of the first.
        tables: uint8 [tables, entries]; fast with `ENTRIES` of these.
        out: uint8, filled.
        to: from this place on.
        count: how many.
    """
    if count < _WIDE or tables.shape[1] != ENTRIES:
        for table in range(len(tables)):
            for k in range(count):
                out.flat[to + table * count + k] = tables[table, cells.flat[at + k]]
        return
    last = count - _WIDE
    for k in range(0, last, _WIDE):
        for table in range(len(tables)):
            _look_up(cells, at + k, tables, table * ENTRIES, out, to + table * count + k)
    for table in range(len(tables)):
        _look_up(cells, at + last, tables, table * ENTRIES, out, to + table * count + last)


# ---------------------------------------------------------------------------------------------
# Instructions
# ---------------------------------------------------------------------------------------------

_BYTE, _INDEX = ir.IntType(8), ir.IntType(32)


def _copied(typingctx: Any, cells: Any, at: Any, out: Any, to: Any) -> Any:
    """Copy a narrow block."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = _block(context, builder, cells, args[0], args[1], _NARROW)
        target = _block(context, builder, out, args[2], args[3], _NARROW)
        builder.store(builder.load(source, align=1), target, align=1)
        return context.get_dummy_value()

    return types.void(cells, types.intp, out, types.intp), generate


def _filled(typingctx: Any, out: Any, to: Any, value: Any) -> Any:
    """Fill a wide block."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = _block(context, builder, out, args[0], args[1], _WIDE)
        builder.store(_everywhere(builder, args[2]), target, align=1)
        return context.get_dummy_value()

    return types.void(out, types.intp, types.uint8), generate


def _looked_up(
    typingctx: Any, cells: Any, at: Any, tables: Any, first: Any, out: Any, to: Any
) -> Any:
    """Look up a wide block in the table whose first entry is at a place.

    It is written lane by lane, which the compiler knows for a shuffle where the machine has one.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = builder.load(_block(context, builder, cells, args[0], args[1], _WIDE), align=1)
        table = builder.load(_block(context, builder, tables, args[2], args[3], ENTRIES), align=1)
        found = ir.Constant(ir.VectorType(_BYTE, _WIDE), ir.Undefined)
        for lane in map(_INDEX, range(_WIDE)):
            cell = builder.zext(builder.extract_element(block, lane), _INDEX)
            found = builder.insert_element(found, builder.extract_element(table, cell), lane)
        target = _block(context, builder, out, args[4], args[5], _WIDE)
        builder.store(found, target, align=1)
        return context.get_dummy_value()

    return types.void(cells, types.intp, tables, types.intp, out, types.intp), generate


def _block(context: Any, builder: Any, kind: Any, array: Any, at: Any, size: int) -> Any:
    """Return the address of `size` bytes of an array."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), ir.VectorType(_BYTE, size).as_pointer())


def _everywhere(builder: Any, byte: Any) -> Any:
    """Return a wide block of one byte."""
    lanes = ir.Constant(ir.VectorType(_BYTE, _WIDE), ir.Undefined)
    one = builder.insert_element(lanes, byte, _INDEX(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_INDEX, _WIDE), [0] * _WIDE))


_copy: Any = intrinsic(_copied)
_fill: Any = intrinsic(_filled)
_look_up: Any = intrinsic(_looked_up)
