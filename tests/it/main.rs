//! The black-box tests: the real program is started, spoken to over loopback sockets, and ended by its process id.
//! They know the contract and nothing of what is inside the server.

mod avchat;
mod client;
mod closing;
mod commands;
mod connections;
mod counters;
mod durability;
mod fanout;
mod faults;
mod golden;
mod groups;
mod http;
mod integers;
mod login;
mod members;
mod operations;
mod ops;
mod oracles;
mod order;
mod pushes;
mod raw;
mod rest_checks;
mod rest_client;
mod rest_counters;
mod rest_groups;
mod rest_limits;
mod rest_members;
mod rest_openapi;
mod rest_vendor;
mod server;
mod throttle;
mod turmoil;
mod usersig;
mod wire;
