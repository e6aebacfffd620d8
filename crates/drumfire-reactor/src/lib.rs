//! The load plane's event loop: one thread, its tasks, timers and sockets, nothing shared.
