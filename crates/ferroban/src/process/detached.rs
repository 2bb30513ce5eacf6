//! Starting a daemon: a child that goes on without us.
