#!/usr/bin/env bash
# Installs what tests/slurm.rs starts: Debian's slurmctld, slurmd and munge. Ends with 0 in any case: the test skips what is not there.
set -uo pipefail
say() { printf '%s\n' "slurm: $*"; }
have() { command -v slurmctld && command -v slurmd && command -v sbatch && command -v munged; }
PATH=$PATH:/usr/sbin:/sbin
if have >/dev/null; then say "it is there"; exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then say "skipped: it takes root and apt-get"; exit 0; fi
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
begun=$SECONDS
if timeout "${EXP_SETUP_SECONDS:-180}" bash -c '
    apt-get update -q && apt-get install -qy --no-install-recommends slurmctld slurmd slurm-client munge' >"$log" 2>&1
then say "installed in $((SECONDS - begun)) s"
else say "skipped: it could not be installed; the end of what apt-get said:"; tail -n 5 "$log"
fi
rm -f "$log"
