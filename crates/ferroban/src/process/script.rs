//! Running a shell command with a limit of time.
