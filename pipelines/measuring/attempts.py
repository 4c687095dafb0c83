"""Parts of a benchmark's run: a failure is a sentence and not the end, and steps count for the whole."""

from dataclasses import replace

from pipelines.runs import Run, Step, T, explain, map_steps


def attempt(run: Run[T]) -> Run[T | str]:
    """The run's result, or a sentence why there is none: a row is lost, not the benchmark."""
    try:
        return (yield from run)
    except Exception as error:
        return explain(error)


def cut_prefix(run: Run[T], prefix: str) -> Run[T]:
    """The same run, without the prefix that some of its notes have."""
    return map_steps(run, lambda step: replace(step, note=step.note.removeprefix(prefix)))


def count_steps(run: Run[T], done: int, total: int, what: str) -> Run[T]:
    """The same run, its steps as the part of a larger one that has `done` of `total` behind it.

    All are plain steps: a preview of one row of many is shown nowhere, and its picture need not cross to the page.
    """

    def part(step: Step) -> Step:
        told = f", {step.note} {100 * step.done // max(1, step.total)} %" if step.note else ""
        return Step(done, total, what + told)

    return map_steps(run, part)
