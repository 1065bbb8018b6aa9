#!/usr/bin/env python3
"""Writes the seeds whose form is a script of bytes, so that each can be read here. The others are text files.

What the bytes mean stands at the head of src/drivers/ipmi/fuzzing/*.rs and src/workloads/*/fuzzing.rs."""

import pathlib
import struct
import zlib

CORPUS = pathlib.Path(__file__).parent / "corpus"


def put(target, name, *parts):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.bin").write_bytes(b"".join(p if isinstance(p, bytes) else bytes([p]) for p in parts))


def chunk(data):
    return bytes([len(data)]) + data


# rmcp: suite; then steps. 0 ask (function, command), 2 the BMC seals a reply (request from last, data, code), 4 deliver.
ASK, SEAL, DELIVER = bytes([0, 3, 2]), bytes([2, 0]) + chunk(b"\xdc\xf5\0") + b"\0", 4
put("rmcp", "asked_and_answered", 0, ASK, SEAL, DELIVER, 0, ASK, SEAL, DELIVER, 1)
put("rmcp", "twice_and_out_of_order", 1, ASK, SEAL, SEAL, DELIVER, 1, DELIVER, 1, DELIVER, 0)
put("rmcp", "late", 1, ASK, SEAL, ASK, SEAL, DELIVER, 0, DELIVER, 1)
# The flip is in the initialisation vector, where it turns one bit of the data and breaks nothing else.
put("rmcp", "flipped_and_cut", 0, ASK, SEAL, 8, 0, b"\x13\0", 3, 9, 0, 20, 0, DELIVER, 0)
put("rmcp", "forged", 1, ASK, 10, b"\1\0\0\0", chunk(b"\xdc"), chunk(b"x" * 32), 0xC0, chunk(b"\xff\xff\2\7" + b"y" * 16))
put("rmcp", "numbers_wrap", 0, 14, b"\xfe\xff\xff\x7f", ASK, SEAL, DELIVER, 0, ASK, SEAL, DELIVER, 1, ASK, SEAL, DELIVER, 2)
put("rmcp", "begins_anywhere", 0, 14, b"\xfe\xff\x4a\xff", ASK, SEAL, DELIVER, 0)
put("rmcp", "silent_to_the_end", 0, ASK, 12, 12, 12, 12)
put("rmcp", "strange", 1, ASK, 13, chunk(bytes.fromhex("81b40020080200dc0000")), 11, b"\5\0\0\0", chunk(b"z"), 15, 3, chunk(b"q"))
put("rmcp", "datagrams", 6, 6, chunk(bytes.fromhex("06c0443322110100000002000102")), 7, chunk(bytes.fromhex("0600ff0700000000000000000000")))

# rakp: flags (suites, keys, whether the BMC knows the password); then steps. 0 the honest answer, 15 silence.
for flags, name in [(0, "suite_17"), (1, "suite_3"), (2, "better_of_two"), (4, "with_key"), (8, "key_missing"), (18, "stranger")]:
    put("rakp", name, flags, bytes(6))
put("rakp", "silent", 2, 0, 15, 15, 15, 15, 15, 15, 15)
put("rakp", "lost_and_again", 2, 0, 0, 15, 0, 0, 15, bytes(6))
put("rakp", "refused_suite", 2, 0, 0, 11, chunk(b""), 0x11, 8, 0, bytes(5))
put("rakp", "no_list", 2, 0, 12, 0xC1, chunk(b""), bytes(5))
put("rakp", "long_list", 2, 0, 12, 0, chunk(b"\1" + b"\xc0\x03\x01\x41" * 4), 12, 0, chunk(b"\1\xc0\x11\x03\x44"), bytes(4))
put("rakp", "bent", 0, 0, 0, 0, 6, 0, 40, 1, 0, 0)
put("rakp", "cut", 0, 0, 0, 8, 20, chunk(b""), 9, 0, 0, 0, 0)
put("rakp", "other_suites", 2, 14, chunk(b"\3"), bytes(6))


# sdr: records, each form (full with few fields), number, entity, units, base, linear, M, exponents, name; then answers.
def sensor(number, base, name, m=4, exponents=0, entity=7, linear=0):
    return bytes([1, number, entity, 0, base, linear, m, exponents]) + chunk(name)


FOUR = bytes([4]) + sensor(1, 6, b"System Power") + sensor(2, 18, b"FAN 1") + sensor(3, 1, b"Inlet Temp") + sensor(4, 4, b"12V", 59, 0xD0)
put("sdr", "four", FOUR)
put("sdr", "reservation_lost", FOUR, bytes(4), 0x80, 0xC5, bytes(3), 0x80, 0xC5)
put("sdr", "small_replies", FOUR, bytes(3), 0x80, 0xCA, 0, 0x80, 0xCA, 0x82, 6)
put("sdr", "update_mode", FOUR, 0, 0, bytes([0x80, 0xD0]) * 3, 0x87, 0x80, 0xC1)
put("sdr", "led_back", FOUR, bytes(3), 0x84, 0, 0, 0x84, 0, 0)
put("sdr", "lies_about_its_length", 1, 5, sensor(1, 6, b"Total_Power")[1:], 180)
put("sdr", "any_record", 2, 0, 1, chunk(b"\x20" + bytes(46)), 0, 0xC0, chunk(b"\0\1oem"))
put("sdr", "same_names", 3, sensor(1, 6, b"Power Meter", entity=10), sensor(1, 6, b"VDD"), sensor(4, 4, b"VDD"))
put("sdr", "two_records_of_one_sensor", 2, sensor(1, 6, b"System Power"), sensor(1, 6, b"Total Power"))
put("sdr", "too_much", FOUR, bytes(3), 0x83, chunk(b"more"), 0x86, 0x81, chunk(b"\xff\xff"))

# sensor: units, base, linearisation, M, M high, B, B high, exponents, name.
for linear in range(12):
    put("sensor", f"linear_{linear}", 0x80 if linear % 2 else 0, 6, linear, 2, 0, 5, 0, 0x2E, 0xC3, b"abc")
put("sensor", "ones_complement", 0x40, 1, 0, 0xFE, 0xC0, 1, 0x40, 0xF1, 0x83, b"\x29\xdc\xa6")
put("sensor", "kelvin", 0, 3, 0, 1, 0, 0, 0, 0, 0x42, b"\x12\x3b")
put("sensor", "power_reading", 0, bytes.fromhex("dcf500c8002c01f0000000006060ea000040"))
put("sensor", "device_id", 0, bytes.fromhex("20810217029fa20200f3ff"))
put("sensor", "record", bytes.fromhex("20000907017f680b01000000000000000600000400000000f0"), bytes(17), 0xCC, b"System Power")


# fru: the answers; then the inventory: header, product area, board area.
def area(head, fields):
    body = head + b"".join(bytes([0xC0 | len(f)]) + f for f in fields) + b"\xc1"
    body += bytes(-len(body) % 8)
    return body[:1] + bytes([len(body) // 8]) + body[2:]


def inventory(board, product):
    at = 1
    places = [0, 0]
    body = b""
    for i, part in enumerate((board, product)):
        if part:
            places[i] = at
            body += part
            at += len(part) // 8
    head = bytes([1, 0, 0, *places, 0, 0])
    return head + bytes([-sum(head) % 256]) + body


BOARD = area(bytes(6), [b"Dell Inc.", b"0W23H8", b"CN747"])
PRODUCT = area(bytes(3), [b"Dell Inc.", b"PowerEdge R640", b"", b"", b"ABC1234"])
put("fru", "both_areas", chunk(b""), inventory(BOARD, PRODUCT))
put("fru", "board_only", chunk(b""), inventory(BOARD, b""))
put("fru", "codings", chunk(b""), inventory(b"", b"\1\2\0\x83\x29\xdc\xa6\x42\x12\x3b\xc1" + bytes(5)))
put("fru", "in_words", chunk(b"\0\x84\2\1"), inventory(BOARD, PRODUCT))
put("fru", "cut_and_refused", chunk(b"\0\0\0\0\x82\5\x80\xcb"), inventory(BOARD, PRODUCT))
put("fru", "byte_by_byte", chunk(b"\0\0" + b"\x82\2" * 40), inventory(BOARD, PRODUCT))

# libvirt: what the rest is; then XDR, or XML.


def word(n):
    return struct.pack(">I", n)


def text(s):
    return word(len(s)) + s + bytes(-len(s) % 4)


DOMAIN = text(b"instance-1") + bytes(range(16)) + word(7)
put("libvirt", "frame", 0, word(0x20008086), word(1), word(6), word(1), word(1), word(0), word(9))
put("libvirt", "statistics", 1, word(1), DOMAIN, word(3), text(b"state.state"), word(1), word(1), text(b"cpu.time"), word(4), bytes(8), text(b"x"), word(7), text(b"y"))
put("libvirt", "node", 5, bytes(128), bytes(8), word(4), word(2400), bytes(16))
put("libvirt", "busy", 6, word(2), text(b"user"), bytes(8), text(b"kernel"), bytes(8), word(2))
put("libvirt", "error", 7, word(42), word(10), word(1), text(b"Domain not found"))
put("libvirt", "event", 8, word(1), DOMAIN)
put("libvirt", "authentication", 4, word(2), word(0), word(2))
put("libvirt", "xml_reply", 9, text(b"<domain/>"))
put("libvirt", "details", 2, word(1), DOMAIN, word(4), text(b"balloon.rss"), word(4), bytes(8), text(b"net.0.rx.bytes"), word(4), bytes(8), text(b"block.count"), word(2), word(0), text(b"block.1.capacity"), word(4), bytes(8))
put("libvirt", "pools", 10, word(1), text(b"default"), bytes(range(16)), word(1))
put("libvirt", "pool", 6, word(2), bytes(24))
put("libvirt", "capabilities", 11, b"<capabilities><host><cpu><arch>x86_64</arch><model>EPYC</model></cpu></host></capabilities>")
put("libvirt", "limits", 12, b"""<domain><vcpu>4</vcpu><cputune><shares>2048</shares><period>100000</period><quota>25000</quota><global_quota>90000</global_quota>
</cputune><perf><event name='cpu_cycles' enabled='yes'/></perf><devices><hostdev type='pci'><source><address domain='0x0000' bus='0x3b' slot='0x00'
function='0x0'/></source></hostdev><memballoon><stats period='10'/></memballoon></devices></domain>""")
put("libvirt", "opennebula", 12, b"""<domain><metadata><one:vm xmlns:one='http://opennebula.org/xmlns/libvirt/1.0'><one:uname>buzz</one:uname>
<one:gname>moonshot</one:gname></one:vm><a:x xmlns:a='urn:a'><a:tenant>blue</a:tenant></a:x></metadata></domain>""")
put("libvirt", "domain", 12, b"""<domain type='kvm' id='7'><memory unit='KiB'>1024</memory><vcpu current='2'>4</vcpu><metadata>
<n:instance xmlns:n='http://openstack.org/xmlns/libvirt/nova/1.1'><n:name>web-1</n:name><n:flavor name='m1'/>
<n:owner><n:user uuid='u'>buzz</n:user><n:project uuid='p'>moonshot</n:project></n:owner></n:instance></metadata></domain>""")

# modbus: how the bytes come in pieces (low five bits) and how many registers were asked for (high three); then what comes.
RTU = bytes.fromhex("0104020000b930")
put("modbus", "register", 31, RTU)
put("modbus", "noise_before", 1, b"\xff\x00\x84", RTU)
put("modbus", "exception", 4, bytes.fromhex("018402c2c1"))
put("modbus", "echo", 31, bytes.fromhex("010800000102605a"))
put("modbus", "objects", 31, bytes.fromhex("012b0e0101000002000441636d6501024d00751e"))
put("modbus", "tcp", 31, bytes.fromhex("000100000005010402000000020000000301" + "8402"))

# serial: protocol (low three bits) and size of pieces (31: whole), the bit that is flipped; then what comes, or what a frame holds.
WHOLE = 31 << 3
put("serial", "wattsup", 0, b"\0\0", b"#d,-,18,1000,2304,434,1234,0,0,0,1050,2313,454,950,2295,414,98,100,0,500,1010;\r\n#d,-,18,9,_;")
put("serial", "lmg450", 1, b"\0\0", b"0;1\n100.5;0.98;-1.2E3;9.91E37\r\n7;1;8;1\r\n")
P1 = b"0-0:96.1.1(4530303434303037)\r\n1-0:1.8.1(001581.123*kWh)\r\n1-0:2.8.1(000000.000*kWh)\r\n1-0:1.7.0(01.193*kW)\r\n1-0:32.7.0(230.1*V)"
put("serial", "dsmr", WHOLE | 2, struct.pack("<H", 1200), P1)
put("serial", "dsmr_old", 2, b"\0\0", b"/KMP5 KA6U00\r\n\r\n", P1, b"\r\n!\r\n")
put("serial", "iec62056", 3, b"\x21\0", b"/EMH5\\@201LMZ22\r\n1.8.0(001234.567*kWh)0.0.0(12345678)\r\n16.7(-0123.4*W)(2611220800)\r\n!\r\n")
ENTRY = bytes.fromhex("77070100010800ff0101621e52ff6500bc614e01") + bytes.fromhex("77070100100700ff0101621b52fe53545f01")
NUMBER = bytes.fromhex("77070100600100ff010162ff52000b0a01454d4800004b18e201")
SML = bytes.fromhex("7602076200620072630701770102 0a01017073") + NUMBER + ENTRY + bytes.fromhex("010163123400")
put("serial", "sml", WHOLE | 4, struct.pack("<H", 300), SML)
put("serial", "sml_escapes", 4, b"\0\0", b"\x1b" * 8 + b"\1\1\1\1" + SML)
put("serial", "sml_values", 5, b"\0\0", SML, bytes.fromhex("8302") + bytes(48), b"\x42\1")
put("serial", "megatec", 6, b"\0\0", b"Q1\r(208.4 140.0 208.4 034 59.9 2.05 35.0 00110000\r(--.- 1 230.0 @@ 50.0 1 --.- 00000000\r")
XCP_MAP = bytearray(85)
XCP_MAP[21], XCP_MAP[22], XCP_MAP[25], XCP_MAP[56] = 0x41, 0xF0, 0xF4, 0x41
XCP = b"\1\x12\3\3\1\0" + chunk(b"9PX 3000") + chunk(bytes(XCP_MAP)) + bytes(2)
put("serial", "eaton_xcp", 7, struct.pack("<H", len(XCP)), XCP, struct.pack("<fiif", 812.5, 870, 15, 231.5))

# lines: format (low three bits) and size of pieces; then what a program prints.
put("lines", "csv", 0, b"OK,101.5,99\r\n\"a, \"\"b\"\"\",12.5,\n,,-1\n1e9,4 J\n")
put("lines", "semicolons", WHOLE | 1, b"21.5 C;7\n\xff;8\n")
put("lines", "columns", 2, b"  1 \t 2  3\n")
put("lines", "pairs", 3, b"a=101.5; b=3,state=\"on\" junk\n/a=2.50\n")
put("lines", "json", 4, b"{\"a\": 12.5, \"b\": 1}\n[{\"a\": \"5 W\", \"b\": \"x\"}, {\"a\": 1e3, \"b\": null}, 7]\n")
put("lines", "regex", 5, b"12.5,left\n-1;\n")
put("lines", "kilowatts", 6, b"CH2   1.25 kW\nCH2 1.25 W\n")
put("lines", "condition", 7, b"OK,2.5\nERR,2.5\n")

# counter: range and first value, microjoules; then times in milliseconds and values.
put("counter", "steady", struct.pack("<8Q", 262143328850, 5000000, 2000, 405000000, 1000, 405000000, 1000, 406000000))
put("counter", "wraps", struct.pack("<6Q", 262143328850, 262143000000, 1000, 100000, 1, 100061))
put("counter", "no_range", struct.pack("<6Q", 0, 900, 1000, 1000900, 1000, 10))
put("counter", "at_once", struct.pack("<8Q", 1 << 63, 1, 0, 0, 0, 1 << 62, 1 << 31, (1 << 64) - 1))


def checkpoint(sections, version=1, count=None):
    body = struct.pack("<QI", 1_795_000_000_000, len(sections) if count is None else count)
    for name, data in sections:
        body += struct.pack("<H", len(name)) + name + struct.pack("<Q", len(data)) + data
    summed = struct.pack("<Q", len(body)) + body
    return b"wattribute state" + struct.pack("<II", version, zlib.crc32(summed)) + summed


# checkpoint: a file as src/checkpoint/frame.rs has it.
put("checkpoint", "empty", checkpoint([]))
put("checkpoint", "two_sections", checkpoint([(b"ledger", b"\1\0\0\0\0\0\0"), (b"meters", b"\1\0\0\0")]))
put("checkpoint", "one_too_many", checkpoint([(b"ledger", b"\1\0")], count=2))
put("checkpoint", "newer", checkpoint([(b"ledger", b"\1\0")], version=2))

# cgroup: a path; after a zero byte the text of one of its files.
ID = b"0123456789abcdef" * 4
put("cgroup", "service", b"/system.slice/nginx.service\0usage_usec 5000000\nuser_usec 1\n")
put("cgroup", "machine", b"/machine.slice/machine-qemu\\x2d12\\x2dinstance\\x2d0000002a.scope\0qemu\0-name\0guest=a,x=on\0-m\0size=2097152k"
    b"\0-smp\0" b"4,sockets=4\0-uuid\0" b"11111111-2222-3333-4444-555555555555\0")
put("cgroup", "pod", b"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6d1d0b3c_52c6.slice/cri-containerd-", ID, b".scope\0" b"150000 100000\n")
put("cgroup", "pod_of_cgroupfs", b"/kubepods/besteffort/pod6d1d0b3c-52c6/", ID, b"\0anon 1\ninactive_file 4096\n")
put("cgroup", "job", b"/slurm/uid_1000/job_4711\0" b"9223372036854771712\n")
put("cgroup", "user", b"/user.slice/user-1000.slice\0max 100000\n")

# process: the text of a file in /proc.
put("process", "stat", b"42 (a) R (b) S 7 42 42 0 -1 4194304 1 2 3 4 100 50 20 10 20 0 1 0 9999 1000000 250 184467\n")
put("process", "cgroup", b"4:memory:/x\n1:name=systemd:/system.slice/a.service/b\n0::/\n")
put("process", "machine", b"cpu  100 20 30 1000 40 5 6 7 50 0\ncpu0 50 10 15 500 20 2 3 3 25 0\nintr 5\n")
put("process", "meminfo", b"MemTotal:       16315364 kB\nMemFree:         1000 kB\n")
put("process", "cpuinfo", b"processor\t: 0\nmodel name\t: Example CPU v4 @ 2.60GHz\ncpu MHz\t\t: 1197.251\n")
put("process", "dev", b" face |bytes packets\neth0:1000 10 0 0 0 0 0 0 500 5 0 0 0 0 0 0\n")
put("process", "fib_trie", b"Main:\n     |-- 10.0.0.7\n        /32 host LOCAL\n")
put("process", "if_inet6", b"20010db8000000000000000000000009 02 40 00 80 eth0\n")
