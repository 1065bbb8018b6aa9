"""A Modbus server of pymodbus with registers from map files: peer.py tcp|rtutcp|rtu WHERE UNIT=FILE...

WHERE is a port of the loopback (0 picks one) or a serial port. Prints `ready PORT` when it listens. Lines of a map:

    input|holding ADDRESS TYPE NUMBER    TYPE: u16 i16 u32 i32 u64 i64 f32 f64, with `le` behind it low word first, or words
    input|holding ADDRESS text COUNT TEXT
    id OBJECT TEXT

Everything else (`->` and `#`) is for who reads it.
"""

import asyncio
import struct
import sys

from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

FORMATS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q", "f32": ">f", "f64": ">d"}


def words(kind, values):
    """The registers that hold a value."""
    if kind == "words":
        return [int(value, 16) for value in values]
    if kind == "text":
        count, text = int(values[0]), " ".join(values[1:]).encode()
        raw = text.ljust(2 * count, b"\0")
    else:
        kind, little = (kind[:-2], True) if kind.endswith("le") else (kind, False)
        number = float(values[0]) if kind.startswith("f") else int(values[0], 0)
        raw = struct.pack(FORMATS[kind], number)
        if little:
            raw = b"".join(raw[i : i + 2] for i in range(len(raw) - 2, -1, -2))
    return list(struct.unpack(f">{len(raw) // 2}H", raw))


def device(unit, path):
    tables, identity = {"input": {}, "holding": {}}, {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            parts = line.split("#")[0].split()
            if not parts or parts[0] == "->":
                continue
            if parts[0] == "id":
                identity[int(parts[1])] = " ".join(parts[2:])
                continue
            at = int(parts[1], 0)
            for offset, word in enumerate(words(parts[2], parts[3:])):
                tables[parts[0]][at + offset] = word
    blocks = []
    for name in ("holding", "input"):
        known = sorted(tables[name].items())
        # A table without registers may not be empty: one that no meter has.
        blocks.append([SimData(at, values=word, datatype=DataType.REGISTERS) for at, word in known] or [SimData(65535, datatype=DataType.REGISTERS)])
    unused = [SimData(65535, datatype=DataType.BITS, values=False)]
    return SimDevice(unit, simdata=(unused, unused, *blocks)), identity


async def main():
    mode, where, *maps = sys.argv[1:]
    read = [device(int(unit), path) for unit, path in (spec.split("=", 1) for spec in maps)]
    devices = [one for one, _ in read]
    # One identity for all: the server has no other.
    who = ModbusDeviceIdentification(info={key: text for _, identity in read for key, text in identity.items()})
    # On a line nobody answers for a unit that is not there; a TCP server of one meter does likewise.
    if mode == "rtu":
        server = ModbusSerialServer(devices, port=where, baudrate=9600, identity=who, ignore_missing_devices=True)
    else:
        framer = FramerType.RTU if mode == "rtutcp" else FramerType.SOCKET
        server = ModbusTcpServer(devices, framer=framer, address=("127.0.0.1", int(where)), identity=who, ignore_missing_devices=True)
    await server.serve_forever(background=True)
    port = where if mode == "rtu" else server.transport.sockets[0].getsockname()[1]
    print("ready", port, flush=True)
    await asyncio.Future()


asyncio.run(main())
