"""A file of weights by its address on the web: only from hosts that are named, and only by https."""

import re
from urllib.parse import urlsplit

from pipelines import environment
from pipelines.catalog.hub_address import LONGEST_KEY, WEIGHTS_SUFFIXES
from pipelines.catalog.openmodeldb import HOSTS, gives_files
from pipelines.catalog.schema import NAMED_SCALES, TILED, Direct, File, Model, Weights
from pipelines.errors import BadSetting

# A comma separates models, and a colon a model and its scale; what else is here needs no escape.
_ADDRESS = re.compile(r"[\w.-]+(?:/[\w.+()@~%=-]+)+", re.ASCII)


def is_address(text: str) -> bool:
    """Returns whether it is the address of something that is not on the Hub, with https:// before it or without."""
    text = text.strip()
    bare = text.removeprefix("https://")
    host = bare.split("/")[0]
    return text.startswith(("http://", "https://")) or (
        "/" in bare and "." in host and gives_files(f"https://{host}/", ())
    )


def find_model(text: str) -> Model:
    """The row for the file at an address; its key is the address without https://. Raises BadSetting for any other."""
    address = text.strip().removeprefix("https://").partition("?")[0].partition("#")[0]
    if text.strip().startswith("http://"):
        raise BadSetting("Files of weights are downloaded only over https, not http.")
    if len(address) > LONGEST_KEY or not _ADDRESS.fullmatch(address) or ".." in address:
        raise BadSetting(f"{text[:60]!r} is not the address of a file of weights.")
    if not address.lower().endswith(WEIGHTS_SUFFIXES):
        *most, last = WEIGHTS_SUFFIXES
        raise BadSetting(
            f"{address.rpartition('/')[2][:60]!r} is not a file of weights: its name must end in "
            f"{', '.join(most)} or {last}."
        )
    host = urlsplit(f"https://{address}").hostname or ""
    if not gives_files(f"https://{address}", environment.model_hosts()):
        known = ", ".join(each.lstrip(".") for each in HOSTS)
        raise BadSetting(
            f"Files are not downloaded from {host} here, only from {known}. UPSCALE_MODEL_HOSTS allows more."
        )
    name = address.rpartition("/")[2]
    weights = Weights((File(name, 0),), (Direct(f"https://{address}"),), anywhere=False)
    return Model(
        key=address,
        name=name,
        family="gan",
        engine="network",
        scales=dict.fromkeys(NAMED_SCALES, weights),
        licence=f"see its page on {host}",
        commercial=False,
        note=f"A network from {host}.",
        takes=TILED,
    )
