"""Digesting memory: a few bytes that tell whether any of it has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from convmat.kernel.microkernel.packing import AHEAD
from convmat.kernel.microkernel.vectors import I64, Vectors
from convmat.kernel.tiling.processor import LINE

_STATES = 8  # independent vectors of state: with a single one, each step would wait for the step before
# Bits; and an odd number, 2^32 divided by the golden ratio. Where no instruction multiplies numbers of 64 bits, a short
# factor takes fewer.
_TURN, _FACTOR = 27, 0x9E3779B1


def digest_block(vectors: Vectors) -> int:
    """How many numbers a digest takes at a time."""
    return _STATES * vectors.lanes


def digesting(vectors: Vectors) -> Callable[..., None]:
    """Digest memory: a vector of bits that other content gives with a negligible probability only.

    Each 64 bits of it take in every so many bytes by ``state = rotate(state xor bits) * odd number``. A step is
    bijective in both operands, so one change is always seen, and several cancel with a chance of 2^-64.

    Returns:
        ``digest(target, source, blocks)``, for so many times :func:`digest_block` numbers, at least once.
    """

    @intrinsic
    def digest(typing, target, source, blocks):  # type: ignore[no-untyped-def]
        def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            _emit_digest(vectors, builder, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 3), emit

    return digest


def _emit_digest(v: Vectors, builder: Any, target: Any, source: Any, blocks: Any) -> None:
    width = v.lanes * v.size
    words = ir.VectorType(I64, width // 8)

    def constant(number: int) -> Any:
        return ir.Constant(words, [number] * words.count)

    def mix(state: Any, bits: Any) -> Any:
        mixed = builder.xor(state, bits)
        turned = builder.or_(builder.shl(mixed, constant(_TURN)), builder.lshr(mixed, constant(64 - _TURN)))
        return builder.mul(turned, constant(_FACTOR))

    before, loop, end = builder.block, builder.append_basic_block("digest"), builder.append_basic_block("end")
    builder.branch(loop)
    builder.position_at_end(loop)
    block = builder.phi(I64)
    states = [builder.phi(words) for _ in range(_STATES)]
    address = builder.add(source, builder.mul(block, I64(_STATES * width)))
    mixed = []
    for line in range(0, _STATES * width, LINE):
        v.prefetch(builder, builder.add(address, I64(line + AHEAD)))
    for n, state in enumerate(states):
        pointer = builder.inttoptr(builder.add(address, I64(n * width)), words.as_pointer())
        mixed.append(mix(state, builder.load(pointer, align=v.size)))
    following = builder.add(block, I64(1))
    block.add_incoming(I64(0), before)
    block.add_incoming(following, loop)
    for n, (state, new) in enumerate(zip(states, mixed, strict=True)):
        state.add_incoming(constant(n + 1), before)
        state.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, blocks), loop, end)

    builder.position_at_end(end)
    total = mixed[0]
    for state in mixed[1:]:
        total = mix(total, state)
    builder.store(total, builder.inttoptr(target, words.as_pointer()), align=8)
