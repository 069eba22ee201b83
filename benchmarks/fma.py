"""A loop of multiply-adds that touches nothing but registers: how fast the cores can calculate.

It is written in LLVM's language by way of Numba, for no compiler keeps its hands off so useless a loop.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from llvmlite import binding, ir
from numba import njit, types
from numba.extending import intrinsic

_CHAINS = 12  # independent sums: enough to hide the latency, few enough for 16 registers
_STEPS = 1_000_000


def fma_loop(threads: int, itemsize: int) -> tuple[Callable[[], None], int]:
    """The loop on so many threads, compiled, and how many operations a call makes."""
    lanes = _register_bytes() // itemsize
    loop = _compiled(ir.FloatType() if itemsize == 4 else ir.DoubleType(), lanes)
    loop(1)  # compiles
    pool = ThreadPoolExecutor(threads)

    def call() -> None:
        list(pool.map(loop, [_STEPS] * threads))

    return call, 2 * _CHAINS * lanes * _STEPS * threads


def _register_bytes() -> int:
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx") else 16


def _compiled(element: Any, lanes: int) -> Any:
    def declare(typing_context: Any, steps: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _emit(builder, ir.VectorType(element, lanes), arguments[0])

        return types.float64(types.int64), generate

    chains: Any = intrinsic(declare)

    def loop(steps: int) -> float:
        return chains(steps)

    return njit(nogil=True)(loop)


def _emit(builder: Any, vector: Any, steps: Any) -> Any:
    """``for step in range(steps): sums = sums * factor + summand``, of which the first lane of each is added up."""
    integer, name = steps.type, f"llvm.fma.v{vector.count}{'f32' if vector.element == ir.FloatType() else 'f64'}"
    fma = builder.module.globals.get(name) or ir.Function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
    factor, summand = (ir.Constant(vector, [value] * vector.count) for value in (0.999, 0.001))
    before, body, after = builder.block, builder.append_basic_block("body"), builder.append_basic_block("after")
    builder.branch(body)

    builder.position_at_end(body)
    step = builder.phi(integer)
    sums = [builder.phi(vector) for _ in range(_CHAINS)]
    new = [builder.call(fma, [value, factor, summand]) for value in sums]
    following = builder.add(step, ir.Constant(integer, 1))
    step.add_incoming(ir.Constant(integer, 0), before)
    step.add_incoming(following, body)
    for index, (value, changed) in enumerate(zip(sums, new, strict=True)):
        value.add_incoming(ir.Constant(vector, [float(index)] * vector.count), before)
        value.add_incoming(changed, body)
    builder.cbranch(builder.icmp_signed("<", following, steps), body, after)

    builder.position_at_end(after)
    total = ir.Constant(vector.element, 0.0)
    for value in new:
        total = builder.fadd(total, builder.extract_element(value, ir.Constant(ir.IntType(32), 0)))
    return total if vector.element == ir.DoubleType() else builder.fpext(total, ir.DoubleType())
