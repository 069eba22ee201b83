"""The matrix of linear layers and of models of them, against the Jacobian that PyTorch's autograd finds."""

import re
from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

import convmat
from convmat import GeometryError

LAYOUTS = (torch.strided, torch.sparse_coo, torch.sparse_csr, torch.sparse_csc)
every_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=str)
SIZES = (5, 4, 3)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning"),
    pytest.mark.filterwarnings("ignore:Complex modules are a new feature:UserWarning"),
]


def jacobian(model, in_shape, dtype=torch.float64):
    """Of shape (outputs, inputs), both flat, by PyTorch alone."""
    x = torch.zeros(1, *in_shape, dtype=dtype)
    if dtype.is_complex:  # the columns are what the units become, but for what zeros become
        units = torch.eye(x.numel(), dtype=dtype).reshape(-1, *in_shape)
        return (model(units) - model(x)).flatten(1).T
    derivative = torch.autograd.functional.jacobian(model, x)
    return derivative.reshape(-1, x.numel())


def columns(model, in_shape):
    """What the model makes of each unit input, by itself."""
    units = torch.eye(prod(in_shape), dtype=torch.float64).reshape(-1, 1, *in_shape)
    return torch.stack([model(unit).flatten() for unit in units], dim=1)


def check(model, in_shape, oracle=jacobian, **layout):
    model = model.double()
    matrix = convmat.matrix(model, in_shape, **layout)
    dtype = next((p.dtype for p in (*model.parameters(), *model.buffers())), torch.get_default_dtype())
    assert matrix.dtype == dtype
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {}
    assert_close(matrix.to_dense().detach().double(), oracle(model, in_shape), **tolerance)
    return matrix


def trained(module):
    """A normalisation in eval mode whose statistics, scale and shift are none of 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
        if tensor is not None:
            tensor.data.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return module.eval()


# -- every part --------------------------------------------------------------------------------------------------------

POOLS = {
    1: [{}, {"stride": 1, "padding": 1}, {"stride": 3, "ceil_mode": True, "padding": 1, "count_include_pad": False}],
    2: [
        {"stride": (1, 2), "padding": (1, 0)},
        {"stride": 2, "padding": 1, "ceil_mode": True},
        {"padding": (1, 0), "ceil_mode": True, "count_include_pad": False},
        {"padding": (0, 1), "divisor_override": 5},
    ],
    3: [{"stride": (2, 1, 1)}, {"padding": (1, 1, 0), "ceil_mode": True, "divisor_override": -3}],
}
PADS = {1: [(2, 0), (1, 2), (-1, 2), (-1, -2)], 2: [(1, 0, 2, 1), (0, -1, 1, 0)], 3: [(0, 1, 2, 1, 1, 0)]}
LINEAR_MODES = {1: ["linear"], 2: ["bilinear", "bicubic"], 3: ["trilinear"]}

PARTS = [
    (nn.Linear(3, 5), (3,)),
    (nn.Linear(3, 2, bias=False), (2, 4, 3)),
    (trained(nn.BatchNorm1d(3)), (3,)),
    (trained(nn.BatchNorm1d(3, affine=False)), (3, 4)),
    (trained(nn.BatchNorm2d(2)), (2, 3, 4)),
    (trained(nn.BatchNorm3d(2)), (2, 2, 3, 2)),
    (trained(nn.InstanceNorm2d(2, track_running_stats=True)), (2, 3, 4)),
    (nn.Unfold((2, 3), dilation=(2, 1), padding=(1, 0), stride=(1, 2)), (2, 5, 6)),
    (nn.Fold((4, 5), (2, 3), padding=(1, 0), stride=(1, 2)), (12, 10)),
    (nn.Fold(4, 2), (4, 9)),
    (nn.PixelShuffle(2), (8, 3, 2)),
    (nn.PixelUnshuffle(2), (2, 4, 6)),
    (nn.ChannelShuffle(3), (6, 2, 3)),
    (nn.Flatten(), (2, 3, 4)),
    (nn.Flatten(2), (2, 3, 4)),
    (nn.Unflatten(1, (2, 3)), (6, 4)),
    (nn.Identity(), (2, 3)),
    (nn.Identity(), ()),
    (nn.Sequential(), (2, 3)),
    (nn.Dropout(0.0), (2, 3)),
    (nn.UpsamplingBilinear2d(scale_factor=2), (2, 3, 4)),
    (nn.UpsamplingNearest2d(size=(4, 6)), (2, 3, 4)),
    (nn.Upsample(scale_factor=1.7, recompute_scale_factor=True, mode="linear"), (2, 5)),
    (nn.Upsample(size=1, mode="linear", align_corners=True), (1, 5)),
    (nn.AdaptiveAvgPool2d((None, 2)), (2, 4, 5)),
    (nn.AdaptiveAvgPool2d((7, 1)), (2, 4, 5)),
    *((getattr(nn, f"{kind}Dropout")().eval(), (2, 3)) for kind in ("", "Alpha", "FeatureAlpha")),
]
for _n in (1, 2, 3):
    _shape = (2, *SIZES[:_n])
    PARTS += [
        *((getattr(nn, f"AvgPool{_n}d")((3, 2, 2)[:_n], **_options), _shape) for _options in POOLS[_n]),
        (getattr(nn, f"AdaptiveAvgPool{_n}d")((3, 3, 2)[:_n]), _shape),
        (getattr(nn, f"Dropout{_n}d")().eval(), _shape),
    ]
    for _amounts in PADS[_n]:
        PARTS.append((getattr(nn, f"ConstantPad{_n}d")(_amounts, 1.5), _shape))
        PARTS += [(getattr(nn, f"{kind}Pad{_n}d")(_amounts), _shape) for kind in ("Zero", "Replication", "Circular")]
        PARTS.append((getattr(nn, f"ReflectionPad{_n}d")(_amounts), _shape))
    for _to in ({"scale_factor": (2.0, 1.7, 0.6)[:_n]}, {"size": (7, 3, 5)[:_n]}):
        PARTS += [(nn.Upsample(mode=mode, **_to), _shape) for mode in ("nearest", "nearest-exact")]
        PARTS += [
            (nn.Upsample(mode=mode, align_corners=align_corners, **_to), _shape)
            for mode in LINEAR_MODES[_n]
            for align_corners in (False, True)
        ]


@pytest.mark.parametrize(("module", "in_shape"), PARTS, ids=[str(module) for module, _ in PARTS])
def test_matrix_of_a_part_is_its_jacobian(module, in_shape):
    check(module, in_shape)


_axes = st.integers(1, 3)


@settings(max_examples=60)
@given(st.data(), _axes, st.booleans(), st.booleans(), st.none() | st.integers(1, 9))
def test_average_pooling(data, ndim, ceil_mode, count_include_pad, divisor_override):
    def per_axis(strategy):
        return tuple(data.draw(st.tuples(*(strategy,) * ndim)))

    kernel = per_axis(st.integers(1, 4))
    sizes = tuple(k + more for k, more in zip(kernel, per_axis(st.integers(0, 4)), strict=True))
    options = {
        "stride": per_axis(st.integers(1, 5)),
        "padding": tuple(data.draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
    }
    if ndim > 1:
        options["divisor_override"] = divisor_override
    check(getattr(nn, f"AvgPool{ndim}d")(kernel, **options), (1, *sizes))


@pytest.mark.parametrize(("mode", "ndim"), [("linear", 1), ("bilinear", 2), ("trilinear", 3), ("bicubic", 2)])
@pytest.mark.parametrize("aligned", [False, True])
def test_upsampling_by_factors_that_leave_a_size_as_it_is(mode, ndim, aligned):
    """PyTorch copies along such an axis, but for bicubic, whatever the factor."""
    shape, factors = (1, 2, 3, 4)[: ndim + 1], (1.25, 1.3, 2.0)[-ndim:]
    check(nn.Upsample(scale_factor=factors, mode=mode, align_corners=aligned), shape, columns)
    check(nn.Upsample(scale_factor=1.2, mode=mode, align_corners=aligned), shape, columns)


@settings(max_examples=40)
@given(
    st.integers(1, 12),
    st.floats(0.3, 4) | st.integers(1, 20),
    st.sampled_from(["nearest", "nearest-exact", "linear", "linear aligned"]),
)
def test_upsampling(size, to, mode):
    options = {"size": to} if isinstance(to, int) else {"scale_factor": to}
    if isinstance(to, float) and int(size * to) < 1:
        return
    aligned = True if mode == "linear aligned" else None
    # Where a fractional scale leaves the size as it is or doubles it, PyTorch's backward pass of "nearest" takes other
    # elements than its forward pass (pytorch#97770).
    oracle = columns if mode == "nearest" else jacobian
    check(nn.Upsample(mode=mode.split()[0], align_corners=aligned, **options), (1, size), oracle)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=2))
def test_adaptive_pooling(pairs):
    inputs, outputs = zip(*pairs, strict=True)
    check(getattr(nn, f"AdaptiveAvgPool{len(pairs)}d")(outputs), (2, *inputs))


# -- models ------------------------------------------------------------------------------------------------------------


def classifier():
    return nn.Sequential(
        nn.Conv2d(2, 3, (3, 2), padding=1, padding_mode="reflect"),
        trained(nn.BatchNorm2d(3)),
        nn.AvgPool2d(2, ceil_mode=True),
        nn.Flatten(),
        nn.Linear(18, 4),
    )


def decoder():
    """Nested, with a part that is used twice."""
    twice = nn.ReplicationPad2d((1, 0, 0, 0))
    return nn.Sequential(
        nn.Sequential(nn.ConvTranspose2d(2, 8, (2, 3), stride=(2, 1), groups=2), twice, nn.Dropout(0.3)),
        nn.Sequential(nn.Sequential(nn.PixelShuffle(2)), twice, nn.Conv2d(2, 1, 3, padding=1, padding_mode="circular")),
    ).eval()


def vocoder():
    return nn.Sequential(
        nn.ReflectionPad1d(2),
        nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 3, 4, dilation=2)),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose1d(3, 1, 4, stride=2, padding=1),
        nn.AvgPool1d(3, 2, padding=1, count_include_pad=False),
    )


def volume():
    return nn.Sequential(
        nn.Upsample(scale_factor=(2, 1, 1.5), mode="trilinear"),
        nn.Conv3d(1, 2, (2, 1, 3)),
        nn.AdaptiveAvgPool3d((1, 2, 1)),
        nn.Flatten(2),
        nn.Linear(2, 3),
        nn.Unflatten(1, (1, 2)),
    )


MODELS = {
    "classifier": (classifier, (2, 4, 5)),
    "decoder": (decoder, (2, 2, 3)),
    "vocoder": (vocoder, (2, 9)),
    "volume": (volume, (1, 2, 3, 4)),
}
every_model = pytest.mark.parametrize("name", MODELS)


def model_of(name):
    torch.manual_seed(0)
    make, in_shape = MODELS[name]
    return make().double(), in_shape


@every_layout
@every_model
def test_matrix_of_a_model_is_its_jacobian(name, layout):
    matrix = check(*model_of(name), layout=layout)
    assert matrix.layout == layout


@every_model
def test_matrix_applies_the_model_but_for_its_shift(name):
    model, in_shape = model_of(name)
    x = torch.randn(1, *in_shape, dtype=torch.float64)
    matrix = convmat.matrix(model, in_shape, layout=torch.sparse_csr)
    assert_close(matrix @ x.flatten(), (model(x) - model(torch.zeros_like(x))).flatten())


@pytest.mark.parametrize("index_dtype", [torch.int32, torch.int64], ids=str)
def test_entries_are_sorted_and_each_place_is_there_once(index_dtype):
    model, in_shape = model_of("decoder")
    csr = convmat.matrix(model, in_shape, layout=torch.sparse_csr, index_dtype=index_dtype)
    assert csr.crow_indices().dtype == csr.col_indices().dtype == index_dtype
    rows = torch.arange(len(csr)).repeat_interleave(csr.crow_indices().diff())
    assert bool((rows * csr.shape[1] + csr.col_indices()).diff().gt(0).all())
    coo = convmat.matrix(model, in_shape, layout=torch.sparse_coo)
    assert coo.is_coalesced()
    assert torch.equal(coo.indices(), torch.stack([rows, csr.col_indices()]))


# -- gradients ---------------------------------------------------------------------------------------------------------


def gradients_by_pytorch(model, in_shape, cotangent):
    """Of <cotangent, A> = sum over unit inputs of <the cotangent's column, what the model makes of it>."""
    units = torch.eye(prod(in_shape), dtype=cotangent.dtype).reshape(-1, *in_shape)
    columns = (model(units) - model(torch.zeros_like(units))).flatten(1)
    return gradients(columns, model, cotangent.T)


def gradients(output, model, cotangent):
    return torch.autograd.grad(output, list(model.parameters()), cotangent, allow_unused=True, materialize_grads=True)


@every_layout
@every_model
def test_gradients_flow_to_every_parameter(name, layout):
    model, in_shape = model_of(name)
    matrix = convmat.matrix(model, in_shape, layout=layout)
    cotangent = torch.randn(matrix.shape, dtype=torch.float64)
    if layout == torch.strided:
        ours = gradients(matrix, model, cotangent)
    elif layout == torch.sparse_coo:
        ours = gradients(matrix.values(), model, cotangent[tuple(matrix.indices())])
    elif layout == torch.sparse_csc:
        columns = torch.arange(matrix.shape[1]).repeat_interleave(matrix.ccol_indices().diff())
        ours = gradients(matrix.values(), model, cotangent[matrix.row_indices(), columns])
    else:
        rows = torch.arange(len(matrix)).repeat_interleave(matrix.crow_indices().diff())
        ours = gradients(matrix.values(), model, cotangent[rows, matrix.col_indices()])
    assert_close(ours, gradients_by_pytorch(model, in_shape, cotangent))


def test_a_loss_on_the_sparse_product_reaches_the_weights():
    model, in_shape = model_of("classifier")
    x = torch.randn(prod(in_shape), 1, dtype=torch.float64)
    y = torch.sparse.mm(convmat.matrix(model, in_shape, layout=torch.sparse_coo), x)
    theirs = model(x.reshape(1, *in_shape)) - model(torch.zeros(1, *in_shape, dtype=torch.float64))
    ours = gradients(y.pow(2).sum(), model, None)
    assert_close(ours, gradients(theirs.pow(2).sum(), model, None))


def test_matrix_is_twice_differentiable():
    model = nn.Sequential(nn.Conv1d(1, 2, 2, bias=False), nn.AvgPool1d(2, 1), nn.Conv1d(2, 1, 2, bias=False)).double()
    weights = [parameter.detach() for parameter in model.parameters()]

    def squared_matrix(*tensors):
        for part, tensor in zip((model[0], model[2]), tensors, strict=True):
            part.__dict__["weight"] = tensor  # found before the parameter
        return convmat.matrix(model, (1, 5)).pow(2)

    inputs = tuple(weight.clone().requires_grad_() for weight in weights)
    assert torch.autograd.gradcheck(squared_matrix, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(squared_matrix, inputs, fast_mode=True)


# -- dtypes ------------------------------------------------------------------------------------------------------------


@every_layout
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.complex64, torch.complex128], ids=str
)
def test_dtypes(dtype, layout):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.ConvTranspose2d(2, 4, (2, 3), stride=2),
        nn.PixelShuffle(2),
        nn.Conv2d(1, 2, 2),
        nn.Flatten(2),
        nn.Linear(143, 3),
    ).to(dtype)
    model.requires_grad_(False)
    wide = torch.complex128 if dtype.is_complex else torch.float64
    matrix = convmat.matrix(model, (2, 3, 3), layout=layout)
    assert matrix.dtype == dtype
    half = dtype in (torch.float16, torch.bfloat16)
    expected = jacobian(model.to(wide), (2, 3, 3), wide)
    assert_close(matrix.to_dense().to(wide), expected, rtol=1e-5, atol=2e-2 if half else 1e-6)


def test_complex_gradients():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(2, 2, 2), nn.Flatten(), nn.Linear(6, 2)).to(torch.complex128)
    for layout in (torch.strided, torch.sparse_coo):
        matrix = convmat.matrix(model, (2, 4), layout=layout)
        cotangent = torch.randn(matrix.shape, dtype=torch.complex128)
        ours = (
            gradients(matrix, model, cotangent)
            if layout == torch.strided
            else gradients(matrix.values(), model, cotangent[tuple(matrix.indices())])
        )
        assert_close(ours, gradients_by_pytorch(model, (2, 4), cotangent))
    with pytest.raises(GeometryError, match=r"no gradients of torch.complex128 in CSR"):
        convmat.matrix(model, (2, 4), layout=torch.sparse_csr)


def integer_convolution():
    convolution = nn.Conv1d(1, 2, 2, bias=False)
    convolution.weight = nn.Parameter(torch.arange(4).reshape(2, 1, 2), requires_grad=False)
    return convolution


def test_integers_are_exact_where_they_can_be():
    model = nn.Sequential(nn.ReflectionPad1d(1), integer_convolution(), nn.Upsample(scale_factor=2))
    matrix = convmat.matrix(model, (1, 4))
    assert matrix.dtype == torch.int64
    wide = nn.Sequential(model[0], nn.Conv1d(1, 2, 2, bias=False, dtype=torch.float64), model[2])
    wide[1].weight.data.copy_(model[1].weight)
    assert torch.equal(matrix.double(), jacobian(wide, (1, 4)))


def test_averages_are_no_integers():
    model = nn.Sequential(integer_convolution(), nn.AvgPool1d(2))
    with pytest.raises(
        GeometryError, match=r"^1: AvgPool1d: its entries are fractions, which torch\.int64 cannot hold"
    ):
        convmat.matrix(model, (1, 5))


# -- refusals ----------------------------------------------------------------------------------------------------------


class OwnForward(nn.Conv2d):
    def forward(self, x):
        return super().forward(x).abs()


class OwnSequential(nn.Sequential):
    def forward(self, x):
        return super().forward(x).abs()


class OwnConvolution(nn.Conv2d):
    def _conv_forward(self, *tensors):
        return super()._conv_forward(*tensors).abs()


def patched():
    module = nn.Conv2d(2, 2, 1)
    module.forward = torch.abs
    return module


class Derived(nn.Conv2d):
    """Computes what a Conv2d does."""


CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d)


def nested(part):
    """A model in which the part is at "0.2"."""
    return nn.Sequential(nn.Sequential(nn.Identity(), nn.Identity(), part), nn.Identity())


NO_LINEAR_PARTS = [
    (nn.ReLU(), "ReLU is not linear: leave it out, or take the matrices of what comes before and after it"),
    (nn.MaxPool2d(2), "MaxPool2d is not linear"),
    (nn.GroupNorm(1, 2), "GroupNorm is not linear"),
    (nn.Softmax(1), "Softmax is not linear"),
    (nn.Bilinear(1, 1, 1), "Bilinear is not known to be linear"),
    (nn.ModuleList([nn.Conv2d(2, 2, 1)]), "ModuleList is not known to be linear"),
    (OwnForward(2, 2, 1), "OwnForward is not linear: leave it out"),
    (OwnConvolution(2, 2, 1), "OwnConvolution is not linear: leave it out"),
    (patched(), "Conv2d is not linear: leave it out"),
    (OwnSequential(nn.Conv2d(2, 2, 1)), "OwnSequential is not linear: leave it out"),
]
WRONG_STATES = [
    (nn.BatchNorm2d(2), "BatchNorm2d .* in train mode: call model.eval() first"),
    (nn.BatchNorm2d(2, track_running_stats=False).eval(), "BatchNorm2d .* keeps no running statistics: make it with "),
    (nn.InstanceNorm2d(2).eval(), "InstanceNorm2d .* keeps no running statistics"),
    (nn.Dropout2d(), "Dropout2d is in train mode, .*: call model.eval() first"),
    (nn.LazyConv2d(2, 1), "LazyConv2d has no weight yet: call it once, on an input"),
    (nn.LazyLinear(2), "LazyLinear has no weight yet: call it once, on an input"),
]
WRONG_SHAPES = [
    (nn.Conv2d(3, 2, 1), "Conv2d: input has 2 channels, but weight of shape .* reads .* 3"),
    (nn.Conv1d(2, 2, 1), r"Conv1d: in_shape=(2, 4, 5) must hold the channels and the 1 spatial sizes"),
    (nn.ConvTranspose2d(1, 2, 1), "ConvTranspose2d: input has 2 channels"),
    (nn.Linear(3, 2), r"Linear reads in_features=3, but the last size of in_shape=(2, 4, 5) is another"),
    (nn.BatchNorm2d(3).eval(), r"BatchNorm2d needs num_features=3 channels and 2 spatial sizes.*, not in_shape=(2, 4"),
    (nn.BatchNorm1d(2).eval(), "BatchNorm1d needs num_features=2 channels and 0 or 1 spatial sizes"),
    (nn.AvgPool2d(6), r"AvgPool2d: in_shape=(2, 4, 5) .* does not fit: "),
    (nn.AvgPool1d(2), r"AvgPool1d: in_shape=(2, 4, 5) .* does not fit: "),
    (nn.ReflectionPad2d(4), r"ReflectionPad2d: in_shape=(2, 4, 5) .* does not fit: "),
    (nn.Upsample(size=(2, 3, 4)), r"Upsample: in_shape=(2, 4, 5) .* does not fit: "),
    (nn.PixelShuffle(2), r"PixelShuffle: in_shape=(2, 4, 5) .* does not fit: "),
    (nn.Fold((4, 5), 2), r"Fold: in_shape=(2, 4, 5) .* does not fit: "),
    (nn.Unflatten(1, (3, 3)), r"Unflatten: in_shape=(2, 4, 5) .* does not fit: "),
    (nn.Flatten(0), "Flatten: it mixes the batch with the rest: dimension 0 is the batch, so let it begin at 1"),
]
REFUSALS = [
    *((module, TypeError, message) for module, message in NO_LINEAR_PARTS),
    *((module, GeometryError, message) for module, message in (*WRONG_STATES, *WRONG_SHAPES)),
]


@pytest.mark.parametrize(("module", "error", "message"), REFUSALS, ids=[message for *_, message in REFUSALS])
def test_refusals_name_the_part_by_its_path(module, error, message):
    pattern = re.escape(message).replace(r"\.\*", ".*")
    with pytest.raises(error, match=rf"^0\.2: {pattern}"):
        convmat.matrix(nested(module), (2, 4, 5))
    # At the root, a convolution says what it always has said.
    own = re.escape(f"{type(module).__name__}: ") if isinstance(module, CONVOLUTIONS) else ""
    with pytest.raises(error, match=f"^{pattern.removeprefix(own)}"):
        convmat.matrix(module, (2, 4, 5))


def test_subclasses_that_compute_the_same_are_taken():
    torch.manual_seed(0)
    check(Derived(2, 3, 2), (2, 3, 4))
    check(nn.Sequential(Derived(2, 3, 2)), (2, 3, 4))


def test_hooks_are_not_run():
    model = nn.Sequential(nn.PixelShuffle(2), nn.AvgPool2d(2), nn.Upsample(scale_factor=2), nn.Flatten())
    expected = convmat.matrix(model, (4, 2, 3))
    for part in model:
        part.register_forward_hook(lambda *_: pytest.fail("the hook ran"))
    assert torch.equal(convmat.matrix(model, (4, 2, 3)), expected)


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"^builtin_function_or_method is not an nn\.Module: need a layer of PyTorch's"):
        convmat.matrix(torch.nn.functional.pixel_shuffle, (4, 2, 2))


@pytest.mark.parametrize("in_shape", [5, "25", (2, 4.0)])
def test_in_shape_must_be_integers(in_shape):
    with pytest.raises(TypeError, match=r"^in_shape="):
        convmat.matrix(nn.Identity(), in_shape)


def test_layouts_are_checked_like_those_of_convolutions():
    with pytest.raises(GeometryError, match=r"layout=torch\.sparse_bsr is unknown"):
        convmat.matrix(nn.Flatten(), (2, 3), layout=torch.sparse_bsr)
    with pytest.raises(GeometryError, match=r"index_dtype=torch\.int32 goes with layout=torch\.sparse_csr"):
        convmat.matrix(nn.Flatten(), (2, 3), index_dtype=torch.int32)


TOO_LARGE = [
    (nn.AvgPool2d(4), (64, 2**16, 2**16)),
    (nn.Upsample(scale_factor=2, mode="bilinear"), (64, 2**15, 2**15)),
    (nn.CircularPad2d(1), (64, 2**16, 2**16)),
    (nn.Unfold(9, padding=4), (512, 2**11, 2**11)),
    (nn.Fold((2**12, 2**12), 4, stride=4), (64 * 16, 2**20)),
    (nn.Linear(64, 64), (2**26, 64)),
    (nn.Identity(), (2**20, 2**20)),
    (nn.BatchNorm2d(64).eval(), (64, 2**16, 2**16)),
    (nn.Conv2d(64, 64, 7, padding=3), (64, 2**12, 2**12)),
]


@every_layout
@pytest.mark.parametrize(("module", "in_shape"), TOO_LARGE, ids=[str(module) for module, _ in TOO_LARGE])
def test_parts_that_would_not_fit_are_refused(module, in_shape, layout, monkeypatch):
    monkeypatch.setattr("convmat.tensors.memory.available", lambda device: 2**34)
    with pytest.raises(
        GeometryError, match=rf"^1: {type(module).__name__}: .* x .* matrix with .* nonzero entr.*iB are free: use "
    ):
        convmat.matrix(nn.Sequential(nn.Sequential(), module), in_shape, layout=layout)


def test_products_that_would_not_fit_are_refused(monkeypatch):
    """Each part is small, and what they make is not."""
    model = nn.Sequential(nn.Linear(1024, 1), nn.Identity(), nn.Sequential(nn.Linear(1, 1024)))
    monkeypatch.setattr("convmat.tensors.memory.available", lambda device: 2**24)
    message = r"^0 to 2\.0: a 1024 x 1024 matrix with up to 1048576 nonzero entries takes "
    with pytest.raises(GeometryError, match=message):
        convmat.matrix(model, (1024,), layout=torch.sparse_csr)


def test_products_begin_where_there_is_the_least_to_do(monkeypatch):
    """Either way round would take too much here if it began at the other end."""
    monkeypatch.setattr("convmat.tensors.memory.available", lambda device: 2**24)
    square = [nn.Linear(256, 256) for _ in range(3)]
    for model in (nn.Sequential(*square, nn.Linear(256, 1)), nn.Sequential(nn.Linear(1, 256), *square)):
        in_shape = (model[0].in_features,)
        check(model, in_shape, layout=torch.sparse_csr)


def test_what_has_no_values_has_no_matrix():
    with pytest.raises(GeometryError, match=r"^Linear is on the meta device, where it has no values: load it first"):
        convmat.matrix(nn.Linear(2, 3, device="meta"), (2,))


@pytest.mark.parametrize("in_shape", [(-1, 3), (2, -3)])
def test_sizes_must_not_be_negative(in_shape):
    with pytest.raises(GeometryError, match=r"must not be negative"):
        convmat.matrix(nn.Identity(), in_shape)


def test_dense_refused_where_sparse_fits():
    model = nn.Sequential(nn.AvgPool1d(2), nn.Upsample(scale_factor=2))
    with pytest.raises(GeometryError, match=r"use layout=torch\.sparse_csr, a smaller in_shape, "):
        convmat.matrix(model, (1, 2**20))
    assert convmat.matrix(model, (1, 2**14), layout=torch.sparse_csr).values().numel() == 2**15


@pytest.mark.parametrize("size", [(3, 2), (2, 7), (8, 9)])
def test_upsampling_by_area_is_adaptive_pooling(size):
    module = nn.Upsample(size=size, mode="area")
    units = torch.eye(20).reshape(20, 1, 4, 5)
    torch.testing.assert_close(convmat.matrix(module, (1, 4, 5)), module(units).flatten(1).T)
