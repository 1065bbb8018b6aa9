#!/usr/bin/env python3
"""What other programs read: `oracle.py dsmr FILE` (dsmr_parser) and `oracle.py d0 PORT` (iec62056-21 over TCP).
Prints `NAME VALUE`, values in base units."""
import sys


def dsmr(path):
    from dsmr_parser import telegram_specifications
    from dsmr_parser.parsers import TelegramParser

    telegram = TelegramParser(telegram_specifications.V5).parse(open(path, newline="").read())
    for name in (
        "ELECTRICITY_USED_TARIFF_1",
        "ELECTRICITY_USED_TARIFF_2",
        "ELECTRICITY_DELIVERED_TARIFF_1",
        "ELECTRICITY_DELIVERED_TARIFF_2",
        "CURRENT_ELECTRICITY_USAGE",
        "CURRENT_ELECTRICITY_DELIVERY",
        "INSTANTANEOUS_VOLTAGE_L1",
        "INSTANTANEOUS_CURRENT_L1",
        "INSTANTANEOUS_ACTIVE_POWER_L1_POSITIVE",
    ):
        value = getattr(telegram, name)
        factor = {"kWh": 3600000, "kW": 1000}.get(value.unit, 1)
        print(name, float(value.value) * factor)


def d0(port):
    from iec62056_21.client import Iec6205621Client

    client = Iec6205621Client.with_tcp_transport(address=("127.0.0.1", int(port)))
    client.connect()
    answer = client.standard_readout()
    client.disconnect()
    for block in answer.data:
        factor = {"kWh": 3600000, "kW": 1000}.get(block.unit, 1)
        try:
            print(block.address, float(block.value) * factor)
        except ValueError:
            print(block.address, block.value)


globals()[sys.argv[1]](sys.argv[2])
