"""Convolutions as linear operators: apply, compose, measure and solve."""

from convmat.operators.adjointness import DotTest, dot_test
from convmat.operators.algebra import LinearOperator
from convmat.operators.convolution import ConvOperator
from convmat.operators.deconvolution import blur_operator, crop_to_data, richardson_lucy
from convmat.operators.solvers import Solution

__all__ = [
    "ConvOperator",
    "DotTest",
    "LinearOperator",
    "Solution",
    "blur_operator",
    "crop_to_data",
    "dot_test",
    "richardson_lucy",
]
