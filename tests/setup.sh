#!/usr/bin/env bash
# Installs what `make demo` or `make test` needs and says so: Debian or Ubuntu packages, and for tests a Python
# environment under target/peers with third-party programs that we test against.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:?demo or test}
peers=${WATTRIBUTE_PEERS:-target/peers}

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

command -v cargo >/dev/null || die "cargo is missing; install Rust 1.90 or newer from https://rustup.rs"
if [[ $what == test ]]; then
  cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 \
    || die "cargo fmt or cargo clippy is missing; run: rustup component add rustfmt clippy"
fi

missing=()
while read -r package uses _; do
  [[ -z $package || $package == \#* ]] && continue
  [[ $what == test || $uses == demo ]] || continue
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done <tests/packages.txt

as_root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo "$@"; fi; }

# Installs packages without starting their services (Prometheus and exporters, nginx, lighttpd, snmpd, libvirtd): we start our own, on our own
# ports. A machine with a policy of its own keeps it.
install_packages() {
  local policy=/usr/sbin/policy-rc.d log unit
  log=$(mktemp)
  if [[ ! -e $policy ]]; then
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
  fi
  as_root apt-get update -qq >"$log" 2>&1 || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1 </dev/null \
    || { tail -20 "$log" >&2; die "apt-get failed; please install: $*"; }
  rm -f "$log"
  # Nor shall they start with the machine's next boot, unless their owner wants it.
  command -v systemctl >/dev/null || return 0
  for package in prometheus prometheus-node-exporter prometheus-snmp-exporter prometheus-ipmi-exporter nginx lighttpd snmpd libvirt-daemon-system; do
    [[ " $* " == *" $package "* ]] || continue
    for unit in $(dpkg -L "$package" "$package-common" 2>/dev/null | sed -nE 's|.*/systemd/system/([^/@]+\.(service\|socket))$|\1|p'); do
      as_root systemctl disable -q "$unit" 2>/dev/null || true
    done
    say "$package: installed, its service neither started nor enabled"
  done
}

if ((${#missing[@]})); then
  command -v apt-get >/dev/null || die "please install: ${missing[*]}"
  [[ $(id -u) == 0 ]] || command -v sudo >/dev/null || die "not root and no sudo; please install: ${missing[*]}"
  say "installing from the distribution's packages: ${missing[*]}"
  (install_packages "${missing[@]}")
fi

[[ $what == test ]] || exit 0

stamp=$peers/venv/.installed
if ! cmp -s tests/requirements.txt "$stamp"; then
  say "installing Python packages into $peers/venv: $(grep -vE '^(#|$)' tests/requirements.txt | tr '\n' ' ')"
  mkdir -p "$peers"
  python3 -m venv "$peers/venv" || die "python3 -m venv failed; please install python3-venv"
  "$peers/venv/bin/pip" install -q --disable-pip-version-check -r tests/requirements.txt \
    || die "pip could not install tests/requirements.txt"
  cp tests/requirements.txt "$stamp"
fi

# The distribution's kernel, for a guest that has a BMC of its own: only unpacked, never installed.
fetch_kernel() {
  local kernel=$peers/kernel work package list
  [[ -e $kernel/vmlinuz && -e $kernel/ipmi_si.ko ]] && return
  [[ $(uname -m) == x86_64 ]] || { say "no kernel for a guest on $(uname -m): its test needs x86_64"; return; }
  command -v apt-get >/dev/null || die "please unpack a kernel with the modules ipmi_msghandler, ipmi_devintf and ipmi_si into $kernel (as vmlinuz and *.ko)"
  # Debian's meta package, else Ubuntu's; Ubuntu keeps the modules in a package of their own.
  list=$(for meta in linux-image-amd64 linux-image-generic; do
    apt-cache depends "$meta" 2>/dev/null | sed -nE 's/^ *Depends: (linux-(image|modules)-[0-9].*)$/\1/p'
  done)
  [[ -n $list ]] || { as_root apt-get update -qq >/dev/null 2>&1; list=$(apt-cache depends linux-image-amd64 linux-image-generic 2>/dev/null | sed -nE 's/^ *Depends: (linux-(image|modules)-[0-9].*)$/\1/p'); }
  for package in $list; do
    list+=" $(apt-cache depends "$package" 2>/dev/null | sed -nE 's/^ *Depends: (linux-modules-[0-9].*)$/\1/p')"
  done
  [[ -n ${list// /} ]] || die "no kernel package found; please unpack one into $kernel (vmlinuz, ipmi_*.ko)"
  say "unpacking a kernel for a test guest into $kernel (downloads about 70 MB): $(tr -s ' \n' ' ' <<<"$list")"
  mkdir -p "$kernel"
  work=$(mktemp -d "$peers/kernel.XXXXXX")
  # shellcheck disable=SC2086 # a list of packages
  (cd "$work" && apt-get download -qq $list >/dev/null 2>&1) || (as_root apt-get update -qq && cd "$work" && apt-get download -qq $list) \
    || die "apt-get could not download: $list"
  for package in "$work"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work" --wildcards '*/boot/vmlinuz-*' '*/kernel/drivers/char/ipmi/*' 2>/dev/null || true
  done
  find "$work" -name 'ipmi_*.ko.xz' -exec xz -d {} + ; find "$work" -name 'ipmi_*.ko.zst' -exec zstd -q -d --rm {} +
  find "$work" -name 'ipmi_*.ko' -exec cp {} "$kernel/" \;
  find "$work" -name 'vmlinuz-*' -exec cp {} "$kernel/vmlinuz" \;
  chmod -R u+w "$work"
  rm -r "$work"
  [[ -e $kernel/vmlinuz && -e $kernel/ipmi_si.ko ]] || die "no kernel with IPMI modules in: $list"
}
fetch_kernel
