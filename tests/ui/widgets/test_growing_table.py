"""The table of a comparison that is being measured."""

import gradio as gr

from tests.support.rows import row
from ui.widgets.growing_table import GrowingTable


def test_the_table_changes_with_new_rows_alone() -> None:
    table = GrowingTable(gr.HTML(), "round-trip", "bicubic")
    assert table.changes() == {}
    table.rows.append(row("nearest", psnr_y=30.0))
    assert "Nearest neighbour" in table.changes()[table.component] and table.changes() == {}
    table.rows += [row("bicubic", psnr_y=31.0), row("lanczos", psnr_y=32.0)]
    assert "Lanczos" in table.changes()[table.component]
