"""What bmc.py answers besides the one power reading: DCMI's windows and temperatures, makers' own commands, sensors of
every kind, and a controller behind the BMC (Intel's Management Engine, 2Ch on channel 6, and a satellite on channel 0)."""
import struct
import time

INTEL, DELL = 343, 674
CONTROLLER = 0x2c
# Five minutes, one hour, and "now", which is no window: two bits of unit, six of duration.
PERIODS = [0x45, 0x81, 0x40]


def full(number, kind, unit, name, factors=(1, 0, 0, 0, 0, 0), owner=0x20, channel=0, entity=7, event=1, units=0, linear=0):
    """A full record's body. The six factors: M, M and tolerance, B, B and accuracy, accuracy, exponents."""
    body = [owner, channel << 4, number, entity, number, 0x7f, 0x68, kind, event, 0, 0, 0, 0, 0, 0]
    body += [units, unit, 0, linear] + list(factors) + [0] * 17
    return 1, bytes(body + [0xc0 | len(name)]) + name.encode()


def compact(number, shared, name):
    """A compact record's body: `shared` sensors of one kind, without factors."""
    body = [0x20, 0, number, 10, 1, 0x7f, 0x68, 8, 0x6f, 0, 0, 0, 0, 0, 0, 0xc0, 6, 0, shared, 0, 0, 0, 0, 0, 0, 0]
    return 2, bytes(body + [0xc0 | len(name)]) + name.encode()


def event_only(number, name):
    return 3, bytes([0x20, 0, number, 10, 1, 8, 0x6f, 1, 0, 0, 0, 0xc0 | len(name)]) + name.encode()


def node_manager():
    return 0xc0, struct.pack('<BBBBB', 0x57, 1, 0, 0x0d, 1) + bytes([CONTROLLER, 6 << 4, 1, 2, 3, 4])


# Sensors by number: what they answer. Each is worked out beside the test that reads it.
MORE = {
    20: (full(20, 0x0b, 6, 'Curve Power', linear=0x70), 200),
    21: (full(21, 0x03, 5, 'Signed Curr', (5, 0, 0, 0, 0, 0xf0), units=0x80), 0x14),
    22: (full(22, 0x02, 4, 'Ones Volt', (1, 0, 0x14, 0, 0, 0xf0), units=0x40), 0x64),
    23: (full(23, 0x0b, 6, 'Square Power', (2, 0, 0, 0, 0, 0), linear=8), 11),
    24: (full(24, 0x0b, 6, 'State Power', event=0x6f), 99),
    25: (full(25, 0x0b, 6, 'Asleep Power', (4, 0, 0, 0, 0, 0)), 30),
    26: (full(26, 0x0b, 6, 'Node 2 Power', (2, 0, 0, 0, 0, 0), owner=CONTROLLER), 61),
}
RECORDS = [compact(30, 3, 'PSU Status'), event_only(31, 'Watchdog'), *(record for record, _ in MORE.values())]


def answer(bmc, fn, command, data, s=None):
    """Completion code and data; None where bmc.py answers itself."""
    watts, maker = bmc.knobs['watts'], bmc.knobs['maker']
    if (fn, command) == (6, 1):
        return 0, [0x20, 1, 2, 0x17, 2, 0x9f] + list(struct.pack('<I', maker))[:3] + [0, 1]
    if (fn, command) == (0x2c, 2) and bmc.knobs['empty']:
        bmc.knobs['empty'] -= 1
        return 0, []
    if (fn, command, data[1:2]) == (0x2c, 2, b'\1') and bmc.knobs['stats']:
        return bmc.knobs['dcmi'], b'\xdc' + struct.pack(
            '<HHHHIIB', watts, watts - 40, watts + 60, watts - 10, int(time.time()), 90000, bmc.knobs['state'])
    if (fn, command, data[1:2]) == (0x2c, 2, b'\2'):
        if not bmc.knobs['stats'] or data[2] not in PERIODS:
            return 0xcc, []
        length = 5 if data[2] == 0x45 else 1
        return 0, b'\xdc' + struct.pack(
            '<HHHHIIB', watts, watts - 20 * length, watts + 20, watts - length, int(time.time()), length, 0x40)
    if (fn, command, data[1:2]) == (0x2c, 1, b'\5') and bmc.knobs['stats']:
        return 0, [0xdc, 1, 5, 2, len(PERIODS)] + PERIODS
    if (fn, command, data[1:2]) == (0x2c, 1, b'\1') and bmc.knobs['stats']:
        return 0, [0xdc, 1, 5, 2, 0, 1, 7]
    if (fn, command) == (0x2c, 0x10) and bmc.knobs['stats']:
        # Two instances at the inlet, 24 degrees and 5 below zero: a sign and seven bits.
        pairs = [24, 1, 0x85, 2] if data[2] == 0x40 else []
        return 0, [0xdc, len(pairs) // 2, len(pairs) // 2] + pairs
    if (fn, command, data[1:2]) == (0x2c, 1, b'\3') and bmc.knobs['behind']:
        return 0, [0xdc, 1, 5, 2, CONTROLLER, 0x61]
    if maker == DELL and bmc.knobs['oem']:
        if (fn, command, data) == (0x30, 0xb3, b'\x0a\0'):
            return 0, struct.pack('<HHHB', watts, 11, 0, 0)
        if (fn, command, data) == (0x30, 0x9c, b'\x07\1'):
            then = int(time.time()) - 100000
            return 0, struct.pack('<IIIIHIH', then, bmc.knobs['wh'], then, then, 23, then, 512)
    if (fn, command) == (4, 0x23) and data[0] == 20:
        # 2 W a step at this reading, and 50 W on top: 200 is 450 W.
        return 0, [data[1], 2, 0, 50, 0, 0, 0]
    if (fn, command) == (4, 0x2d) and data[0] in MORE and data[0] != 26:
        return 0, [MORE[data[0]][1], 0x80 if data[0] == 25 else 0xc0, 0xc0]
    if (fn, command) == (6, 0x34):
        return pass_on(bmc, data, s)
    return None


def controller(bmc, channel, fn, command, data):
    """What the controller behind the BMC answers."""
    if channel == 6 and (fn, command) == (0x2e, 0xc8) and data[:4] == b'\x57\1\0\1' and bmc.knobs['oem']:
        watts = {0: bmc.knobs['watts'], 1: 120, 2: 35}[data[4]]
        return 0, b'\x57\1\0' + struct.pack(
            '<HHHHIIB', watts, watts, watts, watts, int(time.time()), 600, 0x70 | data[4])
    if channel == 0 and (fn, command, data[:1]) == (4, 0x2d, b'\x1a'):
        return 0, [MORE[26][1], 0xc0, 0xc0]
    if channel == 6 and (fn, command) == (0x2c, 2) and bmc.knobs['behind']:
        watts = bmc.knobs['watts']
        return 0, b'\xdc' + struct.pack('<HHHHIIB', watts, watts, watts, watts, int(time.time()), 1000, 0x40)
    return 0xc1, []


def checked(part):
    return bytes(part) + bytes([-sum(part) & 255])


def pass_on(bmc, data, s):
    """Send Message: the answer comes within the reply, behind an empty one, or never."""
    channel, address, fn, seq, command = data[0] & 15, data[1], data[2] >> 2, data[5], data[6]
    if address != CONTROLLER:
        return 0xd3, []
    code, reply = controller(bmc, channel, fn, command, data[7:-1])
    body = [code] + ([] if code else list(reply))
    if bmc.knobs['within'] == 1:
        return 0, checked([0x20, (fn | 1) << 2]) + checked([address, seq, command] + body)
    s.send_ipmi_response(code=0, data=[])
    if bmc.knobs['within'] == 2:
        return 'sent', []
    from pyghmi.ipmi.private.constants import payload_types
    own = checked([0x81, (fn | 1) << 2]) + checked([address, seq, command] + body)
    s.send_payload(payload=bytearray(own), payload_type=payload_types['ipmi'], retry=False)
    return 'sent', []
