#!/usr/bin/env bash
# Copies the data of a running service: the database as of one moment, then the files that it names.
#     deploy/backup.sh /var/lib/zooport /backup/zooport-2025-03-01
# Files are hard links where TARGET is on the same disk (no space, but no protection against a broken disk either), copies
# elsewhere. They never change after they appeared. To restore: stop the service, put the copy in the place of its data
# folder, start it; jobs that ran are run again. The download cache fills again; token.key, which opens the sealed tokens of
# jobs, is left out. Needs sqlite3.
set -euo pipefail

[ $# -eq 2 ] || { sed -n '2,3p' "$0" >&2; exit 2; }
data=${1%/} target=${2%/}
[ -f "$data/zooport.sqlite" ] || { echo "$data is no data folder of zooport" >&2; exit 2; }
[ ! -e "$target" ] || { echo "$target exists" >&2; exit 2; }

partial=$target.partial
rm -rf "$partial"
mkdir -p "$partial"
# The database first: what is published later is swept at the start, what a record names must be there.
sqlite3 "$data/zooport.sqlite" ".timeout 10000" ".backup '$partial/zooport.sqlite'"
[ "$(sqlite3 "$partial/zooport.sqlite" 'PRAGMA integrity_check')" = ok ] || { echo "the copy is damaged" >&2; exit 1; }
for part in uploads outputs; do
  cp -a --link "$data/$part" "$partial/$part" 2>/dev/null || { rm -rf "${partial:?}/$part"; cp -a "$data/$part" "$partial/$part"; }
done
sync -f "$partial"
mv "$partial" "$target"
echo "$target: $(sqlite3 "$target/zooport.sqlite" 'SELECT COUNT(*) FROM jobs') jobs, $(du -sh "$target" | cut -f1)"
