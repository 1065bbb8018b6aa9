#!/bin/sh
# Runs a libvirtd of its own: libvirtd.sh DIR TCP_PORT TLS_PORT. Needs root; kill it and everything it started is gone.
#
# Private mount and process namespaces: configuration, state and sockets stand in DIR, no other libvirtd on the
# machine is touched or seen, and the guests' QEMU processes end with the namespace. libvirtd is started again
# whenever it ends, which is how a test restarts it.
# DIR/pki/{ca,server-cert,server-key}.pem, where they are, switch TLS on.
set -eu
DIR=$1 TCP_PORT=$2 TLS_PORT=$3
umask 022
for part in etc lib run log cache sock; do mkdir -p "$DIR/$part"; done

# QEMU runs as a user who may not open /dev/kvm (see below) and needs only to read its disk. CPU times come from
# /proc: no cgroups, which would be shared with the machine. virtlogd is not needed when QEMU writes its log itself.
chmod 755 "$DIR"
cat > "$DIR/etc/qemu.conf" <<CONF
user = "nobody"
group = "nogroup"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
CONF

tls=0
[ -f "$DIR/pki/ca.pem" ] && tls=1
cat > "$DIR/etc/libvirtd.conf" <<CONF
unix_sock_dir = "$DIR/sock"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
auth_tcp = "none"
auth_tls = "none"
listen_addr = "127.0.0.1"
listen_tcp = 1
tcp_port = "$TCP_PORT"
listen_tls = $tls
tls_port = "$TLS_PORT"
ca_file = "$DIR/pki/ca.pem"
cert_file = "$DIR/pki/server-cert.pem"
key_file = "$DIR/pki/server-key.pem"
CONF

# A /dev/kvm that may be opened but runs no guest makes libvirt probe QEMU anew for each guest.
: > "$DIR/no-kvm"
chmod 000 "$DIR/no-kvm"
export DIR
exec unshare --mount --propagation slave --pid --fork --kill-child --mount-proc sh -c '
    set -e
    mkdir -p /run/libvirt
    mount --bind "$DIR/etc" /etc/libvirt
    mount --bind "$DIR/lib" /var/lib/libvirt
    mount --bind "$DIR/run" /run/libvirt
    mount --bind "$DIR/log" /var/log/libvirt
    mount --bind "$DIR/cache" /var/cache/libvirt
    if [ -e /dev/kvm ]; then mount --bind "$DIR/no-kvm" /dev/kvm; fi
    while :; do
        libvirtd --listen --config "$DIR/etc/libvirtd.conf" --pid-file "$DIR/libvirtd.pid" || true
        sleep 0.1
    done' >> "$DIR/libvirtd.log" 2>&1
