"""The file that corrects the estimates: what is in it is used, and what is wrong with it is said once."""

import json
import warnings

import pytest
import torch

import convmat
from convmat.kernel import computing
from convmat.planning import correcting
from convmat.planning.correcting import Correction, Terms

needs_kernel = pytest.mark.skipif(not computing.is_worthwhile(), reason="needs Numba")
KERNEL_IS_SLOW = Correction(kernel=Terms(16.0, 16.0, 16.0))
PYTORCH_IS_SLOW = Correction(pytorch=Terms(16.0, 16.0, 16.0))


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the file is looked for in this test; nothing is there yet."""
    found = tmp_path / "settings" / "tuning.json"
    monkeypatch.setenv(correcting.VARIABLE, str(found))
    correcting.read_again()
    yield found
    monkeypatch.undo()
    correcting.read_again()


def planned():
    layer = torch.nn.Conv2d(24, 32, (3, 5), padding=(1, 2))
    return convmat.plan(layer, (24, 30, 26)).method


@needs_kernel
@pytest.mark.parametrize(("correction", "method"), [(KERNEL_IS_SLOW, "native"), (PYTORCH_IS_SLOW, "tiles")])
def test_auto_chooses_by_the_file(path, correction, method):
    correcting.write(path, correction, threads=2)
    correcting.read_again()
    assert correcting.now() == correction
    assert planned() == method
    with correcting.without():
        assert correcting.now() == Correction()
    assert planned() == method


@needs_kernel
def test_a_call_made_before_is_decided_anew(path):
    input, weight = torch.randn(1, 24, 30, 26), torch.randn(32, 24, 3, 5)
    chosen = []
    for correction in (KERNEL_IS_SLOW, PYTORCH_IS_SLOW):
        correcting.write(path, correction, threads=2)
        correcting.read_again()
        with torch.no_grad():
            output = convmat.conv2d(input, weight, padding=(1, 2))
            chosen.append(torch.equal(output, torch.conv2d(input, weight, padding=(1, 2))))
            torch.testing.assert_close(output, torch.conv2d(input, weight, padding=(1, 2)), rtol=1e-4, atol=1e-4)
    assert chosen == [True, False]  # PyTorch's own numbers, then ours, which are rounded in another order


def test_what_is_written_is_read(path):
    correction = Correction(Terms(1.5, 0.25, 3.0), Terms(1.0, 16.0, 0.0625))
    correcting.write(path, correction, threads=3)
    assert correcting.read(path) == correction
    assert json.loads(path.read_text())["threads"] == 3
    assert [inside.name for inside in path.parent.iterdir()] == ["tuning.json"]


def test_no_file_is_no_matter(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert correcting.now() == Correction()


def without_kernel(found):
    del found["kernel"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda found: found.update(processor="an abacus"), "it was made for processor 'an abacus', and this is"),
        (lambda found: found.update(torch="1.0"), "it was made for torch '1.0', and this is '2."),
        (lambda found: found.update(convmat="0.0"), "it was made for convmat '0.0', and this is"),
        (lambda found: found.update(format=7), "it was made for format 7, and this is 1"),
        (without_kernel, "kernel must hold call, arithmetic, moving"),
        (lambda found: found["pytorch"].update(call="fast"), "pytorch.call='fast' must lie in 1/16..16"),
        (lambda found: found["pytorch"].update(moving=0), "pytorch.moving=0 must lie in 1/16..16"),
        (lambda found: found["kernel"].update(call=float("nan")), "kernel.call=nan must lie in 1/16..16"),
        (lambda found: found["kernel"].update(call=True), "kernel.call=True must lie in 1/16..16"),
        (lambda found: found["kernel"].update(extra=1.0), "kernel must hold call, arithmetic, moving"),
    ],
)
def test_a_file_from_elsewhere_or_damaged_is_ignored_with_one_warning(path, change, says):
    correcting.write(path, KERNEL_IS_SLOW, threads=2)
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    check_that_it_is_ignored(path, says)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[1, 2]", b"null"])
def test_a_file_that_is_no_table_is_ignored_with_one_warning(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    check_that_it_is_ignored(path, "it is damaged, as it holds no")


def check_that_it_is_ignored(path, says):
    correcting.read_again()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert correcting.now() == Correction()
        assert correcting.now() == Correction()
        planned()
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert str(path) in str(warning.message)
    assert says in str(warning.message)
    assert "'convmat tune' writes it anew" in str(warning.message)


@pytest.mark.parametrize(
    ("system", "environment", "expected"),
    [
        ("linux", {"XDG_CONFIG_HOME": "/settings"}, "/settings/convmat/tuning.json"),
        ("linux", {}, "/home/me/.config/convmat/tuning.json"),
        ("darwin", {}, "/home/me/Library/Application Support/convmat/tuning.json"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/convmat/tuning.json"),
        ("linux", {correcting.VARIABLE: "~/there.json"}, "/home/me/there.json"),
        ("linux", {correcting.VARIABLE: ""}, None),
    ],
)
def test_where_the_file_is(system, environment, expected, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr("sys.platform", system)
    found = correcting.path_in(environment)
    assert expected is None if found is None else str(found) == expected
