"""Writes `locks/NAME.txt` from `locks/NAME.in`: exact versions, hashes of all wheels, and facts.

    python tools/lock.py local dev

It needs Python 3.11+, pip, and uv on the PATH; both use the package index they are configured with.
uv resolves for all platforms and Python versions; sizes and licences come from the wheels for the
platform that this runs on (run it on Linux x86_64). A line `# NAME: …` in the list says what a package is
for; each one that is resolved needs one. A line `# without: …` names packages to leave out with what
they need.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

LOCKS = Path(__file__).parent.parent / "locks"
OLDEST_PYTHON = "3.10"
WITHOUT_DEPENDENCIES = {"local"}
SPDX = {
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""How old packages name their licences."""
OTHER_INTERPRETERS = re.compile(r"-(pp|graalpy)\d|pyodide|emscripten|wasm")


def resolve(name: str, work: Path) -> list[dict[str, Any]]:
    """The packages of a list, as in uv's pylock.toml."""
    output = work / "pylock.toml"
    command = ["uv", "pip", "compile", str(LOCKS / f"{name}.in"), "--output-file", str(output)]
    command += ["--quiet", "--universal", "--python-version", OLDEST_PYTHON]
    command += ["--no-python-downloads", "--only-binary", ":all:"]
    if name in WITHOUT_DEPENDENCIES:
        command.append("--no-deps")
    if left_out := without(name):
        overrides = work / "overrides.txt"
        overrides.write_text("".join(f"{it} ; python_version < '3'\n" for it in left_out))
        command += ["--overrides", str(overrides)]
    subprocess.run(command, check=True)
    packages: list[dict[str, Any]] = tomllib.loads(output.read_text())["packages"]
    return packages


def without(name: str) -> list[str]:
    """Packages that the list leaves out, though others ask for them."""
    lines = re.findall(r"^# without: (.+)$", (LOCKS / f"{name}.in").read_text(), re.M)
    return [package for line in lines for package in line.split()]


def wheel_for_here(package: dict[str, Any], work: Path) -> Path:
    """Fetches the wheel that pip takes on this platform."""
    directory = work / str(package["name"])
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(directory)]
    subprocess.run([*command, f"{package['name']}=={package['version']}"], check=True)
    return next(directory.iterdir())


def metadata(wheel: Path) -> Message:
    """What a wheel says about itself."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (it for it in archive.namelist() if it.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def licence(about: Message) -> str:
    """The licence's name; old packages have it in a classifier or as a text only."""
    classifiers = [it for it in about.get_all("Classifier", []) if it.startswith("License ::")]
    short = about.get("License", "")
    if expression := about.get("License-Expression"):
        return str(expression)
    if short and "\n" not in short:
        return SPDX.get(short, short)
    if classifiers:
        found = str(classifiers[0]).rsplit(" :: ", 1)[-1]
        return SPDX.get(found, found)
    # Of a whole text, the first line is its name.
    if (first := short.partition("\n")[0].strip()) in SPDX:
        return SPDX[first]
    raise SystemExit(f"{about['Name']} does not say its licence")


def purposes(name: str) -> dict[str, str]:
    """What the list says its packages are for."""
    return dict(re.findall(r"^# ([\w.-]+): (.+)$", (LOCKS / f"{name}.in").read_text(), re.M))


def entry(package: dict[str, Any], purpose: str, work: Path) -> str:
    """A package's lines in the lock file."""
    wheel = wheel_for_here(package, work)
    about = metadata(wheel)
    with zipfile.ZipFile(wheel) as archive:
        installed = sum(info.file_size for info in archive.infolist())
    facts = f'# download={wheel.stat().st_size} installed={installed} licence="{licence(about)}"'
    requirement = f"{package['name']}=={package['version']}"
    if marker := package.get("marker"):
        requirement += f" ; {marker}"
    hashes = sorted(
        it["hashes"]["sha256"]
        for it in package["wheels"]
        if not OTHER_INTERPRETERS.search(it["url"].rsplit("/", 1)[-1])
    )
    lines = [requirement, *(f"    --hash=sha256:{it}" for it in hashes)]
    return f'{facts} purpose="{purpose}"\n' + " \\\n".join(lines) + "\n"


def write(name: str) -> None:
    """Writes one lock file."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        packages = resolve(name, work)
        known = purposes(name)
        if unknown := [it["name"] for it in packages if it["name"] not in known]:
            raise SystemExit(f"say in {name}.in what these are for: {', '.join(unknown)}")
        entries = [entry(it, known[it["name"]], work) for it in packages]
    head = f"# Written by tools/lock.py from {name}.in. Sizes in bytes, of the wheels for Linux x86_64.\n"
    (LOCKS / f"{name}.txt").write_text("\n".join([head, *entries]))


if __name__ == "__main__":
    if not sys.argv[1:]:
        raise SystemExit(__doc__)
    for argument in sys.argv[1:]:
        write(argument)
