"""Makes the checkout's Python environment ``.venv`` from the locked packages.

Owns ``.venv``.  Runs with the machine's own Python and the standard library alone, also with one
that is too old (it says so), hence no syntax newer than Python 3.6 here.  A second run with
unchanged locks needs no network.

    python3 tools/bootstrap.py          what the plugin needs
    python3 tools/bootstrap.py --dev    and what its tests need
"""

import argparse
import os
import subprocess
import sys

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(CHECKOUT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")


def refusal() -> str:
    """Returns why this machine cannot run agentdiff, empty when it can."""
    if sys.platform not in ("linux", "darwin"):
        return "agentdiff runs on Linux and macOS. On Windows, install it inside WSL."
    if sys.version_info < (3, 11):  # noqa: UP036 - nothing has checked the version before this line
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return f"agentdiff needs Python 3.11 or newer, this is {found}: make PYTHON=/path/to/python"
    return ""


def sync(dev: bool) -> None:
    """Makes ``.venv`` hold exactly the locked versions, and this checkout as an editable install.

    Args:
        dev: with the packages that only the tests and checks need.

    Raises:
        subprocess.CalledProcessError: pip or venv failed; it has said why.
    """
    lock = os.path.join(CHECKOUT, "requirements-dev.lock" if dev else "requirements.lock")
    if not os.path.exists(PYTHON):
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--requirement", lock], check=True)
    # The build backend is in the lock: an isolated build would fetch it again, every time.
    itself = ["--no-deps", "--no-build-isolation", "--editable", CHECKOUT]
    subprocess.run([*pip, *itself], check=True)
    for stamp in ("install.stamp", "dev.stamp") if dev else ("install.stamp",):
        with open(os.path.join(VENV, stamp), "w", encoding="utf-8"):
            pass


def main() -> int:
    """Makes the environment; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make the checkout's Python environment.")
    parser.add_argument("--dev", action="store_true", help="with the packages for tests and checks")
    args = parser.parse_args()
    why_not = refusal()
    if why_not:
        print(why_not, file=sys.stderr)
        return 1
    try:
        sync(args.dev)
    except subprocess.CalledProcessError as error:
        failed = " ".join(error.cmd)
        print(f"{failed} failed with {error.returncode}", file=sys.stderr)
        if "venv" in error.cmd:
            print("Debian and Ubuntu package venv apart: apt install python3-venv", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
