"""Many images that a caller of the API sent, some of them in zips: upscaled, and kept for no longer than that takes."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import gradio as gr

from pipelines.batch.run import Recipe, Source, is_archive
from pipelines.errors import BadPicture
from ui.jobs import batches
from ui.jobs.batches import Batch, check_count, read_name
from ui.jobs.choosing import check_here, unpack
from ui.jobs.results import new_folder
from ui.jobs.running import explain_errors, forward_steps

Results: TypeAlias = tuple[str | None, list[dict[str, Any]] | None]  # the zip and what became of each image


def upscale_sent(sent: Sequence[tuple[Path, str]], recipe: Recipe, format: str) -> Iterator[Results]:
    """Upscales what was sent; gives the results last. Where the run fails half-way, they are of what is done.

    Raises as `gathered`, `batches.foresee` and `batches.begin`, and gr.Error where nothing is done.
    """
    with gathered(sent) as chosen:
        outlook = batches.foresee(chosen, recipe)
        progress, ended_by = batches.begin(chosen, recipe, format), None
        running = batches.upscale(progress, outlook)
        try:
            with explain_errors():
                yield from forward_steps(running, lambda text, share: (None, None), outlook.expected)
        except gr.Error as error:
            if not progress.done:
                raise
            ended_by = str(error.message)
    yield str(progress.archive), batches.describe(progress, ended_by)


@contextmanager
def gathered(sent: Sequence[tuple[Path, str]]) -> Iterator[Batch]:
    """The images that were sent, those in zips among them, which are deleted in the end.

    The limits of one zip are those of all of them together. Raises BadPicture, as `choosing.unpack` does too, and
    BadSetting.
    """
    check_count(len(sent))
    for path, _ in sent:
        check_here(path)
    zipped = [is_archive(path) for path, _ in sent]
    count, unpacked = len(sent) - sum(zipped), 0
    sources: list[Source] = []
    folders: list[Path] = []
    try:
        for (path, name), is_zip in zip(sent, zipped, strict=True):
            if not is_zip:
                sources += Batch.of([(path, name)]).sources
                continue
            folders.append(new_folder("sent"))
            inside = unpack(path, name, folders[-1], count, unpacked)
            count, unpacked = count + len(inside), unpacked + sum(each.path.stat().st_size for each in inside)
            sources += [replace(each, relative=read_name(str(each.relative))) for each in inside]
        if not sources:
            raise BadPicture("Choose an image first.")
        yield Batch(tuple(sources))
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
