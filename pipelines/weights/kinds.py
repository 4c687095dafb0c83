"""Which class stands for each kind of source that a row of the catalog can name: a new kind is one line."""

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.catalog import schema
from pipelines.weights.direct import DirectSource
from pipelines.weights.hub import HubSource
from pipelines.weights.openmodeldb import OpenModelDbSource
from pipelines.weights.sources import Source, UrlSource

SOURCE_CLASSES: Mapping[type, Callable[[Any], Source]] = {
    schema.Hub: HubSource,
    schema.Url: UrlSource,
    schema.Direct: DirectSource,
    schema.OpenModelDb: OpenModelDbSource,
}


def source_of(data: schema.SourceData) -> Source:
    """Returns the source that the row's data stands for."""
    return SOURCE_CLASSES[type(data)](data)
