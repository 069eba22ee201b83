"""Which method computes a layer, decided once per call, and computing it."""

from convmat.planning.choosing import (
    Plan,
    available_methods,
    check_method,
    choose,
    explain,
    kernel_obstacle,
    plan,
    weight_of,
)
from convmat.planning.gradients import weight_gradient
from convmat.planning.running import run

__all__ = [
    "Plan",
    "available_methods",
    "check_method",
    "choose",
    "explain",
    "kernel_obstacle",
    "plan",
    "run",
    "weight_gradient",
    "weight_of",
]
