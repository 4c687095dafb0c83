"""Looks for known vulnerabilities of what is installed, by pip-audit, and says where it could not.

python -m tools.audit

Ends with 1 for what is known to be vulnerable, and where pip-audit is not there or fails by itself. Without a
connection nothing is known, which is said, and is no failure: pip-audit ends with a traceback then, or calls what a
mirror does not know free of vulnerabilities.
"""

import json
import re
import subprocess
import sys
from typing import Any

PATIENCE_SECONDS = 10  # for each answer of the database
COMMAND = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--skip-editable"]


# How the last line of its traceback begins where the database does not answer, or answers with something else.
UNREACHABLE = re.compile(
    r"requests\.|urllib3\.|http\.client\.|socket\.|ssl\.|(\w+\.)*(Service|Connection|Timeout)\w*Error"
)


def describe(output: str, complaint: str = "") -> tuple[int, str]:
    """Returns the exit code and the words for what pip-audit wrote, and what it complained of where that is no JSON."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = complaint.strip().rpartition("\n")[2]
        if UNREACHABLE.match(last):
            return 0, "The dependencies were not audited: the database of vulnerabilities cannot be reached."
        return 1, f"The dependencies were not audited: pip-audit failed ({last or 'it said nothing'})."
    audited = [each for each in packages if "vulns" in each]
    found = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, "
        f"mended in {', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for each in audited
        for vulnerability in each["vulns"]
    ]
    if found:
        return 1, "\n".join(["Known vulnerabilities:", *found])
    if not audited:
        return 0, f"None of {len(packages)} dependencies could be audited: the database of vulnerabilities knows none."
    unknown = f"; {len(packages) - len(audited)} are unknown to the database" if len(audited) < len(packages) else ""
    return 0, f"{len(audited)} dependencies have no known vulnerability{unknown}."


def main() -> None:
    """Audits this environment."""
    command = [*COMMAND, "--timeout", str(PATIENCE_SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True)
    code, said = describe(done.stdout, done.stderr)
    print(said, file=sys.stderr if code else sys.stdout)
    sys.exit(code)


if __name__ == "__main__":
    main()
