"""Rows as columns of numbers: 100 000 of them take 30 MB, of which as many `Row`s would be 150.

What many rows share, such as pictures, models and notes, is held once. A `Row` is made where somebody asks for it, and
statistics ask for columns.
"""

import operator
from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt

from pipelines.measuring.metrics.scores import find_metric
from pipelines.measuring.rows import WRITTEN, PictureKey, Row

Values: TypeAlias = npt.NDArray[np.float64]
Numbers: TypeAlias = npt.NDArray[np.int64]
T = TypeVar("T", bound=Hashable)
Model: TypeAlias = tuple[str, int, tuple[str, ...] | None, int, int | None, int | None, str | None]
Said: TypeAlias = tuple[str | None, tuple[str, ...]]

MEASURED = (*WRITTEN, "seconds", "peak_mb")  # what is a number of its own in each row
AT = {key: column for column, key in enumerate(MEASURED)}


class _Kinds(Generic[T]):
    """Things that many rows share, each with its number."""

    def __init__(self) -> None:
        self.all: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, thing: T) -> int:
        found = self._numbers.setdefault(thing, len(self.all))
        if found == len(self.all):
            self.all.append(thing)
        return found


class _Index(NamedTuple):
    """The pictures and models of rows in order of first appearance, and of each row the places of its own."""

    rows: int  # how many there were
    pictures: list[PictureKey]
    models: list[str]
    picture_of: Numbers
    model_of: Numbers


class Rows(Sequence[Row]):
    """A sequence of rows that takes some 300 bytes a row. Rows are added at its end; a part of it is one too."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """Holds the rows, in their order."""
        self._pictures: _Kinds[PictureKey] = _Kinds()
        self._models: _Kinds[Model] = _Kinds()
        self._said: _Kinds[Said] = _Kinds()
        self._shared = array("q")  # of each row the numbers of its picture, its model, and what is said of it
        self._measured = array("d")  # of each row as MEASURED has it, NaN for None
        self._stages = array("d")  # the seconds of all stages, one row after another
        self._ends = array("q")  # of each row, where its stages end
        self._index: _Index | None = None
        for row in rows:
            self.append(row)

    def append(self, row: Row) -> None:
        """Adds a row."""
        model = (row.model, row.scale, row.stages, row.runs, row.params, row.weights_bytes, row.weights_sha256)
        self._shared.append(self._pictures.number(row.picture))
        self._shared.append(self._models.number(model))
        self._shared.append(self._said.number((row.error, row.notes)))
        numbers = (*(row.scores[key] for key in WRITTEN), row.seconds, row.peak_mb)
        self._measured.extend(np.nan if each is None else each for each in numbers)
        self._stages.extend(row.stage_seconds or ())
        self._ends.append(len(self._stages))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Rows": ...
    def __getitem__(self, index: int | slice) -> "Row | Rows":
        """Makes the row of that place, or a part of the sequence."""
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        at = range(len(self))[index]
        picture, kind, said = self._shared[3 * at : 3 * at + 3]
        numbers = [None if each != each else each for each in self._measured[len(AT) * at : len(AT) * (at + 1)]]
        model, scale, stages, runs, params, weights_bytes, weights_sha256 = self._models.all[kind]
        error, notes = self._said.all[said]
        return Row(
            *self._pictures.all[picture],
            model,
            scale,
            stages,
            dict(zip(WRITTEN, numbers, strict=False)),
            numbers[AT["seconds"]],
            tuple(self._stages[self._ends[at - 1] if at else 0 : self._ends[at]]) or None,
            runs,
            numbers[AT["peak_mb"]],
            params,
            weights_bytes,
            weights_sha256,
            error,
            notes,
        )

    def __eq__(self, other: object) -> bool:
        """Returns whether the other is a sequence of the same rows."""
        if not isinstance(other, Rows | tuple | list):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = object.__hash__  # of this sequence alone, to which rows may be added

    def __iter__(self) -> Iterator[Row]:
        return (self[index] for index in range(len(self)))

    def select(self, chosen: npt.NDArray[np.bool_] | Numbers) -> "Rows":
        """Returns the rows of these places, or those that a mask leaves, in this order."""
        places = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
        found = Rows()
        found._pictures, found._models, found._said = self._pictures, self._models, self._said
        found._shared = array("q", self._numbers()[places].tobytes())
        found._measured = array("d", np.frombuffer(self._measured).reshape(-1, len(AT))[places].tobytes())
        if not self._stages:
            found._ends = array("q", bytes(8 * len(places)))
            return found
        for place in places.tolist():
            found._stages.extend(self._stages[self._ends[place - 1] if place else 0 : self._ends[place]])
            found._ends.append(len(found._stages))
        return found

    def numbers(self, name: str) -> Values:
        """Returns one of MEASURED of each row, NaN where it is None."""
        found: Values = np.frombuffer(self._measured).reshape(-1, len(AT))[:, AT[name]].copy()
        return found

    def scores(self, key: str) -> Values:
        """Returns what `score_of` says of each row: infinity of a perfect result, NaN where there is no value."""
        found, metric = self.numbers(key), find_metric(key)
        lacking = np.isnan(found)
        if metric.infinite_at_zero:
            found[lacking & (self.numbers(metric.infinite_at_zero) == 0)] = np.inf
        if metric.infinite_note:
            found[lacking & self._where([metric.infinite_note in notes for _, notes in self._said.all])] = np.inf
        return found

    @property
    def failed(self) -> npt.NDArray[np.bool_]:
        """Returns of each row whether it has an error."""
        return self._where([error is not None for error, _ in self._said.all])

    @property
    def said(self) -> list[tuple[str, str | None, tuple[str, ...]]]:
        """Returns what is said of the rows, once: the model, its error, its notes, in the order of the rows."""
        pairs = self._numbers()[:, 1:]
        found, first = np.unique(pairs, axis=0, return_index=True)
        in_order = found[np.argsort(first)].tolist()
        return [(self._models.all[model][0], *self._said.all[said]) for model, said in in_order]

    @property
    def pictures(self) -> list[PictureKey]:
        """Returns the pictures, in order of first appearance."""
        return self._indexed().pictures

    @property
    def models(self) -> list[str]:
        """Returns the models, in order of first appearance."""
        return self._indexed().models

    def of_each_model(self) -> dict[str, "Rows"]:
        """Returns the rows of each model, in order of first appearance."""
        index = self._indexed()
        return {model: self.select(index.model_of == place) for place, model in enumerate(index.models)}

    def of_pictures(self, chosen: npt.NDArray[np.bool_]) -> "Rows":
        """Returns the rows of those of `pictures` that a mask leaves."""
        return self.select(chosen[self._indexed().picture_of])

    def grid(self, values: Values) -> Values:
        """Returns (models, pictures): the value of each row where it belongs, NaN where there is none.

        Of two rows of the same picture and model the later one counts, if it has a value.
        """
        index, has = self._indexed(), ~np.isnan(values)
        found: Values = np.full((len(index.models), len(index.pictures)), np.nan)
        found[index.model_of[has], index.picture_of[has]] = values[has]
        return found

    def without_repeats(self) -> "Rows":
        """Returns one row of each picture and model: the last one, where the first one was."""
        index = self._indexed()
        pairs = index.picture_of * len(index.models) + index.model_of
        found, first = np.unique(pairs, return_index=True)
        if len(found) == len(self):
            return self
        _, backwards = np.unique(pairs[::-1], return_index=True)
        return self.select((len(self) - 1 - backwards)[np.argsort(first)])

    def _numbers(self) -> Numbers:
        return np.frombuffer(self._shared, np.int64).reshape(-1, 3)

    def _where(self, which: Sequence[bool]) -> npt.NDArray[np.bool_]:
        """Of each row what holds for what is said of it."""
        return np.array(which, np.bool_)[self._numbers()[:, 2]]

    def _indexed(self) -> _Index:
        if self._index is None or self._index.rows != len(self):
            shared = self._numbers()
            kinds, pictures = _in_order(shared[:, 1]), _in_order(shared[:, 0])
            models = {self._models.all[kind][0]: 0 for kind in kinds}
            models = {model: place for place, model in enumerate(models)}
            of_kind, of_picture = np.empty(len(self._models.all), int), np.empty(len(self._pictures.all), int)
            of_kind[kinds] = [models[self._models.all[kind][0]] for kind in kinds]
            of_picture[pictures] = np.arange(len(pictures))
            named = [self._pictures.all[number] for number in pictures]
            self._index = _Index(len(self), named, [*models], of_picture[shared[:, 0]], of_kind[shared[:, 1]])
        return self._index


def as_columns(rows: Sequence[Row]) -> Rows:
    """Returns the rows as columns; those that are already, themselves."""
    return rows if isinstance(rows, Rows) else Rows(rows)


def _in_order(numbers: Numbers) -> Numbers:
    """Returns each number once, in order of first appearance."""
    found, first = np.unique(numbers, return_index=True)
    in_order: Numbers = found[np.argsort(first)]
    return in_order
