"""From maps to labels, U and V at every pixel, for 20 people of 160 x 310 pixels.

    python benchmarks/bench_results.py

"plain" interpolates all channels, person by person, which is the definition of the result.
"""

import torch
from timing import measure, report
from torch.nn import functional as F

from densepose_ext.modeling.postprocessing import densepose_results
from densepose_ext.structures import DensePoseOutput

PEOPLE, SIDE, HEIGHT, WIDTH = 20, 112, 310, 160


def make_output() -> DensePoseOutput:
    """Maps like a predictor's: a blob on background, with regions of parts."""

    def regions(channels: int) -> torch.Tensor:
        value = torch.randn(PEOPLE, channels, 7, 7)
        return F.interpolate(value, size=(SIDE // 2, SIDE // 2), mode="bicubic")

    axis = torch.linspace(-1, 1, SIDE // 2)
    blob = 4 * (0.7 - torch.hypot(axis[:, None], 1.2 * axis[None])) + regions(1)
    maps = torch.cat([-blob, blob, 3 * regions(25), regions(50).sigmoid()], dim=1)
    maps = maps.contiguous(memory_format=torch.channels_last)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)
    return DensePoseOutput(*maps.split([2, 25, 25, 25], dim=1))


def plain(output: DensePoseOutput) -> list[tuple[torch.Tensor, torch.Tensor]]:
    results = []
    for n in range(PEOPLE):
        coarse, fine, u, v = (
            F.interpolate(value[n : n + 1].contiguous(), (HEIGHT, WIDTH), mode="bilinear")[0]
            for _, value in output.items()
        )
        labels = fine.argmax(0) * (coarse.argmax(0) > 0)
        uv = torch.zeros(2, HEIGHT, WIDTH)
        for part in range(1, 25):
            for values, maps in zip(uv, (u, v)):
                values[labels == part] = maps[part][labels == part]
        results.append((labels, uv))
    return results


def main() -> None:
    torch.manual_seed(0)
    output = make_output()
    boxes = torch.tensor([[10.0, 20.0, 10.5 + WIDTH, 20.5 + HEIGHT]]).repeat(PEOPLE, 1)
    body, same = 0.0, 0.0
    for (labels, _), result in zip(plain(output), densepose_results(output, boxes)):
        body += (labels > 0).float().mean().item() / PEOPLE
        same += (labels == result.labels).float().mean().item() / PEOPLE
    contiguous = output.map(torch.Tensor.contiguous)
    times = measure(
        {
            "plain": lambda: plain(output),
            "densepose_results": lambda: densepose_results(output, boxes),
            "densepose_results, maps not channels last": lambda: densepose_results(
                contiguous, boxes
            ),
        },
        repeats=15,
    )
    title = f"results of a person of {WIDTH} x {HEIGHT}, {body:.0%} body, {same:.3%} labels equal"
    report(title, times, "plain", per=PEOPLE, unit=" a person")


if __name__ == "__main__":
    main()
