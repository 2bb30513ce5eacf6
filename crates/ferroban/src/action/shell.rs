//! Stand-in until the real one is merged.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ferroban_engine::{Ban, JailName};

use crate::log::Log;

pub(crate) trait Facts: Send + Sync {}

#[derive(Debug)]
pub(crate) struct Error;
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no")
    }
}

pub(crate) struct Shell;

impl Shell {
    pub(crate) fn new(_: JailName, _: String, _: BTreeMap<String, String>, _: Log, _: Arc<dyn Facts>) -> Self {
        Self
    }
    pub(crate) fn configure(&mut self, _: BTreeMap<String, String>) {}
    pub(crate) fn start(&mut self) -> Result<(), Error> {
        Ok(())
    }
    pub(crate) fn ban(&mut self, _: &Ban) -> Result<(), Error> {
        Ok(())
    }
    pub(crate) fn unban(&mut self, _: &Ban) -> Result<(), Error> {
        Ok(())
    }
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
    pub(crate) fn stop(&mut self) -> Result<(), Error> {
        Ok(())
    }
    pub(crate) fn reload(&mut self) -> Result<(), Error> {
        Ok(())
    }
    pub(crate) fn has_flush(&self) -> bool {
        false
    }
    pub(crate) fn norestored(&self) -> bool {
        false
    }
    pub(crate) fn info(&self, _: &Ban) -> String {
        String::new()
    }
}
