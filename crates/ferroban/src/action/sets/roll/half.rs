//! One of a pair of sets.

use ferroban_engine::{Network, Timestamp};

use super::super::super::ipset::{
    Change, Edit, Error, Family, Header, Ipset, Kind, LONGEST_TIMEOUT, Spec,
};
use super::Present;

/// How many entries the sets that we make can hold. Room is taken only by those that are there.
const ROOM: u32 = 1 << 20;
/// Times that differ by less are the same: the kernel counts whole seconds, and reading takes time.
const TOLERANCE: u32 = 2;
/// Should we end in the midst of a proof, nothing stays.
const SHORT: u32 = 10;

/// A set for the addresses of a family.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) family: Family,
    pub(super) name: String,
    /// What it was like when it was last looked at.
    pub(super) form: Option<Form>,
    /// How many of its entries we know nothing of.
    pub(super) foreign: usize,
    /// Whether no rule and no other set refers to it.
    pub(super) unused: bool,
    /// Whether we have made it.
    made: bool,
}

/// What a set can hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Form {
    /// Entries with a time.
    pub(super) timed: bool,
    networks: bool,
}

impl Half {
    pub(super) fn new(family: Family, name: &str) -> Self {
        Self {
            family,
            name: name.to_owned(),
            form: None,
            foreign: 0,
            unused: false,
            made: false,
        }
    }

    /// Makes the set if it is missing.
    pub(super) fn prepare(&mut self, ipset: &mut Ipset) -> Result<(), Error> {
        if ipset.header(&self.name)?.is_none() {
            let spec = Spec {
                kind: Kind::Net,
                family: self.family,
                timeout: Some(0),
                maxelem: Some(ROOM),
            };
            match ipset.create(&self.name, &spec) {
                Ok(()) => self.made = true,
                // Somebody was faster.
                Err(Error::Exists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.learn(ipset).map(|_| ())
    }

    /// Asks what the set is like now.
    pub(super) fn learn(&mut self, ipset: &mut Ipset) -> Result<Form, Error> {
        self.form = None;
        let header = ipset.header(&self.name)?.ok_or_else(|| self.missing())?;
        self.take_in(&header)
    }

    /// Learns what the set is like.
    pub(super) fn take_in(&mut self, header: &Header) -> Result<Form, Error> {
        self.unused = header.references == 0;
        self.form = None;
        let kinds = [Kind::Ip, Kind::Net];
        let kind = kinds.into_iter().find(|kind| kind.name() == header.kind);
        let fits = header.family == Some(self.family) && header.netmask.is_none();
        let Some(kind) = kind.filter(|_| fits) else {
            return Err(Error::Unsuitable {
                set: self.name.clone(),
                kind: header.kind.clone(),
                family: self.family,
            });
        };
        let form = Form {
            timed: header.timeout.is_some(),
            networks: kind == Kind::Net,
        };
        self.form = Some(form);
        Ok(form)
    }

    fn missing(&self) -> Error {
        let set = self.name.clone();
        Error::Missing { set }
    }

    /// Who is in it.
    pub(super) fn present(&self, ipset: &mut Ipset) -> Result<Present, Error> {
        let entries = ipset.list(&self.name)?.into_iter();
        let pairs = entries.map(|entry| (entry.network, entry));
        Ok(pairs.collect())
    }

    /// Whether it can hold a network as one entry.
    pub(super) fn can_hold(&self, form: Form, network: Network) -> Result<(), Error> {
        if form.networks || network.is_single() {
            return Ok(());
        }
        let set = self.name.clone();
        Err(Error::Unfit { set, network })
    }

    /// Has the kernel take an address, finds it there, and takes it out again.
    pub(super) fn prove(
        &self,
        ipset: &mut Ipset,
        form: Form,
        network: Network,
    ) -> Result<(), Error> {
        let timeout = form.timed.then_some(SHORT);
        let edit = |change: Change| Edit {
            set: &self.name,
            network,
            change,
            exist: false,
        };
        for result in ipset.change(&[edit(Change::Add { timeout })]) {
            result?;
        }
        let found = ipset.has(&self.name, network);
        for result in ipset.change(&[edit(Change::Delete)]) {
            result?;
        }
        let wrong = |banned: bool| Error::Unproven {
            set: self.name.clone(),
            network,
            banned,
        };
        if !found? {
            return Err(wrong(true));
        }
        match ipset.has(&self.name, network)? {
            true => Err(wrong(false)),
            false => Ok(()),
        }
    }

    /// Removes the set if we have made it and nobody needs it.
    pub(super) fn clean(&mut self, ipset: &mut Ipset) -> Result<(), Error> {
        self.form = None;
        if !std::mem::take(&mut self.made) {
            return Ok(());
        }
        let Some(header) = ipset.header(&self.name)? else {
            return Ok(());
        };
        let is_empty = match header.entries {
            Some(count) => count == 0,
            None => ipset.list(&self.name)?.is_empty(),
        };
        if !is_empty || header.references > 0 {
            return Ok(());
        }
        match ipset.destroy(&self.name) {
            Err(Error::Missing { .. } | Error::InUse { .. }) => Ok(()),
            other => other,
        }
    }
}

impl Form {
    /// The time an entry gets for a ban that ends then, and when the kernel takes it out.
    pub(super) fn timeout(self, end: Timestamp, now: Timestamp) -> (Option<u32>, Timestamp) {
        if !self.timed {
            return (None, Timestamp::MAX);
        }
        if end == Timestamp::MAX {
            return (Some(0), end);
        }
        // Rather a little late: then the daemon is first. 0 would be for ever.
        let left = end.micros_since(now).max(1).saturating_add(999_999) / 1_000_000;
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        let left = left.min(LONGEST_TIMEOUT);
        (Some(left), now.plus_secs(i64::from(left)))
    }

    /// Whether an entry that is there is as long there as it should be.
    pub(super) fn is_right(self, left: Option<u32>, timeout: Option<u32>) -> bool {
        match (left, timeout.filter(|secs| *secs > 0)) {
            _ if !self.timed => true,
            (None, None) => true,
            (Some(left), Some(secs)) => left.abs_diff(secs) <= TOLERANCE,
            _ => false,
        }
    }
}

/// Whether an entry is there (`Some(true)`) or not, when the kernel takes it out at `until`; unknown
/// about that time.
pub(super) fn is_there(until: Timestamp, now: Timestamp) -> Option<bool> {
    let left = until.micros_since(now) / 1_000_000;
    let close = i64::from(TOLERANCE);
    (left.abs() > close).then_some(left > close)
}
