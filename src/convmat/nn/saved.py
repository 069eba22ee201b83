"""The names by which saved models find what is ours.

A pickle, as ``torch.save(model, ...)`` writes it, names functions and classes by their modules. Of convmat, it names
the layers in :mod:`convmat.nn` and what stands here, and nothing else. These names stay, wherever the code moves.

- ``rebuild_layer``: an accelerated layer, made from the class that it had before.
- ``FrozenWeight``: that a layer was accelerated with ``freeze=True``; it is saved empty.
- ``Fold``, ``FoldingForward``, ``NormForward``, ``ActivationForward``: that a model was accelerated with ``fold=True``.
  A convolution holds the first, saved empty; the module that calls it, and what is behind it, hold the others.
"""

from convmat.nn.accelerated import rebuild_layer
from convmat.nn.folding import ActivationForward, Fold, FoldingForward, NormForward
from convmat.nn.frozen import FrozenWeight

__all__ = ["ActivationForward", "Fold", "FoldingForward", "FrozenWeight", "NormForward", "rebuild_layer"]

for _name in __all__:
    globals()[_name].__module__ = __name__
