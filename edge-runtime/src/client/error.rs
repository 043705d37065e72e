//! Why a request has no answer, or was not sent.

use super::names::{self, NameError};
use crate::device::DeviceError;
use crate::device::protocol;
use crate::head::train::TrainError;
use std::io;

/// Why a request failed, or was not sent.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The pipe failed.
    #[error("the line to the device failed: {0}")]
    Pipe(#[from] io::Error),
    /// The device does not answer.
    #[error(
        "the device did not answer {attempts} requests; check the line, that it runs, and that no other host is talking to it"
    )]
    NoAnswer {
        /// Number of requests that were sent.
        attempts: u32,
    },
    /// The device speaks another version of the protocol.
    #[error(
        "the device speaks protocol version {found}, this program {}",
        protocol::VERSION
    )]
    Version {
        /// The version of the device.
        found: u8,
    },
    /// The device refuses.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The reply does not belong to the request.
    #[error("the device answered something else than was asked; update one of the two programs")]
    Unexpected,
    /// A training option that no device accepts.
    #[error("cannot train: {0}")]
    Train(#[from] TrainError),
    /// Classes of the present head would be lost.
    #[error(
        "the new head would lack {} of the present head's {classes} classes, for there are no samples of them: {}; add pictures of them, or go on without them (--drop-classes)",
        .missing.len(), names::list(.missing.iter().map(String::as_str))
    )]
    Lost {
        /// Their names.
        missing: Vec<String>,
        /// Classes of the head.
        classes: u32,
    },
    /// The present head came with its network, and knows more classes than there would be samples of.
    #[error(
        "the present head has {classes} classes, and there would be samples of {have}; give pictures of all of them, or go on without them (--drop-classes)"
    )]
    Fewer {
        /// Classes with samples.
        have: u32,
        /// Classes of the head.
        classes: u32,
    },
    /// The present head has no class names, so the lost classes cannot be named.
    #[error(
        "the present head has {classes} classes without names, so that no samples can be of them; go on without them (--drop-classes)"
    )]
    Unnamed {
        /// Classes of the head.
        classes: u32,
    },
    /// A class name that the device would refuse.
    #[error(transparent)]
    Name(#[from] NameError),
    /// More classes than the device trains.
    #[error(
        "the head would have {classes} classes with those that are stored, and the device trains {most} at most; give fewer, or clear samples"
    )]
    Classes {
        /// Classes of new and stored samples together.
        classes: usize,
        /// Most classes that the device trains.
        most: usize,
    },
    /// The device has no room for a head with such a hidden layer.
    #[error(
        "a hidden layer of {units} units takes {need} bytes on the device, and there are {have}; {}",
        match .most { 0 => "leave --hidden out".into(), most => format!("at most {most} units fit") }
    )]
    Hidden {
        /// Units that were asked for.
        units: usize,
        /// Bytes that it takes.
        need: usize,
        /// Bytes that there are.
        have: usize,
        /// Most units that would fit; 0 if none.
        most: usize,
    },
    /// The request is too long for a frame.
    #[error("the request is too long for a frame")]
    RequestTooLong,
    /// The active head changed during the export.
    #[error("the head changed while it was exported; export it again")]
    HeadChanged,
}
