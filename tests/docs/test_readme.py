"""The README says what the catalog says."""

from pathlib import Path

from pipelines.catalog.rows import MODELS
from pipelines.catalog.schema import Model

README = (Path(__file__).parents[2] / "README.md").read_text()


def line(model: Model) -> str:
    """The model's line in the README's table."""
    scales = " ".join(f"x{scale}" for scale in model.scales)
    sizes = [weights.size / 1e6 for weights in model.scales.values() if weights]
    unit, of = ("GB", 1000) if sizes and min(sizes) > 1000 else ("MB", 1)
    digits = ".0f" if 100 < max(sizes, default=0) < 1000 else ".2g"
    each = " to ".join(dict.fromkeys(f"{size / of:{digits}}" for size in sorted(sizes)[:: max(1, len(sizes) - 1)]))
    download = f"{each} {unit}" if sizes else "none"
    if any(weights and weights.bundled for weights in model.scales.values()):
        download = "comes along"
    use = "yes" if model.commercial else "no"
    return f"| `{model.key}` | {model.name} | {scales} | {download} | {model.licence} | {use} |"


def test_the_table_of_models_is_the_catalog() -> None:
    expected = "\n".join(line(model) for model in MODELS)
    assert expected in README, f"the table should read:\n{expected}"
    assert README.count("\n| `") == len(MODELS)
