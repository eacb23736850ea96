"""Results of CSE models with the chart coordinates of their vertices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ..structures import VertexResult
from ..surface.mesh_charts import mesh_charts


def charted(result: VertexResult) -> VertexResult:
    """A copy with the fine parts and the U, V of its vertices, if its mesh has charts.

    Args:
        result: on the CPU.
    """
    charts = mesh_charts(result.mesh)
    vertices = result.vertices.numpy()
    if charts is None or vertices.max(initial=0) >= len(charts[0]):
        return result
    i, u, v = (values[vertices] for values in charts)
    person = result.labels.numpy() > 0
    labels = torch.from_numpy(np.where(person, i, 0).astype(np.uint8))
    uv = torch.from_numpy(np.stack([u, v]) * person)
    return replace(result, labels=labels, uv=uv)
