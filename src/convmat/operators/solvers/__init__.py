"""Solving with operators: least squares, damped or not, for batches and with gradients."""

from convmat.operators.solvers.solution import Solution

__all__ = ["Solution"]
