"""Our kernel on the CPU, compiled by Numba when it is first used.

:mod:`~convmat.kernel.computing` is its door: nobody outside imports anything else of it.

From the outside in: a :mod:`~convmat.kernel.schedule` says how a geometry is cut into tiles and boxes, by the rules of
:mod:`~convmat.kernel.tiling`, and writes it down as a :mod:`~convmat.kernel.task`, an array of integers with all that a
thread must know. The compiled :mod:`~convmat.kernel.program` reads nothing else; its :mod:`~convmat.kernel.stages` pack
windows of the input, multiply, and write lines of the output, and are built of the :mod:`~convmat.kernel.microkernel`,
pieces of machine code. What is kept from call to call stands in :mod:`~convmat.kernel.weights` and
:mod:`~convmat.kernel.pages`.
"""
