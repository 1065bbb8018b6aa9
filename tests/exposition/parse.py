"""Reads a metrics page from stdin with prometheus_client's own parser and prints every sample as JSON.

Usage: parse.py text|openmetrics < page
"""
import json
import sys

if sys.argv[1] == "openmetrics":
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
else:
    from prometheus_client.parser import text_string_to_metric_families

page = sys.stdin.buffer.read().decode("utf-8")
for family in text_string_to_metric_families(page):
    for sample in family.samples:
        print(json.dumps({
            "family": family.name, "type": family.type, "unit": family.unit, "help": family.documentation,
            "name": sample.name, "labels": sample.labels, "value": repr(float(sample.value)),
        }))
