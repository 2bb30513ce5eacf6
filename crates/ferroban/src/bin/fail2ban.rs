//! `fail2ban`: one of the names of the one program, see `ferroban::cli`.

fn main() -> std::process::ExitCode {
    ferroban::cli::main()
}
