"""Puts this on Hugging Face as a Space: `make space REPO=owner/name`.

The Hub refuses binary files in a plain git push, so everything goes up through huggingface_hub, and what is no longer
here is deleted there.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, SpaceHardware, get_token
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

ROOT = Path(__file__).parents[1]
# Named one by one: a file that happens to lie here, a token perhaps, must not become public.
UPLOADED = [
    "app.py",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "requirements.txt",
    "pre-requirements.txt",
    "pipelines/*",
    "ui/*",
    "examples/*",
    "docs/*",
    "performance/RESULTS.md",
    "training/README.md",
]
BYTECODE = ["*.pyc"]


class CannotDeploy(Exception):
    """The Space could not be put up. The message is one plain sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Uploads, and says where the Space is; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.space", description="Put this on Hugging Face as a Space.")
    parser.add_argument("repo", metavar="OWNER/NAME")
    try:
        print(deploy(parser.parse_args(arguments).repo))
    except CannotDeploy as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def deploy(repo: str) -> str:
    """Creates the Space if there is none, makes its files equal to those here, and returns its URL.

    A new Space is on ZeroGPU, the only hardware that a free account may use; an existing one keeps its own.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise CannotDeploy(f"A Space is named OWNER/NAME, which {repo!r} is not.")
    if get_token() is None:
        raise CannotDeploy("Set HF_TOKEN to a token that may write, from https://huggingface.co/settings/tokens.")
    api = HfApi()
    try:
        url = api.create_repo(
            repo, repo_type="space", space_sdk="gradio", space_hardware=SpaceHardware.ZERO_A10G, exist_ok=True
        )
        api.upload_folder(
            repo_id=url.repo_id,
            repo_type="space",
            folder_path=ROOT,
            allow_patterns=UPLOADED,
            ignore_patterns=BYTECODE,
            delete_patterns="*",
            commit_message="Update the Space",
        )
    except HfHubHTTPError as error:
        raise CannotDeploy(_explain(error, repo)) from error
    except (httpx2.RequestError, OfflineModeIsEnabled) as error:
        raise CannotDeploy(f"The Hub cannot be reached at {api.endpoint}.") from error
    except (
        ValueError,
        RuntimeError,
    ) as error:  # its name or front matter is refused, or a large file did not get through
        raise CannotDeploy(" ".join(str(error).split())) from error
    return str(url)


def _explain(error: HfHubHTTPError, repo: str) -> str:
    status = error.response.status_code
    if status == 401:
        return "The Hub does not know the token: it was mistyped, has expired or was withdrawn."
    if status in (402, 403):
        return f"The token may not write to {repo}, or the account's plan does not allow that Space ({status})."
    return f"The Hub refuses the upload ({status}): {error.server_message or 'it does not say why'}."


if __name__ == "__main__":
    sys.exit(main())
