"""A geometry and a weight -> the matrix: dense, COO, CSR, CSC, or its symbols; that of layers and models, too."""

from convmat.matrices.convolutions import coo, csr, dense, size_text, weight_gradient
from convmat.matrices.functions import conv_matrix, conv_transpose_matrix, matrix
from convmat.matrices.scipy_arrays import to_scipy
from convmat.matrices.symbols import symbolic_matrix

__all__ = [
    "conv_matrix",
    "conv_transpose_matrix",
    "coo",
    "csr",
    "dense",
    "matrix",
    "size_text",
    "symbolic_matrix",
    "to_scipy",
    "weight_gradient",
]
