"""`make focus-check`: the official validator of FOCUS on the export of a lake, in an environment of its own.

The validator cannot know whether a charge is on an invoice, and calls each null InvoiceId a failure; nothing else may
fail. It exits 0 whatever it finds, so what it prints is read.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "2.2.1"
NEEDS = (f"focus-validator=={VERSION}", "pyarrow<22")
FALSE_POSITIVES = {"InvoiceId-C-005-C"}
APPLICABLE = (
    "USAGE_MEASUREMENT", "BILLING_BASED_ON_PROVISIONED_RESOURCES", "RESOURCE_TYPE_ASSIGNMENT", "REGION", "TAGGING",
    "ACCOUNT_NAMING",
)  # fmt: skip


def verdict(printed: str) -> tuple[bool, str]:
    """Whether the validator found nothing but its known false positive, and one line about it."""
    total = re.search(r"Total: (\d+) \| Pass: (\d+) \| Fail: (\d+) \| Skipped: (\d+)", printed)
    if total is None:
        return False, "the validator came to no end: " + (printed.strip().splitlines() or ["it printed nothing"])[-1]
    failed = set(re.findall(r"([A-Za-z]+-[A-Z]-\d+-[A-Z]): FAIL", printed))
    passed = int(total[2]) > 0 and int(total[3]) == len(failed) and failed == FALSE_POSITIVES
    return passed, f"{total[0]}; failing: {', '.join(sorted(failed)) or 'none'}"


def validate(environment: Path, data: Path) -> str:
    """What the validator prints about a file."""
    (packages,) = environment.glob("lib/python3.*/site-packages")  # it finds its rules from there only
    criteria = ",".join(f"{name}_SUPPORTED" for name in APPLICABLE)
    call = [
        str(environment / "bin" / "focus-validator"), "--data-file", str(data.resolve()), "--block-download",
        "--validate-version", "1.2.0.1", "--focus-dataset", "CostAndUsage", "--applicability-criteria", criteria,
    ]  # fmt: skip
    run = subprocess.run(call, cwd=packages, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr


def set_up(environment: Path) -> None:
    """The validator's environment, made once."""
    if (environment / "bin" / "focus-validator").exists():
        return
    python = python312()
    if python is None:
        sys.exit("focus-check needs Python 3.12 for the validator: put python3.12 on the PATH")
    print(f"setting up {environment}", flush=True)
    shutil.rmtree(environment, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(environment)], check=True)
    subprocess.run([str(environment / "bin" / "pip"), "install", "--quiet", *NEEDS], check=True)


def python312() -> str | None:
    """An interpreter that the validator runs on: this one, one on the PATH, or one of pyenv's."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("3.12.*/bin/python"))
    for python in (sys.executable, shutil.which("python3.12"), *map(str, reversed(pyenv))):
        if python is not None:
            asked = subprocess.run([python, "--version"], capture_output=True, text=True, check=False)
            if asked.stdout.startswith("Python 3.12."):
                return python
    return None


def main(lake: str, environment: Path) -> int:
    """Export the lake in both forms, and validate each; 0 when only the known false positive fails."""
    set_up(environment)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for name in ("focus.parquet", "focus.csv"):
            data = Path(folder) / name
            call = [sys.executable, "-m", "cloud_analytics", "export", "focus", "--out", str(data), "--lake", lake]
            if subprocess.run([*call, "--quiet"], check=False).returncode:
                return 2
            passed, line = verdict(validate(environment, data))
            print(f"{name}: {'passed' if passed else 'FAILED'} ({line})", flush=True)
            good = good and passed
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "data", Path(".venv-focus").resolve()))
