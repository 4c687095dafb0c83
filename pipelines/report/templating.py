"""HTML from templates, everything that comes from outside escaped: for the report's file and for the page."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound

from pipelines.errors import BadInstallation


def templates(folder: Path) -> Environment:
    """The templates of a folder. A name that a template uses and is not given is an error.

    A template that is not there is a BadInstallation, by the time that it is asked for.
    """
    return Environment(
        loader=_Loader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class _Loader(FileSystemLoader):
    """Reads templates from a folder, and says in a sentence which one the program came without."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        try:
            return super().get_source(environment, template)
        except TemplateNotFound as error:
            sentence = f"The template {template} is missing from this program's files: install the program again."
            raise BadInstallation(sentence) from error
