//! A load generator for MCP over HTTP/1.1: open and closed loop, several cores, every answer checked.
//!
//! It shares no code with the gateway it measures, so that a misunderstanding of the protocol in one is
//! not repeated in the other. Where to start reading: [`run`] conducts a run, [`worker`] is the loop of
//! one core, [`connection`] gives received bytes their meaning, [`schedule`] is the open loop.

#![forbid(unsafe_code)]

pub mod address;
pub mod cli;
pub mod connection;
pub mod faults;
pub mod http;
pub mod plan;
pub mod process;
pub mod report;
pub mod requests;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod shared;
pub mod sse;
pub mod sys;
pub mod tls;
pub mod verify;
pub mod worker;
