"""The matrix of a model of linear layers: the sparse product of those of its parts."""

from convmat.linear_models.composing import model_entries
from convmat.linear_models.parts import is_convolution

__all__ = ["is_convolution", "model_entries"]
