#!/usr/bin/env python3
"""bmc.py PORT: a BMC on 127.0.0.1:PORT with pyghmi's packets, made for tests.

User `admin`, password `password`. It speaks cipher suites 3 and 17 (pyghmi itself knows only 3 as a server), DCMI Get
Power Reading, a sensor repository and a FRU, and has a session table that may be full. Standard output says `up`, then
`opened` and `closed` for every session. Standard input takes lines `KEY VALUE` that change what it does, and answers
each with `done`:

  watts N       what DCMI and the power sensor show (the sensor in steps of 4 W)
  dcmi N        completion code of DCMI, 0 is good
  state N       state byte of DCMI: 64 measures, 0 does not
  busy N        the next N commands are answered with C0h
  slots N       size of the session table
  suites A,B    cipher suites that are offered and accepted; `hidden` in front offers none, but accepts them
  mute N        does not answer command number N
  kg TEXT       its own key; `none` for none
  forget 0      loses all sessions, as a restart does
  sync 0        nothing
  scan N        state byte of the sensors: 192 has a reading, 32 is unavailable
  maker N       its maker's number
  empty N       the next N readings of DCMI are empty
  stats 1       DCMI has windows and temperatures
  oem 1         the maker's own power commands work: Dell's, or Intel's behind Send Message
  wh N          Dell's energy counter, Wh
  within N      1: Send Message answers within its reply; 0: in a message behind it; 2: never
  behind 1      DCMI's power commands are answered by another controller
  more 1        has sensors of every kind, and a record of Node Manager
  dcmilevel N   level that DCMI needs: 2 user, 3 operator, 4 administrator, 5 nobody
  sensorlevel N the same for sensors
  limit N       level of the user
  deaf 0        a level above the user's is met with silence instead of a refusal (1)
"""
import hmac
import os
import select
import socket
import struct
import sys
import time
import hashlib

import pyghmi.ipmi.bmc as bmc
import pyghmi.ipmi.private.session as session
from pyghmi.ipmi.private.constants import payload_types
from pyghmi.ipmi.private.serversession import ServerSession

import readings

# Number: authentication, integrity, hash, length of codes.
SUITES = {3: (1, 1, hashlib.sha1, 12), 17: (3, 4, hashlib.sha256, 16)}


class Session(ServerSession):
    def create_open_session_response(self, request):
        self.clientsessionid, tag = request[4:8], request[0]
        self.managedsessionid = os.urandom(4)
        wanted = [s for s, a in SUITES.items() if (a[0], a[1]) == (request[12], request[20])]
        if len(self.bmc.open) >= self.bmc.knobs['slots']:
            return bytearray([tag, 0x01, 0, 0]) + self.clientsessionid
        if not wanted or wanted[0] not in self.bmc.accepted:
            return bytearray([tag, 0x11, 0, 0]) + self.clientsessionid
        auth, integrity, self.currhashlib, self.currhashlen = SUITES[wanted[0]]
        self.bmc.pending[bytes(self.managedsessionid)] = self
        self.privlevel = 4
        algorithms = [(0, auth), (1, integrity), (2, 1)]
        records = b''.join(bytes([kind, 0, 0, 8, value, 0, 0, 0]) for kind, value in algorithms)
        return bytearray([tag, 0, 4, 0]) + self.clientsessionid + self.managedsessionid + records

    def code(self, key, *parts):
        return hmac.new(key, b''.join(bytes(p) for p in parts), self.currhashlib).digest()

    def _got_rakp1(self, data):
        data = bytes(data)
        self.Rm, self.rolem, self.username = data[8:24], data[24], data[28:28 + data[27]]
        self.maxpriv = self.rolem & 7
        if self.maxpriv > self.bmc.knobs['limit']:
            # Looked up with its level, such a user is not there at all.
            status = 0x0a if self.rolem & 0x10 else 0x0d
            refusal = bytearray([data[0], status, 0, 0]) + self.clientsessionid
            return self.bmc.knobs['deaf'] or self.send_payload(refusal, payload_types['rakp2'], retry=False)
        password = self.authdata.get(self.username.decode())
        if password is None:
            refusal = bytearray([data[0], 0x0d, 0, 0]) + self.clientsessionid
            return self.send_payload(refusal, payload_types['rakp2'], retry=False)
        self.tail = bytes([self.rolem, len(self.username)]) + self.username
        self.uuiddata, self.Rc, self.kuid = self.uuid.bytes, os.urandom(16), password.encode()
        code = self.code(self.kuid, self.clientsessionid, self.managedsessionid, self.Rm, self.Rc, self.uuiddata, self.tail)
        answer = bytearray([data[0], 0, 0, 0]) + self.clientsessionid + self.Rc + self.uuiddata + code
        self.send_payload(answer, payload_types['rakp2'], retry=False)

    def _got_rakp3(self, data):
        data = bytes(data)
        if data[1] or data[8:] != self.code(self.kuid, self.Rc, self.clientsessionid, self.tail):
            refusal = bytearray([data[0], 0x0f, 0, 0]) + self.clientsessionid
            return self.send_payload(refusal, payload_types['rakp4'], retry=False)
        self.sik = self.code(self.bmc.kg or self.kuid, self.Rm, self.Rc, self.tail)
        self.k1, self.k2 = self.code(self.sik, b'\1' * 20), self.code(self.sik, b'\2' * 20)
        self.aeskey, self.localsid = self.k2[:16], struct.unpack('<I', self.managedsessionid)[0]
        self.ipmicallback = self.handle_client_request
        self.clientpriv = 2
        icv = self.code(self.sik, self.Rm, self.managedsessionid, self.uuiddata)[:self.currhashlen]
        self.send_payload(bytearray([data[0], 0, 0, 0]) + self.clientsessionid + icv, payload_types['rakp4'], retry=False)
        self.confalgo, self.integrityalgo, self.sequencenumber = 'aes', 'hmac', 1
        self.sessionid = struct.unpack('<I', bytes(self.clientsessionid))[0]
        self.bmc.open[bytes(self.managedsessionid)] = self
        print('opened', flush=True)

    def close_server_session(self):
        if self.bmc.open.pop(bytes(self.managedsessionid), None):
            print('closed', flush=True)


def sensor(number, kind, unit, factor, entity, name):
    body = [0x20, 0, number, entity, 1, 0x7f, 0x68, kind, 1, 0, 0, 0, 0, 0, 0]
    body += [0, unit, 0, 0, factor, 0, 0, 0, 0, 0] + [0] * 17
    return bytes(body + [0xc0 | len(name)]) + name.encode()


def fru():
    fields = b''.join(bytes([0xc0 | len(f)]) + f for f in (b'ACME', b'Rack 1U', b'P1', b'10', b'S-4711')) + b'\xc1'
    area = b'\1' + bytes([(len(fields) + 3) // 8 + 1]) + b'\0' + fields
    # Its last byte is a checksum, which is not looked at.
    area += bytes(-len(area) % 8 or 8)
    header = bytes([1, 0, 0, 0, 1, 0, 0])
    return header + bytes([-sum(header) & 255]) + area


class Bmc(bmc.Bmc):
    def __init__(self, port):
        super().__init__({'admin': 'password'}, port=port, address='127.0.0.1')
        self.open, self.pending = {}, {}
        self.knobs = dict(watts=245, dcmi=0, state=0x40, busy=0, slots=4, scan=0xc0, mute=-1)
        self.knobs |= dict(maker=674, empty=0, stats=0, oem=0, wh=123456, within=1, behind=0)
        self.knobs |= dict(dcmilevel=2, sensorlevel=2, limit=4, deaf=0)
        self.offered = self.accepted = [3, 17]
        self.records = [sensor(1, 0x0b, 6, 4, 7, 'Sys Power'), sensor(2, 1, 1, 1, 0x37, 'Inlet Temp'),
                        sensor(3, 4, 18, 100, 7, 'FAN1'), sensor(4, 2, 4, 1, 7, '12V')]
        self.fru, self.manufacturer = fru(), 674

    def turn(self, key, value):
        if key == 'suites':
            hidden = value.startswith('hidden')
            self.accepted = [int(s) for s in value.removeprefix('hidden').split(',')]
            self.offered = [] if hidden else self.accepted
        elif key == 'kg':
            self.kg = None if value == 'none' else value.encode()
        elif key == 'more':
            self.records = self.records[:1] + self.records[2:] + readings.RECORDS + [readings.node_manager()]
        elif key == 'forget':
            self.open.clear()
            self.pending.clear()
        else:
            self.knobs[key] = int(value)

    def handle_raw_request(self, request, s):
        fn, command, data, knobs = request['netfn'], request['command'], bytes(request['data']), self.knobs
        if command == knobs['mute']:
            return
        if knobs['busy']:
            knobs['busy'] -= 1
            return s.send_ipmi_response(code=0xc0)
        if s.clientpriv < {0x2c: knobs['dcmilevel'], 4: knobs['sensorlevel']}.get(fn, 2):
            return s.send_ipmi_response(code=0xd4)
        answer = {
            (0, 1): lambda: (0, [1, 0, 0]),
            (0x2c, 2): lambda: (knobs['dcmi'], b'\xdc' + struct.pack(
                '<HHHHIIB', *[knobs['watts']] * 4, int(time.time()), 1000, knobs['state'])),
            (0x0a, 0x10): lambda: (0, struct.pack('<HB', len(self.fru), 0)),
            (0x0a, 0x11): lambda: self.read_fru(*struct.unpack('<BHB', data)),
            (0x0a, 0x20): lambda: (0, struct.pack('<BHHIIB', 0x51, len(self.records), 0xffff, 1, 1, 2)),
            (0x0a, 0x22): lambda: (0, [1, 0]),
            (0x0a, 0x23): lambda: self.read_record(*struct.unpack('<HHBB', data)),
            (4, 0x2d): lambda: (0, [{1: knobs['watts'] // 4, 2: 24, 4: 12}.get(data[0], 0), knobs['scan'], 0xc0]),
        }.get((fn, command), lambda: (0xc1, []))
        special = readings.answer(self, fn, command, data, s)
        code, reply = special if special is not None else answer()
        if code == 'sent':
            return
        s.send_ipmi_response(code=code, data=[] if code else list(reply))

    def read_fru(self, _device, offset, count):
        part = self.fru[offset:offset + count]
        return 0, bytes([len(part)]) + part

    def read_record(self, _reservation, number, offset, count):
        if number >= len(self.records):
            return 0xcb, []
        record = self.records[number]
        kind, body = record if isinstance(record, tuple) else (1, record)
        whole = struct.pack('<HBBB', number, 0x51, kind, len(body)) + body
        following = number + 1 if number + 1 < len(self.records) else 0xffff
        if count == 0xff:
            count = len(whole)
        return 0, struct.pack('<H', following) + whole[offset:offset + count]

    def send_cipher_suites(self, myaddr, mylun, clientaddr, clientlun, clientseq, data, sockaddr):
        records = b''.join(bytes([0xc0, s, SUITES[s][0], 0x40 | SUITES[s][1], 0x81]) for s in self.offered)
        code = b'\0\1' if records else b'\xc1'
        head = bytearray([clientaddr, clientlun | 7 << 2])
        head.append(session._checksum(*head))
        body = bytearray([myaddr, mylun | clientseq << 2, 0x54]) + code + records
        body.append(session._checksum(*body))
        packet = bytes([6, 0, 255, 7] + [0] * 9 + [len(head + body)]) + head + body
        session._io_sendto(self.serversocket, packet, sockaddr)

    def datagram(self, data, peer):
        if len(data) < 16 or data[4] != 6:
            return self.sessionless_data(data, peer)
        kind = data[5] & 0x3f
        if kind == 0x10:
            return Session(self.authdata, self.kg, peer, self.serversocket, bytes(data[16:]), self.uuid, self)
        table, name = (self.pending, data[20:24]) if kind in (0x12, 0x14) else (self.open, data[6:10])
        found = table.get(bytes(name))
        if found:
            found.sockaddr = peer
            found._handle_ipmi2_packet(bytearray(data))


def main():
    # One plain socket: pyghmi's own would be shared by all BMCs of a process and read by a thread.
    def plain(server=None, forbiddensockets=()):
        own = socket.socket(server[0], socket.SOCK_DGRAM)
        own.bind(server[4])
        return own
    session.Session._assignsocket = staticmethod(plain)
    one = Bmc(int(sys.argv[1]))
    print('up', flush=True)
    while True:
        for ready in select.select([one.serversocket, sys.stdin], [], [])[0]:
            if ready is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    return
                one.turn(*line.split())
                print('done', flush=True)
            else:
                one.datagram(*one.serversocket.recvfrom(3000))


main()
