#!/usr/bin/env bash
# Starts a cluster of one node on loopback: start.sh DIR PORT. DIR is empty; PORT and the next one are free. The ids of the three
# processes come to stand in DIR/pids, whoever started this ends them.
set -euo pipefail
dir=$1 port=$2
PATH=$PATH:/usr/sbin:/sbin
host=$(hostname -s)
mkdir -p "$dir"/{state,spool,munge}
chmod 755 "$dir"
chmod 711 "$dir/munge"
head -c 1024 /dev/urandom >"$dir/munge/key"
chmod 400 "$dir/munge/key"
printf 'CgroupPlugin=cgroup/v1\n' >"$dir/cgroup.conf"
cat >"$dir/slurm.conf" <<CONF
ClusterName=exp
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
RequeueExit=75
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
start() {
    "$@" >>"$dir/log" 2>&1 &
    echo $! >>"$dir/pids"
}
start munged --foreground --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" \
    --pid-file="$dir/munge/pid" --seed-file="$dir/munge/seed" --log-file="$dir/munge/log"
for _ in $(seq 50); do [ -S "$dir/munge/socket" ] && break; sleep 0.1; done
start slurmctld -D -f "$dir/slurm.conf"
start slurmd -D -f "$dir/slurm.conf"
export SLURM_CONF=$dir/slurm.conf
for _ in $(seq 100); do
    if timeout 5 sinfo -h -o %T 2>/dev/null | grep -qx idle; then exit 0; fi
    sleep 0.2
done
tail -n 20 "$dir/log" >&2
exit 1
