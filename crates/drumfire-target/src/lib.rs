//! A small HTTP service to aim at, with delays, stalls and faults on request.
