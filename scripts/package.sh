#!/usr/bin/env bash
# Makes dist/zooport_VERSION_ARCH.deb: the binary with the Swift runtime inside, the systemd unit, settings, man pages and
# shell completions.
#   package.sh             builds the binary first
#   package.sh BINARY      packs a binary that is there
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }

if [ $# -eq 0 ]; then
  say "1. Build, with the Swift runtime in the binary (a build folder of its own, so the first time takes some minutes)"
  swift build -c release --product zooport --static-swift-stdlib --scratch-path .build-package
  binary=.build-package/release/zooport
else
  binary=$1
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
version=$("$binary" --version)
architecture=$(dpkg --print-architecture)

say "2. Files of zooport $version for $architecture"
install -D -m 755 "$binary" "$root/usr/bin/zooport"
strip "$root/usr/bin/zooport"
install -d "$root/lib/systemd/system"
# The unit in deploy/ is for a binary that was copied by hand.
sed -e '1d' -e 's|/usr/local/bin/zooport|/usr/bin/zooport|' deploy/zooport.service >"$root/lib/systemd/system/zooport.service"
install -D -m 644 deploy/env.example "$root/etc/zooport/env"
install -D -m 644 deploy/RUNBOOK.md "$root/usr/share/doc/zooport/RUNBOOK.md"
printf 'Copyright: Zooport contributors\nLicense: Apache-2.0, see /usr/share/common-licenses/Apache-2.0\n' \
  >"$root/usr/share/doc/zooport/copyright"
gzip -9nc CHANGELOG.md >"$root/usr/share/doc/zooport/changelog.gz"

completions() { # SHELL FILE
  install -d "$root/usr/share/$(dirname "$2")"
  "$binary" --generate-completion-script "$1" | sed '1{/^#!/d}' >"$root/usr/share/$2"
}
completions bash bash-completion/completions/zooport
completions zsh zsh/vendor-completions/_zooport
completions fish fish/vendor_completions.d/zooport.fish

# help2man asks a program for its help. Its headings are not those of ArgumentParser, so a script in between renames them.
manual() { # NAME SUMMARY [SUBCOMMAND]
  printf '#!/bin/sh\n"%s" %s --help | sed -e "s/^OVERVIEW: //" -e "s/^USAGE: /Usage: /" -e "s/^OPTIONS:/Options:/" \\\n  %s\n' \
    "$(realpath "$binary")" "${3:-}" \
    '-e "s/^ARGUMENTS:/Arguments:/" -e "s/^SUBCOMMANDS:/Commands:/" -e "s/^EXAMPLES:*/Examples:/"' >"$root/help"
  chmod 755 "$root/help"
  install -d "$root/usr/share/man/man1"
  COLUMNS=100 help2man --no-info --name "$2" --version-string "zooport $version" "$root/help" |
    sed -e "s/^zooport \\\\- /$1 \\\\- /" -e "s/^\.TH [^ ]*/.TH ${1^^}/" | gzip -9n >"$root/usr/share/man/man1/$1.1.gz"
  rm "$root/help"
}
manual zooport "convert checkpoints between Hugging Face and Cerebras Model Zoo"
"$binary" --experimental-dump-help |
  jq -r '.command.subcommands[] | select(.commandName != "help") | "\(.commandName)\t\(.abstract | rtrimstr("."))"' |
  while IFS=$'\t' read -r command summary; do manual "zooport-$command" "$summary" "$command"; done

install -d "$root/DEBIAN"
echo /etc/zooport/env >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/postinst" <<'TEXT'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
TEXT
cat >"$root/DEBIAN/prerm" <<'TEXT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl disable --now zooport.service; fi
TEXT
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm"

# Which libraries of Debian the binary is linked with, and from which version on.
mkdir "$root/debian"
printf 'Source: zooport\n\nPackage: zooport\nArchitecture: any\n' >"$root/debian/control"
libraries=$(cd "$root" && dpkg-shlibdeps -O usr/bin/zooport 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
rm -r "$root/debian"
cat >"$root/DEBIAN/control" <<TEXT
Package: zooport
Version: $version
Architecture: $architecture
Maintainer: Zooport project <zooport@localhost>
Section: science
Priority: optional
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $libraries, ca-certificates
Description: converter of checkpoints between Hugging Face and Cerebras Model Zoo
 Converts checkpoints and configs in both directions and between releases of
 the Model Zoo, as an HTTP service for a team or on the command line. Memory
 does not grow with the checkpoint, and nothing in an input is executed.
 .
 The service is installed but not started. Set /etc/zooport/env, then run
 "systemctl enable --now zooport".
TEXT

say "3. Package"
dist=${DIST:-dist}
mkdir -p "$dist"
package=$dist/zooport_${version}_$architecture.deb
# gzip takes a fifth of the time of the default; the file is half as large again.
dpkg-deb -Zgzip --root-owner-group --build "$root" "$package"
echo
echo "Install it:  sudo apt install $(realpath "$package")"
