//! The kernel's IPMI device: a message goes in with a number of ours, its reply comes out with the same number. Linux,
//! `include/uapi/linux/ipmi.h`. The only unsafe code there is: three structures that hold pointers.

#![expect(
    unsafe_code,
    reason = "the kernel takes and gives messages through pointers, and the runtime a descriptor"
)]

use std::ffi::{c_int, c_long, c_short, c_uchar, c_uint, c_ushort};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, Result};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use tokio::io::unix::AsyncFd;

use crate::drivers::ipmi::wire::message::{Reply, Request};

/// The longest message of the kernel's IPMI layer, bytes.
const MAX_MESSAGE: usize = 272;
/// Address type of the system's own BMC, and its channel.
const SYSTEM_INTERFACE: c_int = 0x0c;
const BMC_CHANNEL: c_short = 0x0f;
/// Address type of a controller behind it.
const BUS: c_int = 0x01;
/// What is received: the response to a command.
const RESPONSE: c_int = 1;

const SEND_COMMAND: Opcode = opcode::read::<Outgoing>(b'i', 13);
const RECEIVE_TRUNCATED: Opcode = opcode::read_write::<Incoming>(b'i', 11);

/// `struct ipmi_system_interface_addr`, whose third field is the unit and whose fourth is padding, and `struct ipmi_ipmb_addr`,
/// where these are address and unit.
#[repr(C)]
struct Address {
    kind: c_int,
    channel: c_short,
    third: c_uchar,
    fourth: c_uchar,
}

impl Address {
    fn of(request: &Request) -> Self {
        match request.via {
            None => Self { kind: SYSTEM_INTERFACE, channel: BMC_CHANNEL, third: request.lun, fourth: 0 },
            // The kernel wraps it into Send Message, and matches the answer.
            Some(via) => {
                Self { kind: BUS, channel: via.channel.into(), third: via.address, fourth: request.lun }
            }
        }
    }
}

/// `struct ipmi_msg`.
#[repr(C)]
struct Message {
    net_fn: c_uchar,
    command: c_uchar,
    len: c_ushort,
    data: *mut c_uchar,
}

/// `struct ipmi_req`.
#[repr(C)]
struct Outgoing {
    address: *mut Address,
    address_len: c_uint,
    number: c_long,
    message: Message,
}

/// `struct ipmi_recv`.
#[repr(C)]
struct Incoming {
    kind: c_int,
    /// Room for any kind of address.
    address: *mut [u64; 8],
    address_len: c_uint,
    number: c_long,
    message: Message,
}

/// Opens the device's readiness to the runtime.
///
/// # Errors
/// If it cannot be waited for, as plain files cannot.
pub fn register(device: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an owned descriptor stays open, and the same, until it is dropped with what owns it.
    Ok(unsafe { AsyncFd::register(device) }?)
}

/// Hands `request` to the BMC under `number`. Does not wait.
///
/// # Errors
/// As the kernel says.
pub fn send(device: impl AsFd, request: &Request, number: c_long) -> Result<()> {
    let mut data = request.data.clone();
    let len = c_ushort::try_from(data.len()).map_err(|_| Errno::MSGSIZE)?;
    let mut address = Address::of(request);
    let mut outgoing = Outgoing {
        address: &raw mut address,
        address_len: size_of::<Address>().try_into().map_err(|_| Errno::INVAL)?,
        number,
        message: Message { net_fn: request.net_fn, command: request.command, len, data: data.as_mut_ptr() },
    };
    // SAFETY: the opcode takes this structure; address and data live until the call returns, and their lengths are right.
    unsafe { ioctl(device, Updater::<SEND_COMMAND, Outgoing>::new(&mut outgoing)) }
}

/// The next reply and its number; none if what came is no reply (an event, a command from the BMC) or was cut.
///
/// # Errors
/// `AGAIN` if there is none yet; else as the kernel says.
pub fn receive(device: impl AsFd) -> Result<Option<(c_long, Reply)>> {
    let (mut address, mut data) = ([0; 8], [0; MAX_MESSAGE]);
    let mut incoming = Incoming {
        kind: 0,
        address: &raw mut address,
        address_len: size_of_val(&address).try_into().map_err(|_| Errno::INVAL)?,
        number: 0,
        message: Message {
            net_fn: 0,
            command: 0,
            len: MAX_MESSAGE.try_into().map_err(|_| Errno::INVAL)?,
            data: data.as_mut_ptr(),
        },
    };
    // SAFETY: the opcode takes this structure; address and data live until the call returns, and the kernel is told their
    // lengths, which it does not exceed.
    match unsafe { ioctl(device, Updater::<RECEIVE_TRUNCATED, Incoming>::new(&mut incoming)) } {
        // Longer than any message may be: the kernel has cut and dropped it.
        Err(Errno::MSGSIZE) => return Ok(None),
        other => other?,
    }
    let Message { net_fn, command, len, .. } = incoming.message;
    let Some((code, rest)) = data.get(..usize::from(len)).and_then(<[u8]>::split_first) else {
        return Ok(None);
    };
    let reply = Reply { net_fn, seq: 0, command, code: *code, data: rest.to_vec() };
    Ok((incoming.kind == RESPONSE).then_some((incoming.number, reply)))
}
