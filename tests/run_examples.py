"""Run examples, each in a folder of its own, in one process, which imports their libraries once.

``run_examples.py FOLDER EXAMPLE...`` prints what each of them prints, leaves in its folder, and fails with, as JSON.
"""

import io
import json
import os
import runpy
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path

import torch


def run(example: Path, folder: Path) -> dict:
    folder.mkdir()
    os.chdir(folder)
    sys.argv = [str(example)]
    torch.set_default_dtype(torch.float32)  # the only thing that an example sets for all of its process
    error = None
    with redirect_stdout(io.StringIO()) as printed:
        try:
            runpy.run_path(str(example), run_name="__main__")
        except BaseException:  # the next one is run all the same
            error = traceback.format_exc()
    return {"error": error, "printed": printed.getvalue(), "left": os.listdir()}


if __name__ == "__main__":
    folder, *examples = map(Path, sys.argv[1:])
    print(json.dumps({example.name: run(example, folder / example.stem) for example in examples}))
