"""Convolutions as linear operators: apply, compose, measure and solve."""

from convmat.operators.adjointness import DotTest, dot_test
from convmat.operators.algebra import LinearOperator
from convmat.operators.convolution import ConvOperator

__all__ = ["ConvOperator", "DotTest", "LinearOperator", "dot_test"]
