# Runs in a guest with two cables: eth0-eth1 has every offload, eth2-eth3 has none. Standard output is the recording.
set -e
exec 3>&1 1>&2
hostname demo
zcscope record -o /tmp/demo.zcr --duration 75s --ready-file /tmp/ready &
recorder=$!
until [ -e /tmp/ready ]; do sleep 0.1; done
zcscope sink --listen 127.0.0.1:9000 &
sink=$!
sleep 2
# Held back, so that a slow guest has time for all of them.
zcscope load msg_zerocopy --cable eth0,eth1 --size 64K --rate 80Mbit --duration 64s --warm-up none --no-trace > /tmp/1 &
zcscope load copy --to 127.0.0.1:9000 --size 16K --rate 50Mbit --duration 60s --warm-up none --no-trace > /tmp/2 &
sleep 8
zcscope load sendfile --cable eth2,eth3 --size 256K --rate 120Mbit --duration 44s --warm-up none --no-trace > /tmp/3 &
sleep 8
zcscope load uring_send_zc --to 127.0.0.1:9000 --size 32K --rate 60Mbit --duration 24s --warm-up none --no-trace > /tmp/4 &
wait "$recorder"
kill "$sink"
cat /tmp/demo.zcr >&3
