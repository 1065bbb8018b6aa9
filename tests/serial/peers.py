#!/usr/bin/env python3
"""Serial meters for the tests, written from the descriptions of their protocols.

peers.py KIND WHERE [key=value ...]
KIND   wattsup lmg dsmr d0 megatec xcp play garbage silent
WHERE  a path, which becomes a link to a pseudo terminal, or tcp: for a free port on the loopback interface
keys   file=F (play: its bytes) period=S delay=S (before each answer) late=S (before the first answer only)
       watts=F (a file with the watts, read at each answer) log=F (what was received, in hexadecimal) echo=1 lines=N
Prints `ready` and the port once it can be opened. Serves for ever."""
import os
import select
import socket
import struct
import sys
import time
import tty


class Peer:
    def __init__(self, where, options):
        self.options = options
        self.answers = 0
        if where == "tcp:":
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(4)
            print("ready", listener.getsockname()[1], flush=True)
            self.accept = lambda: listener.accept()[0].detach()
            self.fd = self.accept()
        else:
            self.accept = None
            self.fd, near = os.openpty()
            tty.setraw(near)
            os.symlink(os.ttyname(near), where)
            # Ours stays open, so that the line does not hang up while nobody listens.
            print("ready", 0, flush=True)

    def number(self, key, default=0.0):
        return float(self.options.get(key, default))

    def read(self, patience):
        if not select.select([self.fd], [], [], max(0, patience))[0]:
            return b""
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        if not data and self.accept:
            os.close(self.fd)
            self.fd = self.accept()
        if data and "log" in self.options:
            with open(self.options["log"], "a") as log:
                log.write(data.hex() + "\n")
        if data and "echo" in self.options:
            os.write(self.fd, data)
        return data

    def write(self, data):
        try:
            if select.select([], [self.fd], [], 1)[1]:
                os.write(self.fd, data)
        except OSError:
            pass

    def answer(self, data):
        """As write, but late where that is asked for."""
        self.answers += 1
        time.sleep(self.number("delay") + (self.number("late") if self.answers == 1 else 0))
        self.write(data)

    def watts(self):
        if "watts" in self.options:
            return float(open(self.options["watts"]).read())
        return 100.0

    def every(self, period):
        """Yields what was received, at fixed times that do not drift."""
        due = time.monotonic()
        while True:
            due += period
            got = b""
            while time.monotonic() < due:
                got += self.read(due - time.monotonic())
            yield got


def wattsup(peer):
    running, heard, wh = False, b"", 1234
    for got in peer.every(peer.number("period", 0.1)):
        heard += got
        while b";" in heard:
            command, heard = heard.split(b";", 1)
            if command.startswith(b"#L,W,3,E,"):
                running = True
                time.sleep(peer.number("delay"))
            elif command.startswith(b"#L,R,0"):
                running = False
        if running:
            watts = peer.watts()
            wh += 1
            fields = [watts * 10, 2304, watts / 230.4 * 1000, wh, 0, 0, 0, 0, 0, 0, 0, 0, 0, 98, 100, 0, 500, watts * 10.2]
            peer.write(("#d,-,18," + ",".join("%d" % round(f) for f in fields) + ";\r\n").encode())


def lmg(peer):
    """A square wave of 100 and 300 W, seven cycles each, where no file says the watts."""
    cycle, values, running, heard, count = 0.5, [], False, b"", 0
    known = {"UTRMS": "2.3040E+02", "ITRMS": "4.3402E-01", "FREQ": "5.0010E+01", "PF": "9.8000E-01", "S": "1.0200E+02"}

    def value(name):
        kind = name.rstrip("0123456789")
        if kind == "P":
            watts = peer.watts() if "watts" in peer.options else (100, 300)[count // 7 % 2]
            return "%.4E" % watts
        return known.get(kind, "9.9100E+37")

    def obey(line):
        nonlocal cycle, values, running, count
        words = line.strip().upper().split(";")
        if words[0] == "*IDN?":
            peer.answer(b"ZES ZIMMER Electronic Systems GmbH, LMG450, 12345678, 3.110\r\n")
        elif words[0].startswith("CYCL "):
            cycle = float(words[0][5:])
        elif words[0] == "ACTN":
            values = [word.rstrip("?") for word in words[1:]]
        elif words[0] == "CONT ON":
            running, count = True, 0
        elif words[0] == "CONT OFF":
            running = False

    due = time.monotonic()
    lines = int(peer.number("lines", 1 << 60))
    record = open(peer.options["sent"], "w") if "sent" in peer.options else None
    while True:
        heard += peer.read(due - time.monotonic() if running else 0.05)
        while b"\n" in heard:
            line, heard = heard.split(b"\n", 1)
            was = running
            obey(line.decode(errors="replace"))
            if running and not was:
                due = time.monotonic() + cycle
        if running and time.monotonic() >= due and count < lines:
            due += cycle
            sent = ";".join(value(name) for name in values)
            count += 1
            peer.write((sent + "\r\n").encode())
            if record:
                record.write(sent + "\n")
                record.flush()


def crc16(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def telegram(watts, wh):
    body = (
        "/ISK5\\2M550T-1012\r\n\r\n1-3:0.2.8(50)\r\n0-0:1.0.0(261122084000W)\r\n0-0:96.1.1(4530303434303037)\r\n"
        "1-0:1.8.1(%010.3f*kWh)\r\n1-0:1.8.2(001435.706*kWh)\r\n1-0:2.8.1(000012.250*kWh)\r\n1-0:2.8.2(000000.000*kWh)\r\n"
        "0-0:96.14.0(0002)\r\n1-0:1.7.0(%06.3f*kW)\r\n1-0:2.7.0(00.000*kW)\r\n1-0:32.7.0(230.1*V)\r\n1-0:31.7.0(001*A)\r\n"
        "1-0:21.7.0(%06.3f*kW)\r\n1-0:22.7.0(00.000*kW)\r\n!" % (1581.123 + wh / 1000, watts / 1000, watts / 1000)
    ).encode()
    return body + b"%04X\r\n" % crc16(body)


def dsmr(peer):
    wh = 0
    for _ in peer.every(peer.number("period", 0.2)):
        wh += 1
        peer.write(telegram(peer.watts(), wh))


def d0(peer):
    heard, greeted = b"", False
    while True:
        heard += peer.read(1)
        if b"/?" in heard and heard.endswith(b"!\r\n"):
            heard, greeted = b"", True
            peer.answer(b"/EMH5\\@201LMZ2216700\r\n")
        elif greeted and heard.endswith(b"\x06050\r\n") or heard.endswith(b"\x06000\r\n"):
            heard, greeted = b"", False
            block = (
                "1-0:0.0.0*255(12345678)\r\n1-0:1.8.0*255(001581.123*kWh)\r\n1-0:1.8.0*01(001500.000*kWh)\r\n"
                "1-0:16.7.0*255(%09.2f*W)\r\n1-0:32.7.0*255(230.4*V)\r\n!\r\n\x03" % peer.watts()
            ).encode()
            check = 0
            for byte in block:
                check ^= byte
            peer.answer(b"\x02" + block + bytes([check]))


def megatec(peer):
    """The load in per cent counts the questions, so that each answer shows which question it belongs to."""
    heard, asked = b"", 0
    while True:
        heard += peer.read(1)
        while b"\r" in heard:
            command, heard = heard.split(b"\r", 1)
            if command.endswith(b"Q1"):
                asked += 1
                peer.answer(b"(226.0 195.0 230.0 %03d 50.0 27.5 30.0 00001000\r" % asked)


def xcp(peer):
    def packets(number, block):
        parts = [block[at : at + 100] for at in range(0, len(block), 100)]
        out = b""
        for sequence, part in enumerate(parts, 1):
            last = 0x80 if sequence == len(parts) else 0
            packet = bytes([0xAB, number, len(part), last | sequence]) + part
            out += packet + bytes([-sum(packet) & 0xFF])
        return out

    formats = {21: 0x41, 22: 0x41, 23: 0xF0, 28: 0x41, 56: 0x41, 78: 0x41}
    names = b"9PX 3000"
    identity = bytes([1, 0x12, 0x03, 3, 1, 0, len(names)]) + names + bytes([120] + [formats.get(n, 0) for n in range(120)]) + bytes(40)
    heard = b""
    while True:
        heard += peer.read(1)
        while len(heard) >= 4 and heard[0] == 0xAB:
            command, heard = heard[:4], heard[4:]
            if sum(command) & 0xFF or command[1] != 1:
                continue
            if command[2] == 0x31:
                peer.answer(packets(1, identity))
            elif command[2] == 0x34:
                watts = peer.watts()
                peer.answer(packets(4, struct.pack("<ffifff", watts, watts + 50, int(watts) + 20, 50.0, 231.5, 230.0)))


def play(peer):
    data = open(peer.options["file"], "rb").read()
    for _ in peer.every(peer.number("period", 0.2)):
        peer.write(data)


def garbage(peer):
    """What a wrong rate makes of a telegram."""
    for _ in peer.every(0.1):
        peer.write(bytes((7 * n * n + 13 * n) & 0xFF for n in range(200)))


def silent(peer):
    while True:
        peer.read(1)


if __name__ == "__main__":
    pairs = dict(word.split("=", 1) for word in sys.argv[3:])
    globals()[sys.argv[1]](Peer(sys.argv[2], pairs))
