"""A geometry and a weight -> the matrix: dense, COO, CSR, or its symbols; that of layers and models, too."""

from convmat.matrices.convolutions import coo, csr, dense, size_text, weight_gradient
from convmat.matrices.functions import conv_matrix, conv_transpose_matrix, matrix
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
    "weight_gradient",
]
