#!/bin/sh
# Start or stop a Slurm of one node for tests: cluster.sh start|stop FOLDER
# Everything of it lies in FOLDER, which must be an absolute path; needs slurm-wlm and munge, and root.
# After a start, set SLURM_CONF=FOLDER/slurm.conf.
set -eu
action=$1
place=$2
host=$(hostname -s)
port=$((20000 + $(printf %s "$place" | cksum | cut -d' ' -f1) % 20000))

stop() {
    export SLURM_CONF="$place/slurm.conf"
    timeout 10 scancel --user=root 2>/dev/null || true
    tries=0
    while [ "$tries" -lt 60 ] && [ -n "$(timeout 5 squeue -h 2>/dev/null)" ]; do
        tries=$((tries + 1))
        sleep 0.5
    done
    for name in slurmctld slurmd munged; do
        [ -s "$place/$name.pid" ] && kill "$(cat "$place/$name.pid")" 2>/dev/null || true
    done
    sleep 1
    for name in slurmctld slurmd munged; do
        [ -s "$place/$name.pid" ] && kill -9 "$(cat "$place/$name.pid")" 2>/dev/null || true
    done
}

start() {
    mkdir -p "$place/state" "$place/spool"
    chmod 711 "$place"
    (umask 077 && dd if=/dev/urandom of="$place/munge.key" bs=128 count=1 2>/dev/null)
    munged --force --key-file="$place/munge.key" --socket="$place/munge.socket" \
        --pid-file="$place/munged.pid" --log-file="$place/munged.log" --seed-file="$place/munge.seed"
    cat >"$place/slurm.conf" <<EOF
ClusterName=tests
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$place/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
SwitchType=switch/none
KillWait=10
MinJobAge=2
SchedulerParameters=batch_sched_delay=1,sched_interval=2,requeue_delay=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=tests Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
    echo "CgroupAutomount=no" >"$place/cgroup.conf"
    export SLURM_CONF="$place/slurm.conf"
    slurmctld -f "$place/slurm.conf"
    slurmd -f "$place/slurm.conf"
    tries=0
    until [ "$(sinfo -h -o %T 2>/dev/null)" = idle ]; do
        tries=$((tries + 1))
        [ "$tries" -lt 120 ] || { sinfo; tail "$place"/*.log; stop; exit 1; }
        sleep 0.5
    done
}

"$action"
