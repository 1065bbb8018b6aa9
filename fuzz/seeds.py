#!/usr/bin/env python3
"""Writes the seeds whose form is a script of bytes, so that each can be read here. The others are text files.

What the bytes mean stands at the head of src/drivers/ipmi/fuzzing/*.rs and src/workloads/libvirt/fuzzing.rs."""

import pathlib
import struct

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
put("libvirt", "domain", 10, b"""<domain type='kvm' id='7'><memory unit='KiB'>1024</memory><vcpu current='2'>4</vcpu><metadata>
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
