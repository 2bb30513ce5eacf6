//! What a matched line says about its session.

use std::borrow::Cow;

use super::fields::Fields;
use crate::name::Name;

/// Which session a line belongs to, and what it means there. What the groups captured is read
/// where it stands: most of it is looked at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks<'t> {
    /// `<F-MLFID>`: what the lines of one session share; none of a line that belongs to none.
    pub(super) session: Option<Cow<'t, str>>,
    /// `<F-USER>`: who wanted to log in.
    pub(super) user: Option<Cow<'t, str>>,
    /// `<F-NOFAIL>`: no failure by itself.
    pub(super) no_failure: bool,
    /// `<F-ONCE>`: a failure only if its session has none yet.
    pub(super) once: bool,
    /// `<F-MLFGAINED>`: the session was let in after all.
    pub(super) gained: bool,
    /// `<F-MLFFORGET>`: the session ends.
    pub(super) forget: bool,
}

/// The groups of a pattern that make them.
#[derive(Clone, Debug, Default)]
pub(super) struct MarkGroups {
    session: Option<usize>,
    user: Option<usize>,
    /// `<F-ALT_USER>` and its like, which stand in for a user that is empty.
    users: Vec<usize>,
    no_failure: Option<usize>,
    once: Option<usize>,
    gained: Option<usize>,
    forget: Option<usize>,
}

impl MarkGroups {
    /// Those among the groups of a pattern; `users` stand in for the user.
    pub(super) fn new(names: &[(Name, usize)], users: &[Name]) -> Self {
        let group = |wanted: &Name| {
            let found = names.iter().find(|(name, _)| name == wanted);
            found.map(|(_, index)| *index)
        };
        Self {
            session: group(&Name::MLFID),
            user: group(&Name::USER),
            users: users.iter().filter_map(group).collect(),
            no_failure: group(&Name::NOFAIL),
            once: group(&Name::ONCE),
            gained: group(&Name::MLFGAINED),
            forget: group(&Name::MLFFORGET),
        }
    }

    /// What they say, by what each group captured.
    #[inline(always)]
    pub(super) fn read<'t>(&self, value: impl Fn(usize) -> Option<&'t str>) -> Marks<'t> {
        let text = |group: Option<usize>| group.and_then(&value);
        let mut user = text(self.user);
        if user.is_none_or(str::is_empty) {
            let mut others = self.users.iter().filter_map(|group| value(*group));
            user = others.find(|text| !text.is_empty()).or(user);
        }
        Marks {
            session: text(self.session).map(Cow::Borrowed),
            user: user.map(Cow::Borrowed),
            no_failure: text(self.no_failure).is_some(),
            once: text(self.once).is_some(),
            gained: text(self.gained).is_some(),
            forget: text(self.forget).is_some(),
        }
    }
}

impl<'t> Marks<'t> {
    /// What fields say that are partly made of others.
    pub(super) fn of(fields: &Fields) -> Self {
        let owned = |text: &str| Cow::Owned(text.to_owned());
        Self {
            session: fields.text(&Name::MLFID).map(owned),
            user: fields.text(&Name::USER).map(owned),
            no_failure: fields.has(&Name::NOFAIL),
            once: fields.has(&Name::ONCE),
            gained: fields.has(&Name::MLFGAINED),
            forget: fields.has(&Name::MLFFORGET),
        }
    }

    /// The same behind what a prefix says: of one group this wins, unless it took no part.
    #[inline(always)]
    pub(super) fn behind(self, prefix: Self) -> Self {
        Self {
            session: self.session.or(prefix.session),
            user: self.user.or(prefix.user),
            no_failure: self.no_failure || prefix.no_failure,
            once: self.once || prefix.once,
            gained: self.gained || prefix.gained,
            forget: self.forget || prefix.forget,
        }
    }
}
