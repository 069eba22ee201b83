"""To be run in a fresh process: what importing costs, and the first two calls of ``torch`` or ``convmat``.

Nothing is imported before the clock runs, so the layer comes as plain JSON.
"""

import json
import sys
import time
from importlib import import_module


def main() -> None:
    """Print seconds as JSON."""
    library, layer = sys.argv[1], json.loads(sys.argv[2])
    seconds = {}

    start = time.perf_counter()
    torch = import_module("torch")
    seconds["import torch"] = time.perf_counter() - start

    functions = torch.nn.functional
    if library == "convmat":
        start = time.perf_counter()
        functions = import_module("convmat")
        seconds["import convmat"] = time.perf_counter() - start

    kernel = layer["kernel_size"]
    kernel = kernel if isinstance(kernel, list) else [kernel] * len(layer["input_size"])
    input = torch.randn(layer["batch"], layer["in_channels"], *layer["input_size"])
    outer, inner = layer["out_channels"], layer["in_channels"]
    names, name = ["stride", "padding", "groups", "dilation"], f"conv{len(kernel)}d"
    if layer["transposed"]:
        outer, inner = inner, outer
        names, name = [*names, "output_padding"], f"conv_transpose{len(kernel)}d"
    weight = torch.randn(outer, inner // layer["groups"], *kernel)
    options = {name: layer[name] for name in names}
    function = getattr(functions, name)
    with torch.inference_mode():
        for call in ("first call", "second call"):
            start = time.perf_counter()
            function(input, weight, **options)
            seconds[call] = time.perf_counter() - start
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
