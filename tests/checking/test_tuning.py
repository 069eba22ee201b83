"""Tuning: the factors that are put in come out, and what does not help is not used."""

import json
import random

import pytest

import convmat
from convmat.checking import tuning
from convmat.checking.tuning import PROBES, Measurement, Tuning, finish, fit, measurements
from convmat.kernel import computing
from convmat.planning import correcting
from convmat.planning.correcting import Correction, Terms

needs_kernel = pytest.mark.skipif(not computing.is_worthwhile(), reason="needs Numba")
TRUE = Correction(Terms(1.5, 2.0, 0.5), Terms(3.0, 0.7, 1.2))


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    found = tmp_path / "tuning.json"
    monkeypatch.setenv(correcting.VARIABLE, str(found))
    yield found
    monkeypatch.undo()
    correcting.read_again()


def measured(true: Correction, noise: float = 0.0) -> list[Measurement]:
    """Layers whose three terms differ, on a machine that these factors describe."""
    generator = random.Random(0)
    found = []
    for _ in range(40):
        terms = [Terms(*(10 ** generator.uniform(-6, -3) for _ in Terms._fields)) for _ in true]
        seconds = [
            of_one.seconds(factors) * 2 ** generator.gauss(0, noise)
            for of_one, factors in zip(terms, true, strict=True)
        ]
        found.append(Measurement((terms[0], terms[1]), (seconds[0], seconds[1])))
    return found


@pytest.mark.parametrize(("noise", "off"), [(0.0, 0.05), (0.1, 0.2)])
def test_the_factors_are_found(noise, off):
    for found, true in zip(fit(measured(TRUE, noise)), TRUE, strict=True):
        assert found == pytest.approx(true, rel=off)


def test_the_fit_is_the_same_each_time():
    assert fit(measured(TRUE, 0.1)) == fit(measured(TRUE, 0.1))


def test_what_helps_is_written_and_used(path):
    result = finish(measured(TRUE), path)
    assert result.after < result.before
    assert correcting.now() == result.correction == correcting.read(path)
    assert f"{path}: the choices of auto for 40 layers took" in str(result)


def test_what_does_not_help_is_not_used(path):
    result = finish(measured(Correction(Terms(2.0, 2.0, 2.0), Terms(2.0, 2.0, 2.0))), path)  # slow, and chosen rightly
    assert result.correction == Correction()
    assert result.after == result.before == pytest.approx(1.0)
    assert correcting.read(path) == Correction()


@needs_kernel
def test_tune(path, monkeypatch):
    monkeypatch.setattr(tuning, "PROBES", PROBES[::9])
    result = convmat.tune(seconds=0.1)
    assert isinstance(result, Tuning)
    assert result.path == path
    assert result.layers == 3
    assert 1 <= result.after <= result.before
    assert {"processor", "threads", "convmat", "torch", "kernel", "pytorch"} < set(json.loads(path.read_text()))


@needs_kernel
def test_every_probe_is_estimated_about_right():
    """That far off, its terms would belong to another layer."""
    for measurement in measurements(0.1):
        for terms, seconds in zip(measurement.terms, measurement.seconds, strict=True):
            assert min(terms) >= 0
            assert seconds / 1000 < sum(terms) < 10 * seconds


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf"), "long"])
def test_seconds_that_are_none(seconds):
    with pytest.raises(ValueError, match="must be a positive number"):
        convmat.tune(seconds=seconds)


def test_no_place_to_write(monkeypatch):
    monkeypatch.setenv(correcting.VARIABLE, "")
    with pytest.raises(ValueError, match="CONVMAT_TUNING is empty"):
        convmat.tune()


def test_without_a_kernel_there_is_nothing_to_tune(monkeypatch):
    monkeypatch.setattr(computing, "is_worthwhile", lambda: False)
    monkeypatch.setattr(computing, "obstacle", lambda: "Numba is missing")
    with pytest.raises(RuntimeError, match="Numba is missing"):
        convmat.tune(seconds=1)
