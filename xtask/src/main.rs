//! `cargo xtask`: parses the command and runs it.

use std::io::{self, Write};
use std::process::ExitCode;

use lexopt::{Arg, Parser};
use xtask::commands::{check, llms, record_release, snapshots, update_spec};
use xtask::refusal::{Refusal, usage};

/// The exit status of an error; 1 means that something differs.
const REFUSED: u8 = 2;

/// The exit status if the server is down or unreachable, so that nothing is known about the
/// document.
const UNREACHABLE: u8 = 3;

fn main() -> ExitCode {
    match run(&mut Parser::from_env()) {
        Ok((text, code)) => {
            // A closed pipe is not an error: its reader has read enough.
            let _ = io::stdout().write_all(text.as_bytes());
            code
        }
        Err(refusal) => {
            eprintln!("{refusal}");
            ExitCode::from(if refusal.unreachable {
                UNREACHABLE
            } else {
                REFUSED
            })
        }
    }
}

fn run(args: &mut Parser) -> Result<(String, ExitCode), Refusal> {
    match args.next().map_err(usage)? {
        Some(Arg::Value(verb)) if verb == "update-spec" => {
            let report = update_spec::run(&update_spec::Options::parse(args)?)?;
            Ok((report.to_string(), report.exit_code()))
        }
        Some(Arg::Value(verb)) if verb == "check" => {
            let report = check::run(&check::parse(args)?)?;
            Ok((report.to_string(), report.exit_code()))
        }
        Some(Arg::Value(verb)) if verb == "record-release" => {
            let text = record_release::run(&check::parse(args)?)?;
            Ok((text, ExitCode::SUCCESS))
        }
        Some(Arg::Value(verb)) if verb == "snapshots" => {
            let text = snapshots::run(&check::parse(args)?)?;
            Ok((text, ExitCode::SUCCESS))
        }
        Some(Arg::Value(verb)) if verb == "llms" => {
            let text = llms::run(&check::parse(args)?)?;
            Ok((text, ExitCode::SUCCESS))
        }
        Some(Arg::Value(verb)) if verb == "help" => Ok((help(), ExitCode::SUCCESS)),
        Some(Arg::Long("help") | Arg::Short('h')) => Ok((help(), ExitCode::SUCCESS)),
        Some(other) => Err(usage(other.unexpected())),
        None => Err(usage("no command")),
    }
}

fn help() -> String {
    [
        update_spec::HELP,
        check::HELP,
        snapshots::HELP,
        llms::HELP,
        record_release::HELP,
    ]
    .join("\n")
}
