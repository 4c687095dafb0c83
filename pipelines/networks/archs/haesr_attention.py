"""HAESR's attention: who attends to whom in windows and across a grid, and between channels."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

WINDOW = 8  # pixels a side
REACH = 4  # pixels beyond a window that some of its samples lie
EPSILON = 1e-6  # of the layer's normalisation


class Tokens(NamedTuple):
    """Who attends to whom: `ask` gives (N, groups, 64, C) from features, `answer` (N, groups, others, C).

    `place` puts (N, groups, 64, C) back to where `ask` found it in features of that height and width. `others` is how
    many they are; of a grid, the first 64 are those that ask, and `half` is whether others lie half-way down, and
    along the row.
    """

    ask: Callable[[Tensor], Tensor]
    answer: Callable[[Tensor], Tensor]
    place: Callable[[Tensor, int, int], Tensor]
    others: int
    half: tuple[bool, bool] | None = None

    @property
    def grid(self) -> bool:
        """Returns whether those that attend to each other lie across a grid of the whole picture."""
        return self.half is not None


class LayerNorm(nn.Module):
    """Normalises the channels of each pixel: (N, C, h, w) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, features: Tensor) -> Tensor:
        last = features.movedim(1, -1)
        return F.layer_norm(last, last.shape[-1:], self.weight, self.bias, EPSILON).movedim(-1, 1)


class GatedFeedForward(nn.Module):
    """Two halves of wider features, of which one gates the other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.dwconv = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width, bias=False)
        self.project_out = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        gate, gated = self.dwconv(self.project_in(features)).chunk(2, dim=1)
        made: Tensor = self.project_out(F.gelu(gate) * gated)
        return made


class Attention(nn.Module):
    """Attention with one head. Where it `finds`, it works out what attends to what; else it is given that."""

    def __init__(self, width: int, tokens: Tokens, finds: bool) -> None:
        super().__init__()
        self.tokens, self.finds = tokens, finds
        self.rel_pos_bias: nn.Embedding | nn.Parameter
        asking = WINDOW**2
        if finds:
            self.to_q = nn.Linear(width, width, bias=False)
            self.to_kv = nn.Linear(width, 2 * width, bias=False)
            if tokens.grid:
                self.rel_pos_bias = nn.Embedding((2 * WINDOW - 1) ** 2, 1)
                self.extra_pos_bias = nn.Parameter(torch.zeros(1, asking, tokens.others - asking))
            else:
                self.rel_pos_bias = nn.Parameter(torch.zeros(1, asking, tokens.others))
        else:
            self.to_v = nn.Linear(width, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width, bias=False))

    def forward(self, features: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
        answers = self.tokens.answer(features)
        attention = self.attend(self.tokens.ask(features), answers) if known is None else known
        return self.tokens.place(self.answer(attention, answers), *features.shape[2:]), attention

    def attend(self, asking: Tensor, answers: Tensor) -> Tensor:
        """Finds what attends to what, (N, groups, 64, others)."""
        width = answers.shape[-1]
        keys = F.linear(answers, self.to_kv.weight[:width])
        asked = self.to_q(asking) * width**-0.5
        attention: Tensor = (asked @ keys.transpose(-2, -1) + self._bias()).softmax(-1)
        return attention

    def answer(self, attention: Tensor, answers: Tensor) -> Tensor:
        """What those that ask get, (N, groups, 64, C)."""
        values = F.linear(answers, self.to_kv.weight[answers.shape[-1] :]) if self.finds else self.to_v(answers)
        made: Tensor = self.to_out(attention @ values)
        return made

    def _bias(self) -> Tensor:
        """What attends to what by their places alone: (1, 64, others)."""
        near = self.rel_pos_bias
        if isinstance(near, nn.Parameter):
            return near
        device = self.extra_pos_bias.device
        along = torch.arange(WINDOW, device=device)
        rows, columns = torch.meshgrid(along, along, indexing="ij")
        places = torch.stack((rows.flatten(), columns.flatten()))
        apart = places[:, :, None] - places[:, None, :] + WINDOW - 1
        looked_up: Tensor = near((2 * WINDOW - 1) * apart[0] + apart[1])
        return torch.cat((looked_up.movedim(-1, 0), self.extra_pos_bias), dim=-1)


class ChannelAttention(nn.Module):
    """Attention of channels to each other by their pixels: of a window, or of the same place in all windows."""

    def __init__(self, width: int, in_windows: bool) -> None:
        super().__init__()
        self.in_windows = in_windows
        self.temperature = nn.Parameter(torch.ones(1, 1, 1))
        self.qkv = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.qkv_dwconv = nn.Conv2d(3 * width, 3 * width, 3, padding=1, groups=3 * width, bias=False)
        self.project_out = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        asked, keys, values = self.cut(self.project(features))
        attention = F.normalize(asked, dim=-1) @ F.normalize(keys, dim=-1).transpose(-2, -1) * self.temperature
        return self.join(attention.softmax(-1) @ values, features.shape)

    def project(self, features: Tensor) -> Tensor:
        """Queries, keys and values, (N, 3*C, h, w), each of which reads one place far."""
        projected: Tensor = self.qkv_dwconv(self.qkv(features))
        return projected

    def cut(self, projected: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values by groups: each (N, groups, C, pixels of a group)."""
        number, channels, height, width = projected.shape
        order = (0, 3, 5, 1, 2, 4, 6) if self.in_windows else (0, 4, 6, 1, 2, 3, 5)
        cut = projected.reshape(number, 3, channels // 3, height // WINDOW, WINDOW, width // WINDOW, WINDOW)
        return cut.permute(order).flatten(1, 2).flatten(-2).unbind(2)

    def join(self, made: Tensor, shape: torch.Size) -> Tensor:
        """Groups put back into features of that shape."""
        number, channels, height, width = shape
        cells = height // WINDOW, width // WINDOW
        if self.in_windows:
            made = made.reshape(number, *cells, channels, WINDOW, WINDOW).permute(0, 3, 1, 4, 2, 5)
        else:
            made = made.reshape(number, WINDOW, WINDOW, channels, *cells).permute(0, 3, 4, 1, 5, 2)
        projected: Tensor = self.project_out(made.reshape(shape))
        return projected


def around_windows(pattern: list[tuple[int, int]]) -> Tokens:
    """Windows of 8x8 that attend to themselves and to samples around them, at these places of 16x16, in their order."""
    inside = [(row, column) for row in _INSIDE for column in _INSIDE]
    rows, columns = zip(*sorted({*inside, *pattern}), strict=True)

    def ask(features: Tensor) -> Tensor:
        inner = features.unfold(2, WINDOW, WINDOW).unfold(3, WINDOW, WINDOW)
        return inner.permute(0, 2, 3, 4, 5, 1).flatten(1, 2).flatten(2, 3)

    def answer(features: Tensor) -> Tensor:
        side = WINDOW + 2 * REACH
        windows = F.pad(features, (REACH,) * 4).unfold(2, side, WINDOW).unfold(3, side, WINDOW)
        return windows[..., list(rows), list(columns)].permute(0, 2, 3, 4, 1).flatten(1, 2)

    def place(made: Tensor, height: int, width: int) -> Tensor:
        windows = made.reshape(len(made), height // WINDOW, width // WINDOW, WINDOW, WINDOW, -1)
        return windows.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    return Tokens(ask, answer, place, len(rows))


def across_grid(down: bool, along: bool) -> Tokens:
    """Grids of 8x8 pixels over the whole picture, which attend to themselves and to the pixels half-way to the next.

    Half-way `down`, `along` the row, or both.
    """

    def ask(features: Tensor) -> Tensor:
        return _grid(features).flatten(2, 3)

    def answer(features: Tensor) -> Tensor:
        height, width = features.shape[2:]
        half = (down * (height // WINDOW // 2), along * (width // WINDOW // 2))
        between = features.roll((-half[0], -half[1]), (2, 3))
        return torch.cat((ask(features), cut_between(between, down, along)), dim=2)

    def place(made: Tensor, height: int, width: int) -> Tensor:
        grids = made.reshape(len(made), height // WINDOW, width // WINDOW, WINDOW, WINDOW, -1)
        return grids.permute(0, 5, 3, 1, 4, 2).flatten(4, 5).flatten(2, 3)

    others = WINDOW**2 + (WINDOW - down) * (WINDOW - along)
    return Tokens(ask, answer, place, others, (down, along))


def cut_between(features: Tensor, down: bool, along: bool) -> Tensor:
    """The tokens half-way, of features that begin there: the last row, or column, of a grid has none."""
    return _grid(features)[:, :, : WINDOW - down, : WINDOW - along].flatten(2, 3)


def _grid(features: Tensor) -> Tensor:
    """(N, C, 8*h, 8*w) as (N, h*w, 8, 8, C): pixels that lie h rows and w columns apart together."""
    number, channels, height, width = features.shape
    cut = features.reshape(number, channels, WINDOW, height // WINDOW, WINDOW, width // WINDOW)
    return cut.permute(0, 3, 5, 2, 4, 1).flatten(1, 2)


_INSIDE = range(REACH, REACH + WINDOW)
_OUTSIDE = [*range(REACH), *range(REACH + WINDOW, WINDOW + 2 * REACH)]
_MIDDLE, _LAST = REACH + WINDOW // 2, WINDOW + 2 * REACH - 1
_CORNER = 3  # pixels a side
_ENDS = [*range(_CORNER), *range(_LAST + 1 - _CORNER, _LAST + 1)]

STAR = [place for at in _OUTSIDE for place in ((at, _MIDDLE), (_MIDDLE, at), (at, at), (at, _LAST - at))]
CROSS = [place for at in _OUTSIDE for other in (_MIDDLE - 1, _MIDDLE) for place in ((at, other), (other, at))]
CORNERS = [(row, column) for row in _ENDS for column in _ENDS]
