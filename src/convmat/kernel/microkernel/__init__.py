"""The pieces of machine code that the kernel is built of, in LLVM's explicit vectors.

They are written for Numba, as intrinsics over addresses (64-bit integers): each function here takes the
:class:`~convmat.kernel.microkernel.vectors.Vectors` to use and returns an intrinsic that compiled functions may call.
"""
