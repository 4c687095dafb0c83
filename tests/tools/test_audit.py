"""The audit of dependencies: what is vulnerable ends it with 1, and what was not looked at is never called safe."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT
from tools.audit import describe

SAFE = {"name": "safe", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3", "4"]}]}
WORSE = {"name": "worse", "version": "5", "vulns": [{"id": "GHSA-2", "fix_versions": []}]}
UNKNOWN = {"name": "unknown", "version": "6", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SAFE], 0, "1 dependencies have no known vulnerability."),
        ([SAFE, UNKNOWN], 0, "1 dependencies have no known vulnerability; 1 are unknown to the database."),
        (
            [UNKNOWN, UNKNOWN],
            0,
            "None of 2 dependencies could be audited: the database of vulnerabilities knows none.",
        ),
        (
            [SAFE, BAD, WORSE, UNKNOWN],
            1,
            "Known vulnerabilities:\nbad 2: PYSEC-1, mended in 3, 4\nworse 5: GHSA-2, mended in no version yet",
        ),
    ],
)
def test_what_is_known_is_told(packages: list[dict[str, Any]], code: int, said: str) -> None:
    assert describe(json.dumps({"dependencies": packages, "fixes": []})) == (code, said)


@pytest.mark.parametrize("output", ["", "Traceback", "[]", '{"dependencies": [', "{}"])
@pytest.mark.parametrize(
    ("complaint", "code", "why"),
    [
        ("Traceback\nrequests.exceptions.ProxyError: HTTPSConnectionPool", 0, "the database of vulnerabilities"),
        ("pip_audit._service.interface.ConnectionError: Could not connect", 0, "the database of vulnerabilities"),
        ("/bin/python: No module named pip_audit\n", 1, "pip-audit failed (/bin/python: No module"),
        ("pip_audit: error: unrecognized arguments: --format", 1, "pip-audit failed (pip_audit: error"),
        ("", 1, "pip-audit failed (it said nothing)"),
    ],
)
def test_nothing_is_called_safe_that_was_not_looked_at(output: str, complaint: str, code: int, why: str) -> None:
    ended, said = describe(output, complaint)
    assert ended == code and said.startswith(f"The dependencies were not audited: {why}")


def test_it_runs_and_says_so_where_it_cannot() -> None:
    """Whatever is installed: the proxy, which no setting leaves out, is a port where nobody listens."""
    code = "from tools import audit; audit.PATIENCE_SECONDS = 2; audit.main()"
    nowhere = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    env = os.environ | nowhere | {"NO_PROXY": "", "no_proxy": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=env)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("The dependencies were not audited")
