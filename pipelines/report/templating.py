"""HTML from templates, everything that comes from outside escaped: for the report's file and for the page.

Both draw tables and sections by templates/macros.html.
"""

import json
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import BadInstallation
from pipelines.measuring.contenders import title_of

if TYPE_CHECKING:
    from jinja2 import Environment

REPORT_TEMPLATES = Path(__file__).parent / "templates"


def load_templates(folder: Path = REPORT_TEMPLATES) -> "Environment":
    """The templates of a folder, and the report's own. A name that a template uses and is not given is an error.

    A template that is not there is a BadInstallation, by the time that it is asked for.
    """
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def read(name: str) -> str:
        for place in (folder, REPORT_TEMPLATES):
            if (place / name).is_file():
                return (place / name).read_text()
        raise BadInstallation(f"The template {name} is missing from this program's files: install the program again.")

    environment = Environment(
        loader=FunctionLoader(read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "contender": title_of,
        "base64": lambda data: b64encode(data).decode(),
        "number": json.dumps,  # infinity as JavaScript reads it
    }
    return environment
