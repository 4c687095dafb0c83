"""Looks for known vulnerabilities of what is installed, by pip-audit, and says where it could not.

python -m tools.audit

Ends with 1 for what is known to be vulnerable. Without a connection nothing is known, which is said, and is no failure:
pip-audit itself ends with a traceback then, or calls what a mirror does not know free of vulnerabilities.
"""

import json
import subprocess
import sys
from typing import Any

PATIENCE_SECONDS = 10  # for each answer of the database
COMMAND = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--skip-editable"]


def describe(output: str) -> tuple[int, str]:
    """Returns the exit code and the words for what pip-audit wrote; for nothing, or half of it, that it could not."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return 0, "The dependencies were not audited: the database of vulnerabilities cannot be reached."
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
    code, said = describe(subprocess.run(command, capture_output=True, text=True).stdout)
    print(said, file=sys.stderr if code else sys.stdout)
    sys.exit(code)


if __name__ == "__main__":
    main()
