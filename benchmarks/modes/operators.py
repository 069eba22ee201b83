"""Operators: what applying one adds to a call, norms and singular values, and what spectral norm adds to training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

import convmat
from benchmarks.bench import Bench, Row
from benchmarks.small_models import ResNet18
from benchmarks.statistic import summary
from benchmarks.tables import new_table, number, speedup
from benchmarks.timing import Call, time_rounds
from convmat import ConvOperator
from convmat.models.norms import layer_norms


def measure(bench: Bench) -> list[Row]:
    """Time each question by itself."""
    rows = []
    for name, make in _QUESTIONS.items():
        calls, base = make(bench)
        rounds = time_rounds(calls, bench.blocks, bench.clock)
        peers = {call: summary(blocks) for call, blocks in rounds.items()}
        rows.append({"layer": name, "base": base, "peers": peers, "refused": {}})
        bench.say(f"{name}: " + ", ".join(f"{call} {peer['ms']:.3g} ms" for call, peer in peers.items()))
    return rows


def _applying(bench: Bench) -> tuple[dict[str, Call], str]:
    weight, x = torch.randn(4, 8, 3, 3), torch.randn(1, 8, 8, 8)
    op = ConvOperator(weight, (8, 8), padding=1)

    def function() -> Tensor:
        return convmat.conv2d(x, weight, padding=1)

    calls = {"convmat.conv2d": function, "op @ x": lambda: op @ x}
    return {name: _without_gradients(call) for name, call in calls.items()}, "convmat.conv2d"


def _values(bench: Bench) -> tuple[dict[str, Call], str]:
    channels, size = (8, 12) if bench.quick else (64, 32)
    weight = torch.randn(channels, channels, 3, 3, dtype=torch.float64)
    op = ConvOperator(weight, (size, size), padding=1, padding_mode="circular")

    def plainly() -> Tensor:
        """Of Sedghi, Gupta and Long (2019), over half the frequencies."""
        return torch.linalg.svdvals(torch.fft.rfft2(weight, (size, size)).permute(2, 3, 0, 1))

    return {"svdvals": plainly, "singular_values": op.singular_values}, "svdvals"


def _norms(bench: Bench) -> tuple[dict[str, Call], str]:
    model, picture = _resnet(bench, 32 if bench.quick else 224)
    operators = [found.operator for found in layer_norms(model, picture, tol=0.5)]
    tol = 1e-3

    def plainly() -> None:
        for op in operators:
            _lanczos(op, tol)

    def ours() -> None:
        for op in operators:
            op.norm(tol=tol)

    return {
        "plain Lanczos": _without_gradients(plainly),
        "norm": _without_gradients(ours),
        "norm_bounds": _without_gradients(lambda: [op.norm_bounds(tol=tol) for op in operators]),
    }, "plain Lanczos"


def _lanczos(op: ConvOperator, tol: float) -> float:
    """With all vectors kept and orthogonalised, until the residual is small."""
    v = torch.randn(1, *op.in_shape)
    basis = (v / v.norm()).reshape(1, -1)
    alphas: list[float] = []
    betas: list[float] = []
    while True:
        w = op.T.apply(op.apply(basis[-1].reshape(1, *op.in_shape))).flatten()
        alphas.append(float(w @ basis[-1]))
        for _ in range(2):  # in single precision, once is not enough
            w = w - basis.T @ (basis @ w)
        betas.append(float(w.norm()))
        beside = torch.diag(torch.tensor(betas[:-1]), 1)
        values, vectors = torch.linalg.eigh(torch.diag(torch.tensor(alphas)) + beside + beside.T)
        if betas[-1] * abs(float(vectors[-1, -1])) <= tol * float(values[-1]) or len(alphas) == 300:
            return float(values[-1]) ** 0.5
        basis = torch.cat([basis, (w / betas[-1])[None]])


def _training(bench: Bench) -> tuple[dict[str, Call], str]:
    batch = 2 if bench.quick else 64
    calls: dict[str, Call] = {}
    for name in ("as it is", "spectral_norm"):
        model, pictures = _resnet(bench, 32, batch)
        if name == "spectral_norm":
            for found in layer_norms(model, pictures[:1], tol=0.5):
                convmat.nn.spectral_norm(model.get_submodule(found.name), in_shape=found.operator.in_shape)
        calls[name] = partial(_step, model, torch.optim.SGD(model.parameters(), lr=1e-3), pictures)
    return calls, "as it is"


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, pictures: Tensor) -> None:
    optimizer.zero_grad()
    model(pictures).square().mean().backward()
    optimizer.step()


def _resnet(bench: Bench, size: int, batch: int = 1) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return ResNet18(8 if bench.quick else 64), torch.randn(batch, 3, size, size)


def _without_gradients(call: Call) -> Call:
    def quietly() -> Any:
        with torch.no_grad():
            return call()

    return quietly


_QUESTIONS = {
    "apply, 8 channels, 8x8": _applying,
    "all values, 64 channels, 32x32, circular": _values,
    "norms, ResNet-18 at 224x224": _norms,
    "training step, ResNet-18 at 32x32": _training,
}


def tables(rows: Sequence[Row]) -> list[Table]:
    """Times, and how many times as fast as what each is compared with."""
    table = new_table("Operators", "question", "call", "ms", "times as fast")
    for row in rows:
        for name, peer in row["peers"].items():
            base = row["peers"][row["base"]]["rounds_ms"]
            ratios = [other / own for own, other in zip(peer["rounds_ms"], base, strict=True)]
            table.add_row(row["layer"], name, number(peer["ms"]), "" if name == row["base"] else speedup(ratios))
    return [table]
