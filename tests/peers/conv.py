#!/usr/bin/env python3
"""Convolutions of batch 1 with bias and relu: every distinct one of ResNet-50 and of MobileNetV3-large.

ResNet-50 has its stride in the 3 x 3 convolutions. All activations are relu. `--draw` adds shapes that no net has.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aiai import Program
from peers import Case, Sides, arguments, both, graph, node, ours, run

RANDOM = np.random.default_rng()


@dataclass(frozen=True)
class Conv:
    size: int  # height and width of the image
    inputs: int  # channels
    outputs: int
    kernel: int
    stride: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        return self.kernel // 2

    @property
    def out(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    def __str__(self) -> str:
        kind = "depthwise " if self.groups > 1 else ""
        return f"{kind}{self.kernel}x{self.kernel} {self.inputs}->{self.outputs} at {self.size} stride {self.stride}"


def resnet50() -> Iterator[Conv]:
    """He et al., 2015, table 1."""
    yield Conv(224, 3, 64, 7, 2)
    size, channels = 56, 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        yield Conv(size, channels, width, 1)
        yield Conv(size, width, width, 3, stride)
        yield Conv(size, channels, 4 * width, 1, stride)
        size //= stride
        yield Conv(size, width, 4 * width, 1)
        yield Conv(size, 4 * width, width, 1)
        yield Conv(size, width, width, 3)
        channels = 4 * width


# Howard et al., 2019, table 1: kernel, expanded channels, output channels, channels of squeeze-and-excite, stride.
MOBILENET = [
    (3, 16, 16, 0, 1), (3, 64, 24, 0, 2), (3, 72, 24, 0, 1), (5, 72, 40, 24, 2), (5, 120, 40, 32, 1),
    (5, 120, 40, 32, 1), (3, 240, 80, 0, 2), (3, 200, 80, 0, 1), (3, 184, 80, 0, 1), (3, 184, 80, 0, 1),
    (3, 480, 112, 120, 1), (3, 672, 112, 168, 1), (5, 672, 160, 168, 2), (5, 960, 160, 240, 1), (5, 960, 160, 240, 1),
]  # fmt: skip


def mobilenet_v3_large() -> Iterator[Conv]:
    yield Conv(224, 3, 16, 3, 2)
    size, channels = 112, 16
    for kernel, wide, outputs, narrow, stride in MOBILENET:
        if wide != channels:
            yield Conv(size, channels, wide, 1)
        yield Conv(size, wide, wide, kernel, stride, wide)
        size //= stride
        if narrow > 0:
            yield Conv(1, wide, narrow, 1)
            yield Conv(1, narrow, wide, 1)
        yield Conv(size, wide, outputs, 1)
        channels = outputs
    yield Conv(size, 160, 960, 1)
    yield Conv(1, 960, 1280, 1)
    yield Conv(1, 1280, 1000, 1)


def drawn(count: int, seed: int) -> Iterator[Conv]:
    draw = random.Random(seed)
    size = lambda low, high: round(low * (high / low) ** draw.random())
    for _ in range(count):
        image, kernel, stride, channels = size(5, 80), draw.choice([1, 3, 5, 7]), draw.choice([1, 1, 2]), size(3, 512)
        if draw.random() < 0.3:
            yield Conv(image, channels, channels, kernel, stride, channels)
        else:
            yield Conv(image, channels, size(8, 512), kernel, stride)


SOURCE = """
module Conv<O, I, K> {{
  param w: f32[O, I, K, K] ~ he_normal(fan_in = I * K * K)
  param b: f32[O, 1, 1] ~ zeros
}}

fn apply(net: Conv<{o}, {i}, {k}>, x: f32[B, {c}, {s}, {s}]) -> f32[B, {o}, {out}, {out}] {{
  relu(conv2d(x, net.w, stride = {stride}, padding = {padding}, groups = {groups}) + net.b)
}}
"""


def sides(conv: Conv) -> Sides:
    c, o, i, k = conv.inputs, conv.outputs, conv.inputs // conv.groups, conv.kernel
    draw = lambda *shape: RANDOM.normal(size=shape).astype(np.float32)
    inputs = {"x": draw(1, c, conv.size, conv.size)}
    w, b, shape = draw(o, i, k, k) / np.float32((i * k * k) ** 0.5), draw(o), (1, o, conv.out, conv.out)
    names = {"stride": conv.stride, "padding": conv.padding, "groups": conv.groups}
    source = SOURCE.format(o=o, i=i, k=k, c=c, s=conv.size, out=conv.out, **names)
    attributes = {"pads": [conv.padding] * 4, "strides": [conv.stride] * 2, "group": conv.groups}
    nodes = [node("Conv", "x w b", "c", **attributes), node("Relu", "c")]
    program = Program(source, "apply", {"net.w": w, "net.b": b.reshape(o, 1, 1)})
    return ours(program, inputs, shape) | both(graph(nodes, inputs, {"w": w, "b": b}, shape), inputs, shape)


def case(conv: Conv, group: str) -> Case:
    weights = conv.outputs * conv.inputs // conv.groups * conv.kernel**2
    pixels = conv.out**2
    read, written = conv.inputs * conv.size**2 + weights + conv.outputs, conv.outputs * pixels
    return Case(str(conv), group, lambda: sides(conv), 2 * weights * pixels, 4 * read, 4 * written)


if __name__ == "__main__":
    options = arguments(__doc__)
    convolutions = {"ResNet-50": resnet50(), "MobileNetV3-large": mobilenet_v3_large()}
    convolutions["drawn"] = drawn(options.draw, options.seed)
    run("conv", [case(c, group) for group, found in convolutions.items() for c in dict.fromkeys(found)], options)
