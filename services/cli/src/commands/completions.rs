//! `paceline completions` and `paceline man`: scripts for shells and pages for `man`, made from the one definition of the command line,
//! which the caller gives.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::Exit;
use crate::output::{Output, counted};

const NAME: &str = "paceline";

#[derive(Debug, Args)]
pub struct Completions {
    /// The shell that reads them
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct Man {
    /// The folder for the pages, such as /usr/local/share/man/man1; it is made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Prints the script of a shell, made from the definition of the command line.
pub fn completions(arguments: &Completions, mut definition: Command) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut definition, NAME, &mut script);
    std::io::stdout().lock().write_all(&script).context("cannot write the output")?;
    Ok(Exit::Done)
}

/// Writes the man pages, made from the definition of the command line.
pub fn man(arguments: &Man, definition: Command, output: Output) -> anyhow::Result<Exit> {
    let folder = &arguments.folder;
    let pages =
        write_pages(folder, definition).with_context(|| format!("cannot write man pages to {}", folder.display()))?;
    output.talk(format!("{} in {}", counted(pages as u64, "page"), folder.display()));
    Ok(Exit::Done)
}

/// Writes a page for each command, such as `paceline-run-start.1`, and answers their number.
fn write_pages(folder: &Path, definition: Command) -> std::io::Result<usize> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(definition.disable_help_subcommand(true), folder)?;
    Ok(std::fs::read_dir(folder)?.filter_map(Result::ok).filter(|entry| is_ours(&entry.path())).count())
}

fn is_ours(page: &Path) -> bool {
    page.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NAME) && name.ends_with(".1"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::options::CommandLine;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), NAME, &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(["scheduler", "health", "producers"].iter().all(|word| script.contains(word)), "{shell}");
        }
    }

    #[test]
    fn each_command_has_its_page() {
        let folder = tempfile::tempdir().unwrap();
        let pages = write_pages(&folder.path().join("man1"), CommandLine::command()).unwrap();
        for name in ["paceline", "paceline-run-start", "paceline-worker", "paceline-bench-drain"] {
            let page = std::fs::read_to_string(folder.path().join(format!("man1/{name}.1"))).unwrap();
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{name}");
        }
        assert!(pages > 15, "{pages}");
    }
}
