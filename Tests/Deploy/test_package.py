"""The Debian package: what is in it, and that each part is true. A static build is not needed to see that."""

import gzip
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BINARY = Path(os.environ.get("ZOOPORT_BINARY", ROOT / ".build/release/zooport")).absolute()


def said(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package file, and the folder that it unpacks to."""
    folder = tmp_path_factory.mktemp("package")
    said(ROOT / "scripts/package.sh", BINARY, env={**os.environ, "DIST": str(folder / "dist")})
    (file,) = (folder / "dist").glob("*.deb")
    said("dpkg-deb", "-x", file, folder / "root")
    return file, folder / "root"


def test_control(package):
    file, _ = package
    version = said(BINARY, "--version").strip()
    assert said("dpkg-deb", "-f", file, "Package", "Version").split() == ["Package:", "zooport", "Version:", version]
    depends = said("dpkg-deb", "-f", file, "Depends")
    for library in ("libc6", "libcurl4", "libsqlite3-0", "libisal2", "liblz4-1", "zlib1g"):
        assert library in depends, depends
    assert "swift" not in depends
    conffiles = said("dpkg-deb", "-I", file, "conffiles").split()
    assert conffiles == ["/etc/zooport/env"]


def test_program_and_unit(package):
    _, root = package
    assert said(root / "usr/bin/zooport", "--version") == said(BINARY, "--version")
    unit = root / "lib/systemd/system/zooport.service"
    assert "ExecStart=/usr/bin/zooport serve" in unit.read_text()
    assert "/usr/local" not in unit.read_text()
    assert (root / "etc/zooport/env").read_bytes() == (ROOT / "deploy/env.example").read_bytes()


def test_manual_of_every_command(package):
    _, root = package
    pages = {page.name.removesuffix(".1.gz"): gzip.open(page, "rt").read() for page in (root / "usr/share/man/man1").iterdir()}
    assert {"zooport", "zooport-convert", "zooport-serve", "zooport-token", "zooport-diff"} <= set(pages)
    for name, text in pages.items():
        assert f".TH {name.upper()} " in text
        assert ".SH SYNOPSIS" in text and "OVERVIEW" not in text, name
    assert "\\-\\-tgt\\-fmt" in pages["zooport-convert"]


def test_completions(package):
    _, root = package
    share = root / "usr/share"
    bash = share / "bash-completion/completions/zooport"
    said("bash", "-n", bash)
    assert "--src-fmt" in bash.read_text()
    assert "--src-fmt" in (share / "zsh/vendor-completions/_zooport").read_text()
    assert "src-fmt" in (share / "fish/vendor_completions.d/zooport.fish").read_text()
