"""HAESR over maps that are kept whole: what its means, grids and gates need of the picture is taken of all of it.

Of what attends to what, only the features that it follows from are kept, and the first group's weights find it anew for
the others: it would be 600 numbers a pixel.
"""

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from pipelines.images.picture import Pixels
from pipelines.networks.archs.haesr_attention import WINDOW, ChannelAttention, cut_between
from pipelines.networks.canvas import Canvas, Job, Scratch, average, read_tiles
from pipelines.networks.tiling import Span, Tile

if TYPE_CHECKING:
    from pipelines.networks.archs.haesr import Attending, Channels, Gate, Group, Haesr, Local, Stages

Source: TypeAlias = tuple["Attending", Tensor]
"""By whose weights it is found what attends to what, and of which features."""

Jobs: TypeAlias = Generator[Job, None, Tensor]
"""Jobs one after another, and at last the map that they made."""

LARGE_REACH = 15  # of the large kernels
COUNT = 3 * 25  # of the jobs of three groups
MAPS = 10  # at once, of the network's width, about: six that attention follows from, and what is worked on


def run_haesr(network: "Haesr", canvas: Canvas, first: Tensor) -> Generator[Job, None, list[Tensor]]:
    """The three groups, each of which reads the map that the one before it made; see `Passes.run`."""
    made, sources = first, list[Source]()
    for group in (network.block0, network.block1, network.block2):
        made = yield from _run_group(group, canvas, made, sources)
    return [made, first]


def _run_group(group: "Group", canvas: Canvas, given: Tensor, sources: list[Source]) -> Jobs:
    features = yield from _run_stages(group.residual_layer, canvas, given, sources)
    features = yield from _run_channels(group.residual_layer.BlockC, canvas, features)
    joined = canvas.make(given.shape[2])

    def join(inner: Tensor, before: Tensor) -> Tensor:
        channels = group.residual_layer.BlockC
        made: Tensor = group.res_end(inner + channels.gfn2(channels.cnorm2(inner)))
        return made + before

    yield canvas.run(join, [features, given], joined, reach=1)
    return (yield from _run_gate(group.esa, canvas, joined))


def _run_stages(stages: "Stages", canvas: Canvas, features: Tensor, sources: list[Source]) -> Jobs:
    """The three stages. In the first group they put what attention follows from into `sources`; later ones read it."""
    quarter, finds, kept, place = stages.quarter, not sources, list[Tensor](), 0
    for number in (1, 2, 3):
        made = canvas.make(features.shape[2])
        local = cast("Local", stages.get_submodule(f"LB{number}"))
        means = average(features).permute(0, 3, 1, 2)
        yield canvas.run(partial(_run_local, local, means), [features], made, LARGE_REACH)
        apart, features = made[..., :quarter], made[..., quarter:]
        for name in (f"SLA{number}", f"SGA{number}"):
            attending = cast("Attending", stages.get_submodule(name))
            if finds:
                sources.append((attending, features))
            features = yield from _run_attending(attending, canvas, features, sources[place])
            place += 1
        pointwise = stages.get_submodule(f"pw{number}")
        read = [*(kept if number == 3 else ()), features, apart]
        made = canvas.make(sum(each.shape[2] for each in read))
        yield canvas.run(partial(_run_joined, pointwise), read, made)
        features = made
        if number < 3:
            kept.append(made[..., :quarter])
            features = made[..., quarter:]
    return features


def _run_local(local: "Local", means: Tensor, features: Tensor) -> Tensor:
    made: Tensor = local(features, means)
    return made


def _run_joined(pointwise: torch.nn.Module, *features: Tensor) -> Tensor:
    made: Tensor = pointwise(torch.cat(features, dim=1))
    return made


def _run_attending(attending: "Attending", canvas: Canvas, features: Tensor, source: Source) -> Jobs:
    """Attention in windows, each of which reads a little beyond itself, or across the grid; and what is behind it."""
    finder, found_in = source
    added, made = canvas.make(features.shape[2]), canvas.make(features.shape[2])

    def attend(values: Tensor, sought_in: Tensor) -> Tensor:
        normed = finder.cnorm(sought_in)
        known = finder.attn.attend(finder.attn.tokens.ask(normed), finder.attn.tokens.answer(normed))
        answers: Tensor = attending.attn(attending.cnorm(values), known)[0]
        return values + answers

    if attending.attn.tokens.grid:
        yield _across_grid(attending, source, features, added)
    else:
        yield canvas.run(attend, [features, found_in], added, reach=WINDOW, grid=WINDOW)

    def feed(values: Tensor) -> Tensor:
        fed: Tensor = values + attending.gfn(attending.cnorm2(values))
        return fed

    yield canvas.run(feed, [added], made, reach=1)
    return made


def _across_grid(attending: "Attending", source: Source, features: Tensor, out: Tensor) -> Job:
    """Attention across the grid: a tile is of so many of its groups, each of 64 places far apart."""
    (finder, found_in), tokens = source, attending.attn.tokens
    height, width = features.shape[0] // WINDOW, features.shape[1] // WINDOW
    down, along = tokens.half or (False, False)

    def work(tile: Tile) -> None:
        rows, columns = _list_places(tile.rows, height), _list_places(tile.columns, width)
        size = len(rows), len(columns)

        def read(map_: Tensor, lower: int = 0, further: int = 0) -> Tensor:
            at = (rows + lower) % len(map_), (columns + further) % map_.shape[1]
            return map_[at[0][:, None], at[1]].permute(2, 0, 1)[None]

        def tokens_of(map_: Tensor, norm: torch.nn.Module) -> tuple[Tensor, Tensor]:
            between = read(map_, down * (height // 2), along * (width // 2))
            return tokens.ask(norm(read(map_))), cut_between(norm(between), down, along)

        asking, between = tokens_of(found_in, finder.cnorm)
        known = finder.attn.attend(asking, torch.cat((asking, between), dim=2))
        made = attending.attn.answer(known, torch.cat(tokens_of(features, attending.cnorm), dim=2))
        out[rows[:, None], columns] = (read(features) + tokens.place(made, *size))[0].permute(1, 2, 0)

    return Job(0, work, fold=WINDOW)


def _list_places(span: Span, apart: int) -> Tensor:
    """The rows, or columns, of the groups of a span: first all in the first cell of the grid, then in the next."""
    return torch.cat([torch.arange(span.start, span.stop) + cell * apart for cell in range(WINDOW)])


def _run_channels(channels: "Channels", canvas: Canvas, features: Tensor) -> Jobs:
    """Attention between channels, but for the layer at its end: within windows, and across the grid by two jobs."""

    def attend_in_windows(values: Tensor) -> Tensor:
        attended: Tensor = values + channels.cttn1(channels.canorm1(values))
        return attended

    def feed(values: Tensor) -> Tensor:
        fed: Tensor = values + channels.gfn1(channels.cnorm1(values))
        return fed

    attended, fed, made = (canvas.make(features.shape[2]) for _ in range(3))
    yield canvas.run(attend_in_windows, [features], attended, reach=WINDOW, grid=WINDOW)
    yield canvas.run(feed, [attended], fed, reach=1)
    products = _Products(channels.cttn2)
    scratch = Scratch()

    def gather(tile: Tile) -> None:
        (read,) = read_tiles([fed], tile, scratch)
        products.add(channels.cttn2.project(channels.canorm2(read.permute(0, 3, 1, 2))), tile)

    yield Job(WINDOW, gather, WINDOW)
    attention = products.attention()

    def attend_across(values: Tensor) -> Tensor:
        cttn = channels.cttn2
        _, _, read = cttn.cut(cttn.project(channels.canorm2(values)))
        return values + cttn.join(attention @ read, values.shape)

    yield canvas.run(attend_across, [fed], made, reach=WINDOW, grid=WINDOW)
    return made


class _Products:
    """What channels across the grid have to do with each other: sums over all its cells, tile by tile."""

    def __init__(self, cttn: ChannelAttention) -> None:
        self.cttn = cttn
        self.sums: list[Tensor | float] = [0.0, 0.0, 0.0]

    def add(self, projected: Tensor, tile: Tile) -> None:
        """Adds the places that a tile writes; the first one begins anew, as all do where tiles had to be halved."""
        rows, columns = (slice(span.first - span.start, span.last - span.start) for span in tile)
        asked, keys, _ = self.cttn.cut(projected[..., rows, columns])
        if tile.rows.first == tile.columns.first == 0:
            self.sums = [0.0, 0.0, 0.0]
        squares = asked.square().sum(-1), keys.square().sum(-1)
        self.sums = [before + more for before, more in zip(self.sums, (asked @ keys.mT, *squares), strict=True)]

    def attention(self) -> Tensor:
        """What each channel attends to, (1, 64, channels, channels)."""
        products, asked, keys = (torch.as_tensor(each) for each in self.sums)
        lengths = [each.sqrt().clamp_min(1e-12) for each in (asked, keys)]  # as F.normalize has it
        return (products / (lengths[0][..., None] * lengths[1][..., None, :]) * self.cttn.temperature).softmax(-1)


def _run_gate(gate: "Gate", canvas: Canvas, features: Tensor) -> Jobs:
    narrow, made = canvas.make(gate.conv1.out_channels), canvas.make(features.shape[2])
    yield canvas.run(gate.conv1, [features], narrow)
    far = gate.look_far(narrow.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    yield canvas.run(gate.weigh, [features, narrow, far], made)
    return made


def pad_to_windows(pixels: Pixels) -> Pixels:
    """A picture (H, W, 3) continued to whole windows, two a side at the least, as `Haesr.head` does."""
    height, width, _ = pixels.shape
    below, beside = (max(-side % WINDOW, 2 * WINDOW - side) for side in (height, width))
    mode: Literal["reflect", "edge"] = "reflect" if below < height and beside < width else "edge"
    return np.pad(pixels, ((0, below), (0, beside), (0, 0)), mode=mode)
