"""Our kernel for transposed convolutions on the CPU, compiled by Numba when it is first used.

A task (:mod:`~convmat.kernel.task`) is an array of integers with all that a thread must know; the compiled functions
(:mod:`~convmat.kernel.program`, with :mod:`~convmat.kernel.packing` on the side of the input and
:mod:`~convmat.kernel.writing` on that of the output, all built of the pieces in :mod:`~convmat.kernel.microkernel`)
read nothing else. How a geometry is cut into tiles and boxes stands in :mod:`convmat.kernel.tiling`; what is kept
from call to call in :mod:`~convmat.kernel.weights` and :mod:`~convmat.kernel.pages`.
"""
