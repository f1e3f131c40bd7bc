# Runs in a guest with two cables: eth0-eth1 has every offload, eth2-eth3 has none. Standard output is the recording.
set -e
exec 3>&1 1>&2
hostname demo
zcscope record -o /tmp/demo.zcr --duration 80s --ready-file /tmp/ready &
recorder=$!
until [ -e /tmp/ready ]; do sleep 0.1; done
zcscope sink --listen 127.0.0.1:9000 &
sink=$!
# Emulated processors are slow: little of everything, one after the other. All still run when the recording ends, so that
# its last moment shows rates; they end with the guest.
load() {
    zcscope load "$@" --duration 90s --warm-up none --no-trace > /dev/null &
}
load msg_zerocopy --cable eth0,eth1 --size 64K --depth 8 --rate 30Mbit
sleep 8
load sendfile --cable eth2,eth3 --size 64K --rate 20Mbit
sleep 12
load copy --to 127.0.0.1:9000 --size 16K --rate 10Mbit
sleep 14
load uring_send_zc --to 127.0.0.1:9000 --size 32K --rate 10Mbit
wait "$recorder"
kill "$sink"
cat /tmp/demo.zcr >&3
