//! The list. Identity labels only on series that change often; what merely describes stands on `_info` series to join.

use super::{Family, Kind, Label, Unit};

/// A label constant.
const fn label(name: &'static str, about: &'static str) -> Label {
    Label { name, about }
}

const DATACENTER: Label = label("datacenter", "building with its own facility meters, grid zone and prices");
const METER: Label = label("meter", "device that reports readings, as named in the configuration");
const CHANNEL: Label =
    label("channel", "measured point of the meter: `input`, `outlet/7`, `phase/L1`, `psu/1`");
const DRIVER: Label = label("driver", "driver that reads the device");
const HOST: Label = label("host", "physical server, storage node, switch or manager");
const COMPONENT: Label = label("component", "`compute`, `storage`, `network` or `management`");
const KIND: Label =
    label("kind", "kind of workload: `vm`, `service`, `container`, `job`, `process`, `cgroup`");
const WORKLOAD: Label = label("workload", "lasting identity of the workload; of a VM its UUID");
const PROJECT_ID: Label =
    label("project_id", "tenant: OpenStack project id or a name from the configuration");
const PROJECT_NAME: Label = label("project_name", "name of the tenant");
const POINT: Label = label(
    "point",
    "place in the building's supply: `utility`, `generator`, `ups_in`, `ups_out`, `it`, `cooling`, `lighting`, \
     `building`, `renewable`, `reused`",
);

const OF_CHANNEL: &[Label] = &[DATACENTER, METER, CHANNEL];
const OF_METER: &[Label] = &[DATACENTER, METER];
const WINDOW: Label =
    label("window", "the device's window: `reporting`, or its length where it keeps several, such as `5m`");
const OF_HOST: &[Label] = &[DATACENTER, COMPONENT, HOST];
const METHOD: Label =
    label("method", "`measured` by a meter, `rated` from a configured rating or a device's own estimate");
const OF_NODE: &[Label] = &[DATACENTER, HOST];
const OF_VM: &[Label] = &[DATACENTER, HOST, KIND, WORKLOAD, PROJECT_ID];

/// Declares every family as a static of its own and lists them all, so that none can be left out of the list.
macro_rules! families {
    ($($section:literal: {
        $($id:ident: $kind:ident $unit:ident $name:literal, $help:literal, $labels:expr;)*
    })*) => {
        $($(
            #[doc = concat!("`", $name, "`: ", $help, ".")]
            pub static $id: Family = Family {
                name: $name, kind: Kind::$kind, unit: Unit::$unit, help: $help, labels: $labels, section: $section,
            };
        )*)*

        /// Every family, in order of exposition and documentation.
        pub static ALL: &[&Family] = &[$($(&$id,)*)*];
    };
}

families! {
    "Meters": {
        METER_POWER_WATTS: Gauge Watts "wattribute_meter_power_watts",
            "Real power at a channel of a meter; absent once the reading is stale", OF_CHANNEL;
        METER_ENERGY_JOULES_TOTAL: Counter Joules "wattribute_meter_energy_joules_total",
            "Energy that passed a channel of a meter since the exporter first saw it",
            &[DATACENTER, METER, CHANNEL,
                label("origin", "`device` from the meter's own counter, `integrated` from its power readings")];
        METER_VOLTAGE_VOLTS: Gauge Volts "wattribute_meter_voltage_volts", "Voltage at a channel", OF_CHANNEL;
        METER_CURRENT_AMPERES: Gauge Amperes "wattribute_meter_current_amperes", "Current at a channel", OF_CHANNEL;
        METER_POWER_FACTOR_RATIO: Gauge Ratio "wattribute_meter_power_factor_ratio",
            "Real power by apparent power at a channel, 0 to 1", OF_CHANNEL;
        METER_APPARENT_POWER_VOLTAMPERES: Gauge VoltAmperes "wattribute_meter_apparent_power_voltamperes",
            "Apparent power at a channel", OF_CHANNEL;
        METER_FREQUENCY_HERTZ: Gauge Hertz "wattribute_meter_frequency_hertz",
            "Frequency of the supply at a channel", OF_CHANNEL;
        METER_TEMPERATURE_CELSIUS: Gauge Celsius "wattribute_meter_temperature_celsius",
            "Temperature that a channel reports", OF_CHANNEL;
        METER_HUMIDITY_RATIO: Gauge Ratio "wattribute_meter_humidity_ratio",
            "Relative humidity that a channel reports, 0 to 1", OF_CHANNEL;
        METER_FLOW_CUBIC_METRES_PER_SECOND: Gauge CubicMetresPerSecond "wattribute_meter_flow_cubic_metres_per_second",
            "Flow of the heat carrier that a channel reports", OF_CHANNEL;
        METER_READING_TIMESTAMP_SECONDS: Gauge Seconds "wattribute_meter_reading_timestamp_seconds",
            "When the latest reading of a channel was taken, Unix time", OF_CHANNEL;
        METER_UNMEASURED_SECONDS_TOTAL: Counter Seconds "wattribute_meter_unmeasured_seconds_total",
            "Time in which a channel gave no reading that energy could be counted from", OF_CHANNEL;
        METER_ACCURACY_RATIO: Gauge Ratio "wattribute_meter_accuracy_ratio",
            "Largest error of a channel's power by its meter's class and step, as a share of what it shows now; by the step alone, \
             so at least this, where no class is known; absent where neither is", OF_CHANNEL;
        METER_CHANNEL_INFO: Info None "wattribute_meter_channel_info", "What a channel is called on its device", &[
            DATACENTER, METER, CHANNEL, label("name", "the name, such as an outlet's label")];
        METER_UP: Gauge None "wattribute_meter_up", "Whether the latest poll of a meter brought readings",
            &[DATACENTER, METER, DRIVER];
        METER_ENABLED: Gauge None "wattribute_meter_enabled",
            "Whether a meter is polled; 0 where somebody has switched it off, and then it is neither up nor down",
            &[DATACENTER, METER, DRIVER];
        METER_INFO: Info None "wattribute_meter_info", "Who a meter says it is", &[
            DATACENTER, METER, DRIVER,
            label("vendor", "maker of the device"),
            label("model", "model of the device"),
            label("serial", "serial number"),
            label("firmware", "firmware version"),
            label("profile", "device profile or quirk set that reads it"),
        ];
        METER_WINDOW_POWER_WATTS: Gauge Watts "wattribute_meter_window_power_watts",
            "Power at a channel over a window that the device keeps itself; its length is `wattribute_meter_window_seconds`",
            &[DATACENTER, METER, CHANNEL, WINDOW, label("statistic", "`average`, `minimum` or `maximum`")];
        METER_WINDOW_SECONDS: Gauge Seconds "wattribute_meter_window_seconds",
            "Length of a device's own window of power", &[DATACENTER, METER, CHANNEL, WINDOW];
    }
    "Machines": {
        SYSTEM_PROCESSORS: Gauge None "wattribute_system_processors",
            "Processors (sockets) of the machine that a BMC sits in", OF_METER;
        SYSTEM_CORES: Gauge None "wattribute_system_cores", "Processor cores of the machine", OF_METER;
        SYSTEM_THREADS: Gauge None "wattribute_system_threads", "Hardware threads of the machine", OF_METER;
        SYSTEM_MEMORY_BYTES: Gauge Bytes "wattribute_system_memory_bytes", "Memory of the machine", OF_METER;
        SYSTEM_INFO: Info None "wattribute_system_info", "What a BMC says of the machine it sits in", &[
            DATACENTER, METER,
            label("hostname", "the machine's name for itself"),
            label("processor_model", "model of its processors"),
        ];
    }
    "Hosts": {
        HOST_POWER_WATTS: Gauge Watts "wattribute_host_power_watts",
            "Measured power that a host draws over all its feeds; absent while unknown", OF_HOST;
        HOST_ACCURACY_RATIO: Gauge Ratio "wattribute_host_accuracy_ratio",
            "Largest error of a host's power: the errors of its feeds, added up, as a share of it; absent where one is not known",
            OF_HOST;
        HOST_FEED_DIFFERENCE_WATTS: Gauge Watts "wattribute_host_feed_difference_watts",
            "How much more another metered feed of a host shows than the one that counts; absent unless both are fresh", &[
                DATACENTER, COMPONENT, HOST, label("feed", "the other feed: its channels, joined by `+`")];
        HOST_ENERGY_JOULES_TOTAL: Counter Joules "wattribute_host_energy_joules_total",
            "Energy that a host drew; equals its workloads' (ended ones included) plus its overhead, to the microjoule; of a pooled cluster \
             the sums over its hosts do",
            &[DATACENTER, COMPONENT, HOST, METHOD];
        HOST_IDLE_POWER_WATTS: Gauge Watts "wattribute_host_idle_power_watts",
            "Power of a host without load, configured or learned", OF_HOST;
        HOST_IDLE_POWER_LIMIT_WATTS: Gauge Watts "wattribute_host_idle_power_limit_watts",
            "Between which limits the learned idle power of a host lies, 95 in 100 times; wide apart while it is not known",
            &[DATACENTER, COMPONENT, HOST, label("limit", "`lower` or `upper`")];
        HOST_SETTLED_TIMESTAMP_SECONDS: Gauge Seconds "wattribute_host_settled_timestamp_seconds",
            "Up to when the energy of a host has been accounted, Unix time: its counters and its workloads' hold all until then",
            OF_HOST;
        HOST_UNMEASURED_SECONDS_TOTAL: Counter Seconds "wattribute_host_unmeasured_seconds_total",
            "Time in which the power of a host was not known", OF_HOST;
        HOST_OVERHEAD_ENERGY_JOULES_TOTAL: Counter Joules "wattribute_host_overhead_energy_joules_total",
            "Energy of a host that belongs to no workload",
            &[DATACENTER, HOST, METHOD,
                label("part", "`hypervisor` for its own CPU time, `unallocated` for idle power that nobody reserved")];
        HOST_INFO: Info None "wattribute_host_info", "Where a host stands", &[
            DATACENTER, HOST, COMPONENT,
            label("cluster", "cluster or aggregate the host belongs to"),
            label("rack", "rack the host stands in"),
            label("model", "how its energy is divided"),
        ];
        HOST_ENABLED: Gauge None "wattribute_host_enabled",
            "Whether a host is monitored; 0 where somebody has switched it off", OF_NODE;
    }
    "Nodes": {
        NODE_INFO: Info None "wattribute_node_info", "What a host says that it is", &[
            DATACENTER, HOST,
            label("hostname", "its own name for itself"),
            label("architecture", "instruction set: `x86_64`, `aarch64`"),
            label("processor_model", "model of its processors, as its hypervisor names it"),
        ];
        NODE_ADDRESS_INFO: Info None "wattribute_node_address_info", "An address of a host",
            &[DATACENTER, HOST, label("address", "IPv4 or IPv6 address")];
        NODE_CPUS: Gauge None "wattribute_node_cpus", "Logical CPUs of a host", OF_NODE;
        NODE_THREADS_PER_CORE: Gauge None "wattribute_node_threads_per_core", "Hardware threads of each core of a host",
            OF_NODE;
        NODE_CPU_HERTZ: Gauge Hertz "wattribute_node_cpu_hertz", "Nominal clock of a host's CPUs", OF_NODE;
        NODE_MEMORY_BYTES: Gauge Bytes "wattribute_node_memory_bytes", "Memory of a host", OF_NODE;
        NODE_FREE_MEMORY_BYTES: Gauge Bytes "wattribute_node_free_memory_bytes", "Free memory of a host", OF_NODE;
        NODE_NETWORK_RECEIVE_BYTES_TOTAL: Counter Bytes "wattribute_node_network_receive_bytes_total",
            "Bytes that a host received over its physical links since it started", OF_NODE;
        NODE_NETWORK_TRANSMIT_BYTES_TOTAL: Counter Bytes "wattribute_node_network_transmit_bytes_total",
            "Bytes that a host sent over its physical links since it started", OF_NODE;
        NODE_NETWORK_RECEIVE_PACKETS_TOTAL: Counter None "wattribute_node_network_receive_packets_total",
            "Packets that a host received over its physical links since it started", OF_NODE;
        NODE_NETWORK_TRANSMIT_PACKETS_TOTAL: Counter None "wattribute_node_network_transmit_packets_total",
            "Packets that a host sent over its physical links since it started", OF_NODE;
        NODE_LINK_BYTES_PER_SECOND: Gauge None "wattribute_node_link_bytes_per_second",
            "Speed of a host's fastest physical link", OF_NODE;
        NODE_DISK_CAPACITY_BYTES: Gauge Bytes "wattribute_node_disk_capacity_bytes",
            "Size of a host's storage for guests: its pools, or file systems", OF_NODE;
        NODE_DISK_ALLOCATED_BYTES: Gauge Bytes "wattribute_node_disk_allocated_bytes",
            "What of a host's storage for guests is taken", OF_NODE;
    }
    "Workloads": {
        WORKLOAD_POWER_WATTS: Gauge Watts "wattribute_workload_power_watts",
            "Mean power given to a workload in the latest settled interval",
            &[DATACENTER, HOST, KIND, WORKLOAD, PROJECT_ID];
        WORKLOAD_ENERGY_JOULES_TOTAL: Counter Joules "wattribute_workload_energy_joules_total",
            "Energy given to a workload on a host",
            &[DATACENTER, HOST, KIND, WORKLOAD, PROJECT_ID, METHOD,
                label("part", "`idle` what its host would draw without load, `dynamic` what follows its own CPU time, `gpu` its GPUs, \
                 where they are metered by themselves")];
        WORKLOAD_INFO: Info None "wattribute_workload_info", "What a workload is called, and whose it is", &[
            DATACENTER, HOST, KIND, WORKLOAD,
            label("name", "name its owner gave the workload"),
            PROJECT_ID, PROJECT_NAME,
            label("user", "who created the workload"),
            label("flavor", "size it was created with"),
            label("domain", "the hypervisor's own name for it"),
            label("architecture", "instruction set, where told: `x86_64`, `aarch64`"),
        ];
        VM_ENERGY_JOULES_TOTAL: Counter Joules "wattribute_vm_energy_joules_total",
            "Energy given to a VM on all hosts it ever ran on, as one project's: it goes on over migrations; equals its series of \
            workload energy, to the microjoule, those that have ended included",
            &[KIND, WORKLOAD, PROJECT_ID, METHOD];
    }
    "Virtual machines": {
        VM_STATE: Gauge None "wattribute_vm_state", "1 for the state that a VM is in; its other states have no series",
            &[DATACENTER, HOST, KIND, WORKLOAD, PROJECT_ID,
                label("state", "`running`, `blocked`, `paused`, `shutdown`, `shutoff`, `crashed`, `pmsuspended`, `nostate`")];
        VM_ADDRESS_INFO: Info None "wattribute_vm_address_info", "An address of a VM, as its cloud has it",
            &[DATACENTER, HOST, KIND, WORKLOAD, PROJECT_ID, label("address", "IPv4 or IPv6 address")];
        VM_VCPUS: Gauge None "wattribute_vm_vcpus", "Virtual CPUs that a VM holds", OF_VM;
        VM_CPU_HERTZ: Gauge Hertz "wattribute_vm_cpu_hertz", "Nominal clock of the CPUs that a VM runs on", OF_VM;
        VM_CPU_ALLOCATED_CPUS: Gauge None "wattribute_vm_cpu_allocated_cpus",
            "CPUs that a VM can count on by its quotas, and by its shares where the VMs of its host may use more than there are",
            OF_VM;
        VM_CPU_SECONDS_TOTAL: Counter Seconds "wattribute_vm_cpu_seconds_total",
            "CPU time that a VM was seen to use on a host", OF_VM;
        VM_MEMORY_BYTES: Gauge Bytes "wattribute_vm_memory_bytes", "Memory that a VM holds", OF_VM;
        VM_RESIDENT_MEMORY_BYTES: Gauge Bytes "wattribute_vm_resident_memory_bytes",
            "Memory of its host that a VM really takes", OF_VM;
        VM_USED_MEMORY_BYTES: Gauge Bytes "wattribute_vm_used_memory_bytes",
            "Memory that a VM uses as seen from its inside; absent where its balloon driver does not tell", OF_VM;
        VM_NETWORK_RECEIVE_BYTES_TOTAL: Counter Bytes "wattribute_vm_network_receive_bytes_total",
            "Bytes that a VM received on a host", OF_VM;
        VM_NETWORK_TRANSMIT_BYTES_TOTAL: Counter Bytes "wattribute_vm_network_transmit_bytes_total",
            "Bytes that a VM sent on a host", OF_VM;
        VM_NETWORK_RECEIVE_PACKETS_TOTAL: Counter None "wattribute_vm_network_receive_packets_total",
            "Packets that a VM received on a host", OF_VM;
        VM_NETWORK_TRANSMIT_PACKETS_TOTAL: Counter None "wattribute_vm_network_transmit_packets_total",
            "Packets that a VM sent on a host", OF_VM;
        VM_DISK_CAPACITY_BYTES: Gauge Bytes "wattribute_vm_disk_capacity_bytes", "What a VM's disks can hold", OF_VM;
        VM_DISK_ALLOCATED_BYTES: Gauge Bytes "wattribute_vm_disk_allocated_bytes",
            "What a VM's disks take of the storage they are on", OF_VM;
        VM_DISK_READ_BYTES_TOTAL: Counter Bytes "wattribute_vm_disk_read_bytes_total",
            "Bytes that a VM read from its disks on a host", OF_VM;
        VM_DISK_WRITTEN_BYTES_TOTAL: Counter Bytes "wattribute_vm_disk_written_bytes_total",
            "Bytes that a VM wrote to its disks on a host", OF_VM;
        VM_DISK_READS_TOTAL: Counter None "wattribute_vm_disk_reads_total",
            "Requests to read that a VM made of its disks on a host", OF_VM;
        VM_DISK_WRITES_TOTAL: Counter None "wattribute_vm_disk_writes_total",
            "Requests to write that a VM made of its disks on a host", OF_VM;
    }
    "Tenants": {
        TENANT_ENERGY_JOULES_TOTAL: Counter Joules "wattribute_tenant_energy_joules_total",
            "Energy given to all workloads of a tenant, ended ones included", &[DATACENTER, PROJECT_ID, METHOD];
        TENANT_INFO: Info None "wattribute_tenant_info", "What a tenant is called", &[PROJECT_ID, PROJECT_NAME];
    }
    "Services": {
        SERVICE_ENERGY_JOULES_TOTAL: Counter Joules "wattribute_service_energy_joules_total",
            "Energy of the workloads that the configuration counts to a service, ended ones included; a workload of several \
            services is shared by their weights", &[
                DATACENTER,
                label("service", "name of the service in the configuration"),
                PROJECT_ID, METHOD,
            ];
    }
    "Buildings": {
        FACILITY_POWER_WATTS: Gauge Watts "wattribute_facility_power_watts",
            "Power at a point of the building's supply", &[DATACENTER, POINT];
        FACILITY_ENERGY_JOULES_TOTAL: Counter Joules "wattribute_facility_energy_joules_total",
            "Energy that passed a point of the building's supply", &[DATACENTER, POINT];
        FACILITY_UNMEASURED_SECONDS_TOTAL: Counter Seconds "wattribute_facility_unmeasured_seconds_total",
            "Time in which not all meters of a point of the building's supply could tell",
            &[DATACENTER, POINT];
        EMISSION_FACTOR_GRAMS_PER_KILOWATT_HOUR: Gauge GramsPerKilowattHour
            "wattribute_emission_factor_grams_per_kilowatt_hour",
            "CO2e emitted for a kilowatt-hour of the building's electricity", &[
                DATACENTER,
                label("basis", "`location` for the grid, `market` for the contract"),
                label("source", "who published the factor"),
                label("tier", "how near the factor is to the place and hour"),
            ];
        ENERGY_PRICE_PER_KILOWATT_HOUR: Gauge None "wattribute_energy_price_per_kilowatt_hour",
            "Price of a kilowatt-hour", &[DATACENTER, label("currency", "ISO 4217 code")];
    }
    "Probes": {
        PROBE_SUCCESS: Gauge None "probe_success", "Whether the device that the client named was read", &[];
        PROBE_DURATION_SECONDS: Gauge Seconds "probe_duration_seconds",
            "Time that reading the device took, logging in and out included", &[];
        PROBE_FAILURE_INFO: Info None "wattribute_probe_failure_info",
            "Why the device that the client named was not read; absent after a success", &[
                DRIVER,
                label("result", "the kind of failure: `timeout`, `unreachable`, `auth`, `tls`, `protocol`, `no_reading`, `busy`"),
            ];
    }
    "The exporter itself": {
        POLL_DURATION_SECONDS: Histogram Seconds "wattribute_poll_duration_seconds",
            "Time that polls of devices took, failed ones included", &[DRIVER];
        POLLS_TOTAL: Counter None "wattribute_polls_total", "Polls of devices by outcome", &[
            DRIVER,
            label("result", "`ok`, or the kind of failure: `timeout`, `unreachable`, `auth`, `tls`, `protocol`, \
                `no_reading`, `busy`"),
        ];
        DRIVER_RESTARTS_TOTAL: Counter None "wattribute_driver_restarts_total",
            "Times that the task of a device died and was started again", &[DRIVER];
        SESSIONS: Gauge None "wattribute_sessions",
            "Sessions held open on devices, those that are being closed included", &[DRIVER];
        HYPERVISOR_UP: Gauge None "wattribute_hypervisor_up",
            "Whether the latest sample of a hypervisor was complete enough to use", OF_NODE;
        CONFIG_LAST_RELOAD_SUCCESSFUL: Gauge None "wattribute_config_last_reload_successful",
            "Whether the configuration was good when it was last read; otherwise the one before runs on", &[];
        CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS: Gauge Seconds
            "wattribute_config_last_reload_success_timestamp_seconds",
            "When the configuration that runs was read, Unix time", &[];
        BUILD_INFO: Info None "wattribute_build_info", "Which build of the exporter runs", &[
            label("version", "release"),
            label("revision", "commit it was built from"),
        ];
        CHECKPOINT_AGE_SECONDS: Gauge Seconds "wattribute_checkpoint_age_seconds",
            "How old the counters on the disk are: what a crash now would lose; absent where none are kept", &[];
        CHECKPOINT_BYTES: Gauge Bytes "wattribute_checkpoint_bytes", "Size of the latest checkpoint", &[];
        CHECKPOINT_WRITES_TOTAL: Counter None "wattribute_checkpoint_writes_total", "Checkpoints by outcome",
            &[label("result", "`ok` or `failed`")];
        CHECKPOINT_REFUSED: Gauge None "wattribute_checkpoint_refused",
            "Checkpoint files that could not be used at the start, and were set aside", &[];
        PROCESS_START_TIME_SECONDS: Gauge Seconds "process_start_time_seconds",
            "When the exporter started, Unix time", &[];
        PROCESS_CPU_SECONDS_TOTAL: Counter Seconds "process_cpu_seconds_total",
            "CPU time of the exporter, user and system", &[];
        PROCESS_RESIDENT_MEMORY_BYTES: Gauge Bytes "process_resident_memory_bytes",
            "Resident memory of the exporter", &[];
        PROCESS_OPEN_FDS: Gauge None "process_open_fds", "File descriptors that the exporter holds", &[];
    }
}
