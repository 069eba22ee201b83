"""Which method computes a layer, and how often that is asked."""

import pytest
import torch

from convmat import Geometry
from convmat.kernel import computing
from convmat.planning import choosing
from convmat.planning.correcting import Correction, Terms, using
from convmat.tensors.calls import Call

pytestmark = pytest.mark.skipif(not computing.is_worthwhile(), reason="needs the kernel")
CALL = Call(torch.float32, is_plain=True)


@pytest.fixture
def estimated(monkeypatch):
    """The geometries that are estimated."""
    asked, estimate = [], choosing.estimate
    monkeypatch.setattr(
        choosing, "estimate", lambda geometry, *rest: asked.append(geometry) or estimate(geometry, *rest)
    )
    choosing._plans.clear()
    return asked


def test_a_new_length_is_estimated_once_for_all_that_are_alike(estimated):
    layers = [
        Geometry.conv_transpose((length,), 16, 8, 4, in_channels=128, out_channels=64) for length in range(257, 321)
    ]
    plans = [choosing.explain(layer, CALL) for layer in layers]
    assert [layer.read for layer in estimated] == [(288,), (320,)]
    assert len(set(plans)) <= 2


def test_other_factors_are_another_choice(estimated):
    layer = Geometry.conv((300,), 5, padding=2, in_channels=8, out_channels=8)
    usual = choosing.explain(layer, CALL)
    with using(Correction(kernel=Terms(16.0, 16.0, 16.0))):
        assert choosing.explain(layer, CALL) != usual
    assert choosing.explain(layer, CALL) == usual
    assert len(estimated) == 2
