#!/usr/bin/env bash
# Copies the data of a running service: the database as of one moment, then the files that it names.
#     deploy/backup.sh /var/lib/zooport /backup/zooport-2025-03-01
# Finished files are hard links where TARGET is on the same disk (no space, but no protection against a broken disk either),
# copies elsewhere; they never change after they appeared. Unfinished uploads grow, so they are always copied. What is
# deleted while this runs is left out, files and records. The download cache fills again, so it is left out; so is token.key,
# which opens the sealed tokens of jobs. RUNBOOK.md says how to restore. Needs sqlite3. Status 0: TARGET is complete.
set -euo pipefail
export LC_ALL=C
umask 077

[ $# -eq 2 ] || { sed -n '2,3p' "$0" >&2; exit 2; }
[ -f "$1/zooport.sqlite" ] || { echo "$1 is no data folder of zooport" >&2; exit 2; }
data=$(realpath "$1") target=$(realpath -m "$2")
[ ! -e "$target" ] || { echo "$target exists" >&2; exit 2; }

# Below TARGET.partial: `copy` becomes TARGET, the rest is scratch.
partial=$target.partial
rm -rf "$partial"
mkdir -p "$partial/copy"
# A failed copy must not keep the room that the service may need.
trap 'rm -rf "$partial"' EXIT
copy=$partial/copy

# Commands of sqlite3 have relative paths only: nothing in them has to be quoted.
query() { (cd "$copy" && sqlite3 -bail -batch zooport.sqlite "$@"); }
fail() { echo "FAILED: $*" >&2; exit 1; }

(cd "$copy" && sqlite3 -bail -batch "$data/zooport.sqlite" '.timeout 10000' '.backup zooport.sqlite') ||
  fail "the database cannot be copied"
[ "$(query 'PRAGMA integrity_check')" = ok ] || fail "the copy of the database is damaged"

# What the database names: bytes at least, then the path. Names have no line breaks.
query -separator ' ' "SELECT received, 'partial/' || id || '/' || name FROM partial_uploads
  UNION ALL SELECT size, 'uploads/' || id || '/' || name FROM uploads
  UNION ALL SELECT size, 'outputs/' || job || '/' || name FROM outputs" >"$partial/named"
mkdir -p "$copy"/{partial,uploads,outputs}
cut -d' ' -f2 "$partial/named" | cut -d/ -f1,2 | (cd "$copy" && xargs -r mkdir -p)

# Whether the copy has a file with at least so many bytes.
has() { size=$(stat -c %s "$copy/$1" 2>/dev/null) && [ "$size" -ge "$2" ]; }

links=yes error=
: >"$partial/missing"
while IFS= read -r line; do
  bytes=${line%% *} path=${line#* }
  case $path in
    partial/*)
      # One that is finished meanwhile is in `uploads`. It is an unfinished one here.
      error=$(cp -p "$data/$path" "$copy/$path" 2>&1) || cp -p "$data/uploads/${path#*/}" "$copy/$path" 2>/dev/null || true ;;
    *)
      if [ "$links" = no ] || ! ln "$data/$path" "$copy/$path" 2>/dev/null; then
        error=$(cp -p "$data/$path" "$copy/$path" 2>&1) && links=no
      fi ;;
  esac
  has "$path" "$bytes" && continue
  # Gone there as well: deleted meanwhile. Still there: it could not be copied.
  if [ -e "$data/$path" ]; then
    fail "$data/$path cannot be copied: ${error:-it is shorter than its record says}"
  fi
  rm -f "$copy/$path"
  echo "$path" >>"$partial/missing"
done <"$partial/named"
(cd "$copy" && find partial uploads outputs -mindepth 1 -type d -empty -delete)

# No record may name a file that is not there. A job goes with its outputs; one that waited at that moment goes with its
# inputs, for it has ended since.
cut -d/ -f1,2 --output-delimiter='|' "$partial/missing" | sort -u >"$copy/gone"
gone=$(query "CREATE TEMP TABLE gone (kind TEXT, id TEXT)" ".import gone gone" "
  PRAGMA foreign_keys = ON;
  BEGIN IMMEDIATE;
  CREATE TEMP TABLE ended AS
    SELECT id FROM gone WHERE kind = 'outputs'
    UNION SELECT job FROM job_uploads JOIN jobs ON jobs.id = job JOIN gone ON gone.id = upload AND kind = 'uploads'
      WHERE status IN ('queued', 'running');
  CREATE TEMP TABLE unneeded AS
    SELECT id FROM gone WHERE kind = 'uploads' UNION SELECT id FROM uploads WHERE job IN (SELECT id FROM ended);
  SELECT (SELECT COUNT(*) FROM ended) || ' jobs and '
    || ((SELECT COUNT(*) FROM unneeded) + (SELECT COUNT(*) FROM gone WHERE kind = 'partial')) || ' uploads';
  DELETE FROM uploads WHERE id IN (SELECT id FROM unneeded);
  DELETE FROM jobs WHERE id IN (SELECT id FROM ended);
  DELETE FROM partial_uploads WHERE id IN (SELECT id FROM gone WHERE kind = 'partial');
  COMMIT")
rm "$copy/gone"
[ -z "$(query 'PRAGMA foreign_key_check')" ] || fail "the copy of the database is inconsistent"

sync -f "$copy"
mv -T "$copy" "$target"
echo "$target: $(sqlite3 "$target/zooport.sqlite" 'SELECT COUNT(*) FROM jobs') jobs, $(du -sh "$target" | cut -f1)"
[ "$gone" = "0 jobs and 0 uploads" ] || echo "Deleted while this ran, so left out: $gone."
