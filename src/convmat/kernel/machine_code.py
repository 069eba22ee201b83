"""Machine code for the processor at hand: made by LLVM, and placed in memory.

This needs llvmlite alone: a process that finds its code on the disk never imports Numba, which takes longer than all
else that it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from llvmlite import binding

_SPEED = 2  # of LLVM's levels; level 3 takes longer, and code of level 1 is slower
_engines: list[Any] = []  # each holds the memory that its code is in


@cache
def features() -> dict[str, bool]:
    """What instructions the processor has, by LLVM's names."""
    return dict(binding.get_host_cpu_features())


def processor() -> tuple[str, str]:
    """The processor's name and its instructions, as LLVM takes them."""
    return binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()


def generate(modules: Iterable[str], names: Sequence[str]) -> bytes:
    """Make an object file of a program.

    Args:
        modules: its parts, in LLVM's language.
        names: the functions that are called from outside.
    """
    first, *others = (binding.parse_assembly(module) for module in modules)
    for other in others:
        first.link_in(other)
    for defined in (*first.functions, *first.global_variables):
        if not defined.is_declaration and defined.name not in names:
            defined.linkage = "internal"  # so that it can be inlined, or left out
    first.verify()
    machine, tuning = _machine(), binding.create_pipeline_tuning_options(_SPEED)
    # The loops that matter have been unrolled as far as there are registers, and are vectors.
    tuning.loop_unrolling = tuning.loop_vectorization = tuning.loop_interleaving = False
    passes = binding.create_pass_builder(machine, tuning)
    passes.getModulePassManager().run(first, passes)
    missing = [used.name for used in first.functions if used.is_declaration and not used.name.startswith("llvm.")]
    if missing:  # to call it would end the process
        raise ValueError(f"the program calls {', '.join(missing)}, which is not in it")
    code: bytes = machine.emit_object(first)
    return code


def place(code: bytes, names: Sequence[str]) -> list[int]:
    """Place an object file in memory, for as long as the process lives; the addresses of some functions of it."""
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine())
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return [engine.get_function_address(name) for name in names]


def _machine() -> Any:
    """LLVM's description of this machine, with options as Numba has them for code that stays in memory."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_triple(binding.get_process_triple())
    name, instructions = processor()
    return target.create_target_machine(
        cpu=name,
        features=instructions,
        opt=3,
        reloc="static" if target.name.startswith("x86") else "default",
        codemodel="jitdefault",
        jit=True,
    )
