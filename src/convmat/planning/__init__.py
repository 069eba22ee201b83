"""Which method computes a layer, decided once per call, and computing it."""

from convmat.planning.running import (
    Plan,
    available_methods,
    choose,
    computation,
    explain,
    explain_for,
    explain_kernel,
    plan,
    run,
    weight_of,
)

__all__ = [
    "Plan",
    "available_methods",
    "choose",
    "computation",
    "explain",
    "explain_for",
    "explain_kernel",
    "plan",
    "run",
    "weight_of",
]
