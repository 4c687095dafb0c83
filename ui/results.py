"""Stub."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from pipelines.report import Report
from pipelines.results import Row
from pipelines.verdict import verdict


def table() -> gr.HTML:
    return gr.HTML("")


def running(rows: Sequence[Row], plan: Any) -> str:
    return "<p>" + "<br>".join(f"{row.image} {row.model} {row.psnr_y}" for row in rows)


def finished(report: Report) -> str:
    return f"<h3>{verdict(report.rows)}</h3>" + running(report.rows, None)
