//! The same configurations read by us and by the installed fail2ban.

#[cfg(test)]
mod ask;
#[cfg(test)]
mod random;
#[cfg(test)]
mod tests;
