"""A small data centre as series: every metric the rules and dashboards may use, with the labels it has.

The exporter's own catalog is the authority; this is what stands in for it where no exporter runs.
"""

# (series, kind, value): a gauge stays at value, a counter grows by value a second, a clock is the time less value.
SERIES = [
    ('wattribute_meter_up{datacenter="dc1",meter="pdu-1",driver="snmp"}', "gauge", 1),
    ('wattribute_meter_up{datacenter="dc1",meter="bmc-9",driver="redfish"}', "gauge", 0),
    ('wattribute_meter_info{meter="pdu-1",driver="snmp",vendor="APC",model="AP8959",serial="1",firmware="6",profile="apc"}', "gauge", 1),
    ('wattribute_meter_power_watts{datacenter="dc1",meter="pdu-1",channel="outlet/1"}', "gauge", 400),
    ('wattribute_meter_energy_joules_total{datacenter="dc1",meter="pdu-1",channel="outlet/1",origin="integrated"}', "counter", 400),
    ('wattribute_meter_reading_timestamp_seconds{datacenter="dc1",meter="pdu-1",channel="outlet/1"}', "clock", 7),
    ('wattribute_meter_unmeasured_seconds_total{datacenter="dc1",meter="pdu-1",channel="outlet/1"}', "counter", 0.01),
    ('wattribute_polls_total{driver="snmp",result="ok"}', "counter", 1),
    ('wattribute_polls_total{driver="redfish",result="timeout"}', "counter", 0.1),
    ('wattribute_host_power_watts{datacenter="dc1",component="compute",host="h1"}', "gauge", 400),
    ('wattribute_host_power_watts{datacenter="dc1",component="network",host="s1"}', "gauge", 100),
    ('wattribute_host_feed_difference_watts{datacenter="dc1",component="compute",host="h1",feed="bmc-1/input"}', "gauge", -12),
    ('wattribute_host_energy_joules_total{datacenter="dc1",component="compute",host="h1",method="measured"}', "counter", 400),
    ('wattribute_host_energy_joules_total{datacenter="dc1",component="network",host="s1",method="rated"}', "counter", 100),
    ('wattribute_host_info{datacenter="dc1",component="compute",host="h1",cluster="c1",rack="r1"}', "gauge", 1),
    ('wattribute_host_overhead_energy_joules_total{datacenter="dc1",host="h1",part="hypervisor"}', "counter", 40),
    ('wattribute_workload_power_watts{datacenter="dc1",host="h1",kind="vm",workload="v1",project_id="p1"}', "gauge", 200),
    ('wattribute_workload_power_watts{datacenter="dc1",host="h1",kind="vm",workload="v2",project_id="p2"}', "gauge", 160),
    ('wattribute_workload_energy_joules_total{datacenter="dc1",host="h1",kind="vm",workload="v1",project_id="p1",part="dynamic"}', "counter", 200),
    ('wattribute_workload_energy_joules_total{datacenter="dc1",host="h1",kind="vm",workload="v2",project_id="p2",part="idle"}', "counter", 160),
    ('wattribute_workload_info{datacenter="dc1",host="h1",workload="v1",name="web",project_id="p1",project_name="physics",user="u",flavor="m1",domain="i-1"}', "gauge", 1),
    ('wattribute_tenant_energy_joules_total{datacenter="dc1",project_id="p1"}', "counter", 200),
    ('wattribute_tenant_energy_joules_total{datacenter="dc1",project_id="p2"}', "counter", 160),
    ('wattribute_tenant_info{project_id="p1",project_name="physics"}', "gauge", 1),
    ('wattribute_facility_power_watts{datacenter="dc1",point="utility"}', "gauge", 700),
    ('wattribute_facility_energy_joules_total{datacenter="dc1",point="utility"}', "counter", 700),
    ('wattribute_facility_power_watts{datacenter="dc1",point="ups_in"}', "gauge", 620),
    ('wattribute_facility_energy_joules_total{datacenter="dc1",point="ups_in"}', "counter", 620),
    ('wattribute_facility_power_watts{datacenter="dc1",point="ups_out"}', "gauge", 580),
    ('wattribute_facility_energy_joules_total{datacenter="dc1",point="ups_out"}', "counter", 580),
    ('wattribute_facility_power_watts{datacenter="dc1",point="cooling"}', "gauge", 60),
    ('wattribute_facility_energy_joules_total{datacenter="dc1",point="cooling"}', "counter", 60),
    ('wattribute_emission_factor_grams_per_kilowatt_hour{datacenter="dc1",basis="location",source="file",tier="national"}', "gauge", 380),
    ('wattribute_hypervisor_up{datacenter="dc1",host="h1"}', "gauge", 1),
    ('wattribute_meter_enabled{datacenter="dc1",meter="pdu-1",driver="snmp"}', "gauge", 1),
    ('wattribute_checkpoint_age_seconds', "gauge", 4),
    ('wattribute_checkpoint_refused', "gauge", 0),
    ('wattribute_config_last_reload_successful', "gauge", 1),
]


def as_promtool(minutes):
    """The series as promtool input, a sample a minute from time 0."""
    values = {
        "gauge": lambda v: f"{v}+0x{minutes}",
        "counter": lambda v: f"0+{v * 60}x{minutes}",
        "clock": lambda v: f"{-v}+60x{minutes}",
    }
    return [{"series": name, "values": values[kind](value)} for name, kind, value in SERIES]


def as_page(now, since):
    """The series as a text exposition page at time `now` of counters that started at `since`, seconds."""
    values = {"gauge": lambda v: v, "counter": lambda v: v * (now - since), "clock": lambda v: now - v}
    return "".join(f"{name} {values[kind](value)}\n" for name, kind, value in SERIES)
