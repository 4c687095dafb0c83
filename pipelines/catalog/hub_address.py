"""A file of weights on the Hugging Face Hub, by what a visitor writes to name it."""

import re
from urllib.parse import unquote, urlsplit

from pipelines.catalog.schema import NAMED_SCALES, TILED, File, Hub, Model, Weights
from pipelines.errors import BadSetting

HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
WEIGHTS_SUFFIXES = (".safetensors", ".pth", ".pth.tar", ".pt")
LONGEST_KEY = 200  # at most, of a key: with a picture's name before it, it becomes a file's name
HUB_EXAMPLE = "owner/name/file.safetensors"
LONGEST_QUOTE = 60  # characters

PATH_CHARACTERS = "letters of English, digits, spaces and . _ - + ( ) [ ]"  # in a path: a comma separates models

_PART = r"\w(?:[\w.-]*\w)?"  # as huggingface_hub's validate_repo_id has it, with what it forbids below
_NAME = r"[\w.+()\[\]-](?:[\w.+()\[\] -]*[\w.+()\[\]-])?"
_KEY = re.compile(rf"({_PART}/{_PART})(?:@([0-9a-f]{{40}}|main))?/((?:{_NAME}/)*{_NAME})", re.ASCII)


def is_address(text: str) -> bool:
    """Returns whether it is an address on the Hub, with https:// before it or without."""
    return bool(re.match(r"(https?://)?(www\.)?(huggingface\.co|hf\.co)/", text.strip(), re.IGNORECASE))


def find_model(text: str) -> Model:
    """A row for the file of a community model: "owner/name/file.safetensors", or its URL on huggingface.co.

    "owner/name@revision/file.safetensors" is the file as it was at that 40-hex revision. What it enlarges by is known
    once it is here: any scale may be asked for. Raises BadSetting for what names no file of weights there.
    """
    repo, revision, path = parse(text)
    weights = Weights((File(path, 0),), (Hub(repo, revision, public=True),), anywhere=False)
    return Model(
        key=f"{repo}@{revision}/{path}" if revision else f"{repo}/{path}",
        name=path.rpartition("/")[2],
        family="gan",
        engine="network",
        scales=dict.fromkeys(NAMED_SCALES, weights),
        licence="see its page on the Hub",
        commercial=False,
        note=f"A network of {repo}.",
        takes=TILED,
    )


def parse(text: str) -> tuple[str, str | None, str]:
    """The repository "owner/name", the 40-hex revision (None: the newest), and the path of the file in it.

    Raises BadSetting for what names no file of weights there.
    """
    text = text.strip()
    is_url = re.match(r"https?:|(www\.)?(huggingface|hf)\.co/", text, re.IGNORECASE)
    key = _key_of_url(text) if is_url else text.replace("%20", " ")
    if len(key) > LONGEST_KEY:
        raise BadSetting(f"The name of a file on the Hub has at most {LONGEST_KEY} characters here, not {len(key)}.")
    match = _KEY.fullmatch(key)
    repo, revision, path = match.groups() if match else ("", None, "")
    is_key = re.fullmatch(rf"{_PART}/{_PART}(@\w+)?(/[^/\n]+)+", key, re.ASCII)
    if not match and is_key and (forbidden := _first_forbidden(key)):
        raise BadSetting(f"{_quoted(text)} has {forbidden}, and a file's path may only have {PATH_CHARACTERS} here.")
    if not match or re.search(r"--|\.\.|\.git$", repo) or {".", ".."} & set(path.split("/")):
        hint = f"write {HUB_EXAMPLE}, or the address of its page there"
        raise BadSetting(f"{_quoted(text)} names no file on the Hub: {hint}.")
    if not path.lower().endswith(WEIGHTS_SUFFIXES):
        *most, last = WEIGHTS_SUFFIXES
        raise BadSetting(f"{_quoted(path)} is not a file of weights: its name must end in {', '.join(most)} or {last}.")
    return repo, None if revision == "main" else revision, path


def _key_of_url(text: str) -> str:
    """Returns the key for the URL of a file, or of its page, on huggingface.co."""
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host = url.hostname
    except ValueError:
        host = None
    if host not in HUB_HOSTS:
        raise BadSetting(f"Only files on huggingface.co can be used, not {_quoted(text)}.")
    names = unquote(url.path).strip("/").split("/")
    if names[0] in ("spaces", "datasets"):
        raise BadSetting(f"{_quoted(text)} is the address of a {names[0][:-1]}; only a model's files can be used.")
    if len(names) < 5 or names[2] not in ("blob", "resolve"):
        raise BadSetting(
            f"{_quoted(text)} is not the address of a file: open the file in the repository's list, and copy that."
        )
    owner, name, _, revision, *path = names
    if revision == "main":
        return "/".join((owner, name, *path))
    if re.fullmatch("[0-9a-f]{40}", revision):
        return "/".join((owner, f"{name}@{revision}", *path))
    raise BadSetting(f"A file can be used as it is on main or at a 40-digit revision, not at {_quoted(revision)}.")


def _first_forbidden(key: str) -> str:
    """The first character that a path may not have, as it may stand in a message; empty where there is none."""
    path = key.split("/", 2)[2]
    odd = re.search(r"[^\w.+()\[\] /-]", path, re.ASCII)
    return repr(odd[0]) if odd else ""


def _quoted(text: str) -> str:
    """The text in quotes as it may stand in a message: its beginning, with escapes for what cannot be printed."""
    return repr(text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…")
