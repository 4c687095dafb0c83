"""The command that repeats a benchmark."""

import shlex
from collections.abc import Collection, Sequence

from pipelines.measuring.plan import REPEATS, Plan

BENCHMARK_PROGRAM = "python -m pipelines benchmark"


def make_command(pictures: Sequence[str], plan: Plan, metrics: Collection[str] = ()) -> str:
    """The command that measures the plan on those pictures; what it writes is no part of it.

    `metrics` are those that are worth a download to whoever repeats it.
    """
    words = [f"./{name}" if name.startswith("-") else name for name in pictures]
    words += ["--protocol", plan.protocol, "--scale", str(plan.scale)]
    models = [each.key for each in plan.contenders if not each.is_chain]
    if models:
        words += ["--models", ",".join(models)]
    for each in plan.contenders:
        if each.is_chain:
            words += ["--stages", each.key]
    words += ["--kernel", plan.kernel]
    if plan.repeats != REPEATS:
        words += ["--repeats", str(plan.repeats)]
    if metrics:
        words += ["--metrics", ",".join(metrics)]
    return f"{BENCHMARK_PROGRAM} {shlex.join(words)}"
