"""Eight float32 numbers at once, as a value that compiled code can hold: `load`, `store`, arithmetic, and two shuffles.

Loops that the compiler vectorises by itself come with checks for overlapping arrays and with a slow loop for what is
left over; kernels that run a few dozen times over arrays of a hundred entries lose half of their time there. These
values are LLVM's own vectors, which it maps to whatever a processor has: nothing here knows one.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 8
# A multiplication and an addition may become one instruction; nothing else may change their order.
FLAGS = ("contract",)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)


class Lanes(types.Type):
    """Type of the values."""

    def __init__(self):
        super().__init__(name="Lanes")


@register_model(Lanes)
class LanesModel(models.PrimitiveModel):
    """A value is one LLVM vector."""

    def __init__(self, manager, kind):
        super().__init__(manager, kind, _VECTOR)


lanes = Lanes()


def _splat(builder, number):
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, first, _mask([0] * LANES))


def _mask(places):
    return ir.Constant(ir.VectorType(ir.IntType(32), len(places)), places)


def _register(function, build):
    """Let compiled code apply `function` to two values, or to a value and a float32."""

    @infer_global(function)
    class Typing(ConcreteTemplate):
        cases = tuple(
            signature(lanes, *kinds) for kinds in ((lanes, lanes), (lanes, types.float32), (types.float32, lanes))
        )

    def lower(context, builder, sig, args):
        left, right = (a if kind == lanes else _splat(builder, a) for a, kind in zip(args, sig.args))
        return build(builder, left, right)

    for kinds in ((Lanes, Lanes), (Lanes, types.Float), (types.Float, Lanes)):
        lower_builtin(function, *kinds)(lower)


_register(operator.add, lambda builder, a, b: builder.fadd(a, b, flags=FLAGS))
_register(operator.sub, lambda builder, a, b: builder.fsub(a, b, flags=FLAGS))
_register(operator.mul, lambda builder, a, b: builder.fmul(a, b, flags=FLAGS))
_register(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
# What is not a number stays so in the first argument.
_register(max, lambda builder, a, b: builder.select(builder.fcmp_ordered("<", a, b), b, a))
_register(min, lambda builder, a, b: builder.select(builder.fcmp_ordered(">", a, b), b, a))


def _entries(context, builder, kind, array):
    return array if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, array).data


def _place(context, builder, kind, array, index):
    return builder.bitcast(builder.gep(_entries(context, builder, kind, array), [index]), _VECTOR.as_pointer())


def _checked(array):
    contiguous = isinstance(array, types.CPointer) or (array.ndim == 1 and array.layout == "C")
    if not (contiguous and array.dtype == types.float32):
        raise TypeError(f"lanes are of contiguous float32 vectors, not of {array}")


@intrinsic
def entries(typing, array):
    """Return where the entries of a contiguous array begin, to be read and written by number, or by `load` and `store`.

    An array is seven arguments of a function and a count of its owners, which take longer than eight products; this is
    an address. It keeps nothing alive: who makes the array says `keep` after the last use.
    """
    if array.layout != "C":
        raise TypeError(f"entries are of contiguous arrays, not of {array}")
    return types.CPointer(array.dtype)(array), lambda context, builder, sig, args: _entries(
        context, builder, sig.args[0], args[0]
    )


@intrinsic
def keep(typing, arrays):
    """Use a tuple of arrays: until then they live."""
    return types.void(arrays), lambda context, builder, sig, args: context.get_dummy_value()


@intrinsic
def load(typing, array, index):
    """Entries ``index`` to ``index + 8`` of a contiguous float32 vector."""
    _checked(array)

    def build(context, builder, sig, args):
        return builder.load(_place(context, builder, sig.args[0], *args), align=4)

    return lanes(array, types.intp), build


@intrinsic
def store(typing, array, index, value):
    """Write to entries ``index`` to ``index + 8`` of a contiguous float32 vector."""
    _checked(array)

    def build(context, builder, sig, args):
        builder.store(args[2], _place(context, builder, sig.args[0], *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), build


@intrinsic
def prefetch(typing, array, index):
    """Say that entry `index` of a float32 vector is read soon; it need not be there."""
    _checked(array)

    def build(context, builder, sig, args):
        place = builder.gep(_entries(context, builder, sig.args[0], args[0]), [args[1]])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        # To read, into every cache, data.
        builder.call(function, [builder.bitcast(place, byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), build


@intrinsic
def spread(typing, number):
    """Return a float32 number eight times."""
    return lanes(types.float32), lambda context, builder, sig, args: _splat(builder, args[0])


def _pairwise(builder, values, near, far):
    """Shuffle neighbours: for each two values one made by the mask `near` and one by `far`."""
    pairs = list(zip(values[::2], values[1::2]))
    return [[builder.shuffle_vector(a, b, _mask(mask)) for mask in (near, far)] for a, b in pairs]


# Places in two neighbours a, b (8 and more are b's): within each half, even and odd entries; then halves.
_EVEN, _ODD = [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]
_PAIRS, _NEXT = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
_LOW, _HIGH = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]


@intrinsic
def sums(typing, a, b, c, d, e, f, g, h):
    """Return the sum of each of eight values, in their order."""

    def build(context, builder, sig, args):
        values = args
        for near, far in ((_EVEN, _ODD), (_PAIRS, _NEXT), (_LOW, _HIGH)):
            values = [builder.fadd(x, y) for x, y in _pairwise(builder, values, near, far)]
        return values[0]

    return lanes(*[lanes] * LANES), build


@intrinsic
def total(typing, value):
    """Return the sum of the eight numbers of a value."""

    def build(context, builder, sig, args):
        number = args[0]
        for step in (4, 2, 1):
            swapped = builder.shuffle_vector(number, number, _mask([k ^ step for k in range(LANES)]))
            number = builder.fadd(number, swapped)
        return builder.extract_element(number, ir.Constant(ir.IntType(32), 0))

    return types.float32(lanes), build


@intrinsic
def each(typing, value):
    """Return each of the eight numbers of a value, eight times."""

    def build(context, builder, sig, args):
        values = [builder.shuffle_vector(args[0], args[0], _mask([k] * LANES)) for k in range(LANES)]
        return cgutils.pack_array(builder, values, _VECTOR)

    return types.UniTuple(lanes, LANES)(lanes), build


@intrinsic
def transposed(typing, a, b, c, d, e, f, g, h):
    """Return eight values whose k-th holds the k-th entries of those given."""

    def build(context, builder, sig, args):
        values = list(args)
        for step, near, far in ((1, _EVEN, _ODD), (2, _PAIRS, _NEXT), (4, _LOW, _HIGH)):
            for first in range(LANES):
                if not first & step:
                    x, y = values[first], values[first + step]
                    values[first] = builder.shuffle_vector(x, y, _mask(near))
                    values[first + step] = builder.shuffle_vector(x, y, _mask(far))
        return cgutils.pack_array(builder, values, _VECTOR)

    return types.UniTuple(lanes, LANES)(*[lanes] * LANES), build
