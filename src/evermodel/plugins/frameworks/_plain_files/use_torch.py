"""Uses a ``.pt2`` file with PyTorch alone; of a ``.safetensors`` file it only reads the tensors."""

from __future__ import annotations

import json
import sys


def main(file: str, rows: str, to: str) -> None:
    """Answers the rows of ``rows`` with the model of ``file`` into ``to``; prints the widths of input and output.

    An ``.npz`` holds an array for each argument, in their order.
    """
    import numpy as np
    import torch

    if file.endswith(".pt2"):
        given = np.load(rows)
        arrays = {name: given[name] for name in given.files} if rows.endswith(".npz") else {"": given}
        names = list(arrays) if rows.endswith(".npz") else []
        tensors = [torch.from_numpy(array) for array in arrays.values()]
        program = torch.export.load(file)
        form = program.call_spec.in_spec
        parts = form.children() if hasattr(form, "children") else form.children_specs  # of PyTorch before 2.10
        by_place = len(tensors) - len(parts[1].context)
        with torch.no_grad():
            answers = program.module()(
                *tensors[:by_place], **dict(zip(names[by_place:], tensors[by_place:], strict=True))
            )
        answers = answers.numpy()
        np.save(to, answers)
        shape = [sum(int(np.prod(array.shape[1:])) for array in arrays.values())] if names else list(given.shape[1:])
        found = {"inputs": shape, "outputs": list(answers.shape[1:]), "names": names}
        sys.stdout.write(json.dumps(found))
    else:
        from safetensors.torch import load_file

        sys.stdout.write(
            json.dumps({"tensors": {name: list(tensor.shape) for name, tensor in load_file(file).items()}})
        )


if __name__ == "__main__":
    main(*sys.argv[1:4])
