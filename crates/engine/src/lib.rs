#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod ban;
pub mod bans;
pub mod capture;
pub mod command;
pub mod effect;
pub mod engine;
pub mod event;
pub mod failures;
pub mod filter;
pub mod id;
pub mod ignore;
pub mod inquiry;
mod jail;
pub mod name;
pub mod options;
pub mod plan;
pub mod settings;

pub use ban::{Ban, BanTime, BanTimeError, Match, Ticket};
pub use capture::Capture;
pub use command::{Answer, Command, CommandError, Counts, JailStatus, Reply};
pub use effect::{Done, Effect, Job, JobId, LogPosition, Outcome, Reason, Save, Task};
pub use engine::Engine;
pub use event::Event;
pub use ferroban_date::Timestamp;
pub use filter::{
    DateSight, Depth, Detail, Failure, Filter, FilterError, FilterNote, Found, Groups, Hit,
    LogLine, Lookup, Outcome as HitOutcome, Sight,
};
pub use id::{FailId, JailName, JailNameError, Network};
pub use ignore::{IgnoreReason, Protected, Protection};
pub use inquiry::{Ask, Finding, IgnoreCache, IgnoreEntry, Inquiry, InquiryId, Suspect};
pub use jail::tamper::Tampering;
pub use name::Name;
pub use plan::{JailChange, OptionChange};
pub use settings::{FilterSettings, JailSettings, UseDns};
