//! Tallycast: a self-hosted realtime gateway for group counters.
//!
//! The floors, lowest first; a module may use only floors below its own (`tests/architecture.rs` checks it):
//! `domain` · `protocol`, `auth` · `store` · `users` · `group` · `gateway`, `rest` · `control` · `server` · `cli`.

pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod domain;
pub mod gateway;
pub mod group;
pub mod metrics;
pub mod protocol;
pub mod rest;
pub mod seldom;
pub mod server;
pub mod store;
pub mod users;
