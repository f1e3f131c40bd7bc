#!/bin/sh
# The first process of a guest: makes the usual places, loads the modules, names the cables, runs the command,
# reports its exit status and powers off. The command's output goes through named virtio ports, so that nothing
# the kernel prints can get into it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox --install -s /bin 2>/dev/null # what is there already stays

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /tmp /run /var/run /root
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t bpf bpf /sys/fs/bpf
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
ln -sf /proc/self/fd/0 /dev/stdin
ln -sf /proc/self/fd/1 /dev/stdout
ln -sf /proc/self/fd/2 /dev/stderr
mkdir -p /run/netns /run/lab

# shellcheck disable=SC2086 # the parameters are words
while read -r module parameters; do
    insmod "/lab/modules/$module.ko" $parameters || echo "lab: module $module did not load"
done </lab/modules.list
mount -t configfs configfs /sys/kernel/config

# port NAME: waits for the virtio port of that name and prints its device.
port() {
    for _ in $(seq 200); do
        for dir in /sys/class/virtio-ports/*; do
            read -r name 2>/dev/null <"$dir/name" && [ "$name" = "$1" ] && echo "/dev/${dir##*/}" && return
        done
        sleep 0.02
    done
    echo "lab: no virtio port $1" >/dev/console
}
status_port=$(port lab.status)

# Cable ends are named by their address (02:00:00:00:CABLE:END), not by the order in which drivers found them.
for pass in lab eth; do
    for dir in /sys/class/net/*; do
        read -r address 2>/dev/null <"$dir/address" || continue
        case $address in 02:00:00:00:0[0-9]:0[01]) ;; *) continue ;; esac
        cable=${address%:*} end=${address##*:}
        ip link set "${dir##*/}" name "$pass$((2 * ${cable##*:0} + ${end#0}))"
    done
done
hostname guest
ip link set lo up

# shellcheck disable=SC1091 # written for each boot
. /lab/environment
cd /root || exit

if [ -n "$LAB_TERMINAL" ]; then
    # Kept open: the last close of a terminal forgets its size.
    exec 9<>"$LAB_TERMINAL"
    stty -F "$LAB_TERMINAL" rows "$LAB_ROWS" cols "$LAB_COLUMNS"
    setsid -c sh /lab/command <"$LAB_TERMINAL" >"$LAB_TERMINAL" 2>&1
    status=$?
else
    # Through pipes, because a port can be opened only once: /dev/stdout still works for the command.
    mkfifo /run/lab/out /run/lab/err
    cat /run/lab/out >"$(port lab.out)" & out=$!
    cat /run/lab/err >"$(port lab.err)" & err=$!
    sh /lab/command </dev/null >/run/lab/out 2>/run/lab/err
    status=$?
    # What the command left running in the background may hold the pipes open: wait a second, no more.
    for _ in $(seq 50); do
        kill -0 $out 2>/dev/null || kill -0 $err 2>/dev/null || break
        sleep 0.02
    done
fi
echo $status >"$status_port"
poweroff -f
